"""How far forecast(a x) is from a forecast(x)."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from lagllama_jax.evaluation.forecasters import Forecaster
from lagllama_jax.evaluation.metrics import LEVELS
from lagllama_jax.evaluation.windows import Windows


def unit_difference(
    forecaster: Forecaster,
    windows: Windows,
    factor: float = 1000.0,
    levels: Sequence[float] = LEVELS,
) -> float:
    """Median relative difference of forecast(factor * x) and factor * forecast(x).

    Over all windows, levels and steps, relative to the size of `factor * forecast(x)`; the draws
    are the same for both.

    Args:
      forecaster: what is asked twice.
      windows: whose pasts are forecast as they are, and times `factor`.
      factor: from the one unit to the other.
      levels: quantile levels that are compared.

    Returns:
      A share without a unit: 0 for a model that does not mind the unit of its input, and where
      every forecast is 0.
    """
    pasts = [factor * past for past in windows.past]
    scaled = dataclasses.replace(windows, past=pasts, target=factor * windows.target)
    expected = factor * forecaster(windows, levels).quantiles
    found = forecaster(scaled, levels).quantiles
    sized = expected != 0
    difference = np.abs(found - expected)[sized] / np.abs(expected[sized])
    return float(np.median(difference)) if difference.size else 0.0
