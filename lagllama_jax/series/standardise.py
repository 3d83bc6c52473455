"""Centres and scales raw values in float64, before they are converted to float32.

In float32, a series with a level of 1e9 and a range of 20 loses its shape. Values are therefore
sent to the device as `(raw - center) / unit`, and converted back to `center + unit * value` in
float64. The unit is a power of two, so that the division is exact.
"""

from typing import NamedTuple

import numpy as np

from lagllama_jax.typing import Bool, Float

RANGES = ((0.25, 0.75), (0.05, 0.95), (0.01, 0.99), (0.0, 1.0))
"""Quantile ranges, of which the first that is above 0 is the spread."""
LEVELS = np.array([*(low for low, _ in RANGES), *(high for _, high in RANGES), 0.5])
FEWEST_CONSTANT = 3  # a shorter series does not count as constant
FURTHEST = 1e15  # values are clipped to so many units, so that their squares are finite


class Standard(NamedTuple):
    """Center and unit of each series.

    Attributes:
      center: The lower median of the observed values, 0 if nothing is observed.
      unit: A power of two near the spread. If all values are equal, it is a power of two near the
        value, or 1 if the value is 0.
      constant: Whether the series has at least `FEWEST_CONSTANT` values, all of which are equal.
    """

    center: Float[np.ndarray, "*n"]
    unit: Float[np.ndarray, "*n"]
    constant: Bool[np.ndarray, "*n"]

    def apply(self, raw: Float[np.ndarray, "*n T"]) -> Float[np.ndarray, "*n T"]:
        """Converts raw values to `(raw - center) / unit` in float32. NaN remains NaN."""
        with np.errstate(over="ignore"):
            scaled = (raw - self.center[..., None]) / self.unit[..., None]
        return np.clip(scaled, -FURTHEST, FURTHEST).astype(np.float32)


def standard_of(raw: Float[np.ndarray, "*n T"]) -> Standard:
    """Computes the center and unit of series in float64, which are NaN where a value is missing.

    The center of whole numbers is a whole number. If their range is below 2**23, they are restored
    exactly.

    >>> standard_of(np.array([1e9, 1e9 + 20, 1e9 + 10, np.nan]))[:2]
    (array(1.00000001e+09), np.float64(8.0))
    """
    ordered = np.sort(raw, axis=-1)  # NaN comes last
    last = np.maximum(np.isfinite(ordered).sum(axis=-1, keepdims=True) - 1, 0)
    places = np.floor(LEVELS * last).astype(np.int64)
    quantiles = np.take_along_axis(ordered, places, axis=-1)
    quantiles = np.where(np.isnan(quantiles), 0.0, quantiles)
    low, high, center = np.split(quantiles, [len(RANGES), 2 * len(RANGES)], axis=-1)
    halves = high / 2 - low / 2  # high - low could overflow
    first = np.argmax(halves > 0, axis=-1, keepdims=True)
    spread = np.take_along_axis(halves, first, axis=-1)[..., 0]
    varied = spread > 0
    half = np.where(varied, spread, np.abs(center[..., 0]) / 2)
    exponent = np.clip(np.round(np.log2(np.where(half > 0, half, 0.5))) + 1, -1000, 1000)
    constant = ~varied & (last[..., 0] + 1 >= FEWEST_CONSTANT)
    return Standard(center[..., 0], np.exp2(exponent), constant)
