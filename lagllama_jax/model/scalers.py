"""Loc and scale of a series, from its observed past: the four scalers of the reference."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lagllama_jax.typing import Array, Bool, Float, Int

WIDER_RANGES = ((0.05, 0.410), (0.01, 0.290), (0.0, 0.218))
"""The ranges that replace an inter-quartile range of 0, from the narrowest to the widest.

Each pair is the share of values in each tail, and a factor. The factor is the inter-quartile range
of a normal distribution, divided by its range without these tails (for the last pair, the range of
about a thousand values). Each tail contains at least one value, so that a single outlier is always
in a tail.
"""
ROUNDING_SHARE = 1e-6
"""A range below this share of the next wider range is a rounding error in float32 and counts as 0.
"""
SMALLEST_SCALE, SMALLEST_SHARE = 1e-30, 1e-36
"""A scale below this value, or below this share of the whole range, counts as 0, because a division
by it would overflow float32."""


class Scale(NamedTuple):
    """The location and scale that standardise a series: `(x - loc) / scale`.

    Attributes:
      loc: Location, in the units of the series.
      scale: Scale, in the units of the series.
    """

    loc: Float[Array, "*b 1"]
    scale: Float[Array, "*b 1"]

    def standardise(self, values: Float[Array, "*b T"]) -> Float[Array, "*b T"]:
        """Converts values from the units of the series to scaled units."""
        return (values - self.loc) / self.scale


class Ordered(NamedTuple):
    """The observed values of each series in ascending order.

    Attributes:
      values: The observed values, followed by infinity for each missing value.
      size: Number of observed values.
    """

    values: Float[Array, "B T"]
    size: Int[Array, "B 1"]

    @property
    def last(self) -> Int[Array, "B 1"]:
        """Index of the largest observed value, or 0 if nothing is observed."""
        return jnp.maximum(self.size - 1, 0)

    def at(self, index: Int[Array, "B 1"]) -> Float[Array, "B 1"]:
        """The value at an index of each series."""
        return jnp.take_along_axis(self.values, index, axis=-1)


def weighted_mean(values: Float[Array, "B T"], observed: Bool[Array, "B T"]) -> Float[Array, "B 1"]:
    """Mean of the observed values, or 0 if there are none."""
    total = jnp.sum(jnp.where(observed, values, 0), axis=-1, keepdims=True)
    return total / jnp.maximum(observed.sum(axis=-1, keepdims=True), 1)


def ascending(values: Float[Array, "B T"]) -> Float[Array, "B T"]:
    """Sorts the values of each series.

    The sort is on integers, which XLA sorts four times as fast on a CPU. The bits of floats, read
    as integers, have the order of the floats once the lower 31 bits of negative floats are
    inverted. The sort has no gradient.
    """

    def swap(bits: Int[Array, "B T"]) -> Int[Array, "B T"]:
        return jnp.where(bits < 0, bits ^ 0x7FFFFFFF, bits)

    bits = swap(jax.lax.bitcast_convert_type(values, jnp.int32))
    return jax.lax.bitcast_convert_type(swap(jnp.sort(bits, axis=-1, stable=False)), values.dtype)


def quantile(ordered: Ordered, level: float) -> Float[Array, "B 1"]:
    """Linearly interpolated quantile of the observed values at a level from 0 to 1."""
    position = level * ordered.last.astype(ordered.values.dtype)
    low = jnp.floor(position).astype(jnp.int32)
    below, above = ordered.at(low), ordered.at(jnp.minimum(low + 1, ordered.last))
    return below + (position - low) * (above - below)


def inner_range(ordered: Ordered, tail: float) -> Float[Array, "B 1"]:
    """Range of the observed values without the two tails.

    Each tail contains a share `tail` of the values, and at least one value. The range is not
    positive if fewer than four values are observed.
    """
    low = jnp.maximum(jnp.ceil(tail * ordered.last).astype(jnp.int32), 1)
    low = jnp.minimum(low, ordered.last)
    return ordered.at(ordered.last - low) - ordered.at(low)


def first_sound(spread: Float[Array, "B 1"], ordered: Ordered) -> Float[Array, "B 1"]:
    """The inter-quartile range `spread` if it is sound, otherwise a wider range or 1.

    A range is sound if it is larger than the rounding error. The reference implementation divides
    by 1e-10 if more than half of the values are equal. Here the scale is the first sound range of
    `WIDER_RANGES`. If only one value differs from the others, it is the range of all values times
    the last factor. If all values are equal, it is 1.
    """
    whole = ordered.at(ordered.last) - ordered.values[:, :1]
    smallest = jnp.maximum(SMALLEST_SCALE, SMALLEST_SHARE * whole)
    ranges = [spread, *(ratio * inner_range(ordered, tail) for tail, ratio in WIDER_RANGES)]
    scale = jnp.where(whole > SMALLEST_SCALE, WIDER_RANGES[-1][1] * whole, 1)
    wider = jnp.zeros_like(scale)
    for candidate in reversed(ranges):
        sound = candidate > jnp.maximum(ROUNDING_SHARE * wider, smallest)
        scale, wider = jnp.where(sound, candidate, scale), candidate
    return scale


def robust_scale(values: Float[Array, "B T"], observed: Bool[Array, "B T"], safe: bool) -> Scale:
    """The lower median and the inter-quartile range of the observed values.

    They are 0 and 1 if nothing is observed. `safe` is as in `fit_scale`.
    """
    count = observed.sum(axis=-1, keepdims=True)
    ordered = Ordered(ascending(jnp.where(observed, values, jnp.inf)), count)
    spread = quantile(ordered, 0.75) - quantile(ordered, 0.25)
    spread = first_sound(spread, ordered) if safe else jnp.maximum(spread, 1e-10)
    median, anything = ordered.at(ordered.last // 2), count > 0
    return Scale(jnp.where(anything, median, 0), jnp.where(anything, spread, 1))


def mean_scale(values: Float[Array, "B T"], observed: Bool[Array, "B T"], safe: bool) -> Scale:
    """Location 0, and the mean absolute value as scale. The scale is 1 if nothing is observed.

    The reference implementation gives a series without observations the average scale of its
    batch. Here a series never depends on the other series of its batch. `safe` is as in
    `fit_scale`.
    """
    magnitude = weighted_mean(jnp.abs(values), observed)
    sound = magnitude > SMALLEST_SCALE if safe else observed.any(axis=-1, keepdims=True)
    floor = 0.0 if safe else 1e-10
    return Scale(jnp.zeros_like(magnitude), jnp.where(sound, jnp.maximum(magnitude, floor), 1))


def std_scale(values: Float[Array, "B T"], observed: Bool[Array, "B T"]) -> Scale:
    """The mean and `sqrt(biased variance + 1e-5)`, as in the reference implementation.

    The deviations are divided by the largest one before they are squared, because the sum of the
    squares of values of 1e18 would overflow float32.
    """
    loc = weighted_mean(values, observed)
    deviation = jnp.where(observed, values - loc, 0)
    largest = jnp.maximum(jnp.abs(deviation).max(axis=-1, keepdims=True), 1)
    variance = weighted_mean((deviation / largest) ** 2, observed)
    return Scale(loc, largest * jnp.sqrt(variance + 1e-5 / largest**2))


def fit_scale(
    values: Float[Array, "B T"], observed: Bool[Array, "B T"], scaling: str, safe: bool
) -> Scale:
    """Fits the location and scale of each series to its observed past, in the units of `values`.

    Args:
      values: The past. Unobserved values are ignored.
      observed: Whether each value is observed.
      scaling: `robust` (median and inter-quartile range), `mean` (0 and mean absolute value),
        `std` (mean and standard deviation) or `none` (0 and 1).
      safe: Whether to replace a degenerate scale. `False` is the rule of the reference
        implementation (https://github.com/time-series-foundation-models/lag-llama).

    Returns:
      A finite location and a finite scale above 0 for every series.
    """
    if scaling == "robust":
        return robust_scale(values, observed, safe)
    if scaling == "mean":
        return mean_scale(values, observed, safe)
    if scaling == "std":
        return std_scale(values, observed)
    zeros = jnp.zeros_like(values[:, :1])
    return Scale(zeros, zeros + 1)
