"""Loc and scale of a series, from its observed past: the reference's four scalers."""

from typing import NamedTuple

import jax.numpy as jnp

from lagllama_jax.typing import Array, Bool, Float, Int

SOUND_SHARE = 1e-3
"""An inter-quartile range below this share of the standard deviation is not sound."""
ROUNDING_SHARE = 1e-6
"""A standard deviation below this share of the mean absolute value is float32 rounding."""
SMALLEST_SCALE = 1e-30
"""Below this a safe scale counts as 0: what is divided by it would overflow float32."""


class Scale(NamedTuple):
    """The pair by which a series is standardised: `(x - loc) / scale`."""

    loc: Float[Array, "B 1"]
    scale: Float[Array, "B 1"]

    def standardise(self, values: Float[Array, "B T"]) -> Float[Array, "B T"]:
        """From the series' units to scaled ones."""
        return (values - self.loc) / self.scale


def weighted_mean(values: Float[Array, "B T"], observed: Bool[Array, "B T"]) -> Float[Array, "B 1"]:
    """Mean of the observed values; 0 where there are none."""
    total = jnp.sum(jnp.where(observed, values, 0), axis=-1, keepdims=True)
    return total / jnp.maximum(observed.sum(axis=-1, keepdims=True), 1)


def sorted_quantile(
    ordered: Float[Array, "B T"], count: Int[Array, "B 1"], level: float
) -> Float[Array, "B 1"]:
    """Linearly interpolated quantile of the first `count` of the sorted values."""
    position = level * jnp.maximum(count - 1, 0).astype(ordered.dtype)
    low = jnp.floor(position).astype(jnp.int32)
    high = jnp.minimum(low + 1, jnp.maximum(count - 1, 0))
    below = jnp.take_along_axis(ordered, low, axis=-1)
    above = jnp.take_along_axis(ordered, high, axis=-1)
    return below + (position - low) * (above - below)


def robust_scale(values: Float[Array, "B T"], observed: Bool[Array, "B T"], safe: bool) -> Scale:
    """Median (the lower middle one) and inter-quartile range of the observed values."""
    count = observed.sum(axis=-1, keepdims=True)
    ordered = jnp.sort(jnp.where(observed, values, jnp.inf), axis=-1)
    median = jnp.take_along_axis(ordered, jnp.maximum(count - 1, 0) // 2, axis=-1)
    spread = sorted_quantile(ordered, count, 0.75) - sorted_quantile(ordered, count, 0.25)
    anything = count > 0
    loc = jnp.where(anything, median, 0)
    if safe:
        scale = sound_scale(jnp.where(anything, spread, 0), values, observed)
    else:
        scale = jnp.where(anything, jnp.maximum(spread, 1e-10), 1)
    return Scale(loc, scale)


def sound_scale(
    spread: Float[Array, "B 1"], values: Float[Array, "B T"], observed: Bool[Array, "B T"]
) -> Float[Array, "B 1"]:
    """`spread` where it is sound, else the standard deviation, mean absolute value, or 1.

    Left on purpose from the reference, which divides by 1e-10 when more than half of the values
    are equal.
    """
    centred = values - weighted_mean(values, observed)
    deviation = jnp.sqrt(weighted_mean(centred**2, observed))
    magnitude = weighted_mean(jnp.abs(values), observed)
    fallback = jnp.where(magnitude > SMALLEST_SCALE, magnitude, 1)
    varied = deviation > jnp.maximum(ROUNDING_SHARE * magnitude, SMALLEST_SCALE)
    fallback = jnp.where(varied, deviation, fallback)
    sound = (spread > SMALLEST_SCALE) & (spread >= SOUND_SHARE * deviation)
    return jnp.where(sound, spread, fallback)


def mean_scale(values: Float[Array, "B T"], observed: Bool[Array, "B T"], safe: bool) -> Scale:
    """Loc 0 and the mean absolute value; 1 where nothing is observed.

    The reference gives a series without observations the average of its batch; a series here
    never depends on its neighbours.
    """
    magnitude = weighted_mean(jnp.abs(values), observed)
    sound = magnitude > SMALLEST_SCALE if safe else observed.any(axis=-1, keepdims=True)
    floor = 0.0 if safe else 1e-10
    return Scale(jnp.zeros_like(magnitude), jnp.where(sound, jnp.maximum(magnitude, floor), 1))


def std_scale(values: Float[Array, "B T"], observed: Bool[Array, "B T"]) -> Scale:
    """Mean and `sqrt(biased variance + 1e-5)`, as in the reference."""
    loc = weighted_mean(values, observed)
    return Scale(loc, jnp.sqrt(weighted_mean((values - loc) ** 2, observed) + 1e-5))


def fit_scale(
    values: Float[Array, "B T"], observed: Bool[Array, "B T"], scaling: str, safe: bool
) -> Scale:
    """Fits loc and scale on the observed past, in the units of the series.

    Args:
      values: the past; whatever stands at unobserved places is ignored.
      observed: which values were observed.
      scaling: `robust`, `mean`, `std` or `none` (loc 0, scale 1).
      safe: replace a degenerate scale; `False` gives the reference to the letter.
    """
    if scaling == "robust":
        return robust_scale(values, observed, safe)
    if scaling == "mean":
        return mean_scale(values, observed, safe)
    if scaling == "std":
        return std_scale(values, observed)
    zeros = jnp.zeros_like(values[:, :1])
    return Scale(zeros, zeros + 1)
