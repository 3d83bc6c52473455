"""Loc and scale of a series, from its observed past: the reference's four scalers."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lagllama_jax.typing import Array, Bool, Float, Int

WIDER_RANGES = ((0.05, 0.410), (0.01, 0.290), (0.0, 0.218))
"""The ranges that replace an inter-quartile range of 0, from narrow to wide.

Each pair is the share of values in either tail, and a factor: the inter-quartile range of a normal
distribution divided by its range without these tails (for the last pair, the range of about a
thousand values). Each tail holds at least one value, so a single wrong value is always in a tail.
"""
ROUNDING_SHARE = 1e-6
"""A range below this share of the next wider range is rounding in float32, and counts as 0."""
SMALLEST_SCALE, SMALLEST_SHARE = 1e-30, 1e-36
"""A scale below this, or below this share of the whole range, counts as 0: quotients by it would
overflow float32."""


class Scale(NamedTuple):
    """The location and scale that standardise a series: `(x - loc) / scale`."""

    loc: Float[Array, "*b 1"]
    scale: Float[Array, "*b 1"]

    def standardise(self, values: Float[Array, "*b T"]) -> Float[Array, "*b T"]:
        """Converts values from the units of the series to scaled units."""
        return (values - self.loc) / self.scale


class Ordered(NamedTuple):
    """The observed values of each series in ascending order.

    Attributes:
      values: The observed values, then infinity.
      size: Number of observed values.
    """

    values: Float[Array, "B T"]
    size: Int[Array, "B 1"]

    @property
    def last(self) -> Int[Array, "B 1"]:
        """Index of the largest observed value; 0 if nothing is observed."""
        return jnp.maximum(self.size - 1, 0)

    def at(self, index: Int[Array, "B 1"]) -> Float[Array, "B 1"]:
        """The value at an index of each series."""
        return jnp.take_along_axis(self.values, index, axis=-1)


def weighted_mean(values: Float[Array, "B T"], observed: Bool[Array, "B T"]) -> Float[Array, "B 1"]:
    """Mean of the observed values; 0 if there are none."""
    total = jnp.sum(jnp.where(observed, values, 0), axis=-1, keepdims=True)
    return total / jnp.maximum(observed.sum(axis=-1, keepdims=True), 1)


def ascending(values: Float[Array, "B T"]) -> Float[Array, "B T"]:
    """Sorts the values of each series as integers, which XLA does four times as fast on a CPU.

    The bits of floats are integers in the same order, once the lower 31 bits of negative floats are
    inverted. No gradient passes through.
    """

    def swap(bits: Int[Array, "B T"]) -> Int[Array, "B T"]:
        return jnp.where(bits < 0, bits ^ 0x7FFFFFFF, bits)

    bits = swap(jax.lax.bitcast_convert_type(values, jnp.int32))
    return jax.lax.bitcast_convert_type(swap(jnp.sort(bits, axis=-1, stable=False)), values.dtype)


def quantile(ordered: Ordered, level: float) -> Float[Array, "B 1"]:
    """Linearly interpolated quantile of the observed values."""
    position = level * ordered.last.astype(ordered.values.dtype)
    low = jnp.floor(position).astype(jnp.int32)
    below, above = ordered.at(low), ordered.at(jnp.minimum(low + 1, ordered.last))
    return below + (position - low) * (above - below)


def inner_range(ordered: Ordered, tail: float) -> Float[Array, "B 1"]:
    """Range of the values between two tails, each of at least one value.

    It is not above 0 if fewer than four values are observed.
    """
    low = jnp.maximum(jnp.ceil(tail * ordered.last).astype(jnp.int32), 1)
    low = jnp.minimum(low, ordered.last)
    return ordered.at(ordered.last - low) - ordered.at(low)


def first_sound(spread: Float[Array, "B 1"], ordered: Ordered) -> Float[Array, "B 1"]:
    """The inter-quartile range `spread` if it is above rounding, else a wider range, else 1.

    The reference divides by 1e-10 if more than half of the values are equal. Here the scale is the
    first of `WIDER_RANGES` that is above rounding, or the range of all values if only one differs
    from the others, times the last factor. If all values are equal, it is 1.
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
    """Median (the lower one of two) and inter-quartile range of the observed values."""
    count = observed.sum(axis=-1, keepdims=True)
    ordered = Ordered(ascending(jnp.where(observed, values, jnp.inf)), count)
    spread = quantile(ordered, 0.75) - quantile(ordered, 0.25)
    spread = first_sound(spread, ordered) if safe else jnp.maximum(spread, 1e-10)
    median, anything = ordered.at(ordered.last // 2), count > 0
    return Scale(jnp.where(anything, median, 0), jnp.where(anything, spread, 1))


def mean_scale(values: Float[Array, "B T"], observed: Bool[Array, "B T"], safe: bool) -> Scale:
    """Location 0 and the mean absolute value; scale 1 if nothing is observed.

    The reference gives a series without observations the average scale of its batch. Here a series
    never depends on the others of its batch.
    """
    magnitude = weighted_mean(jnp.abs(values), observed)
    sound = magnitude > SMALLEST_SCALE if safe else observed.any(axis=-1, keepdims=True)
    floor = 0.0 if safe else 1e-10
    return Scale(jnp.zeros_like(magnitude), jnp.where(sound, jnp.maximum(magnitude, floor), 1))


def std_scale(values: Float[Array, "B T"], observed: Bool[Array, "B T"]) -> Scale:
    """Mean and `sqrt(biased variance + 1e-5)`, as in the reference.

    The deviations are divided by the largest one before they are squared, since the sum of the
    squares of values of 1e18 exceeds float32.
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
      values: The past. Values at unobserved places are ignored.
      observed: Which values were observed.
      scaling: `robust`, `mean`, `std` or `none` (location 0, scale 1).
      safe: Replace a degenerate scale. `False` is the rule of the reference implementation
        (https://github.com/time-series-foundation-models/lag-llama).

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
