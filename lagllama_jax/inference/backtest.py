"""Forecasts of the past: their options, their loss, and how a part of a series is added again."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import special

from lagllama_jax.config import DEFAULT_LEVELS, ForecastConfig
from lagllama_jax.inference.forecast import Forecast
from lagllama_jax.typing import Float

JUDGED_SAMPLES = 25
"""Number of sample paths of a forecast of the past."""


def cheap(config: ForecastConfig) -> ForecastConfig:
    """The options of forecasts of the past: in one pass, or by few paths if these are asked for."""
    paths = config.method == "paths"
    return config.replace(
        method="paths" if paths else "auto",
        num_samples=JUDGED_SAMPLES if paths else None,
        match_marginals=False,
        nonnegative=False,
        quantile_levels=DEFAULT_LEVELS,
    )


def loss(
    quantiles: Float[np.ndarray, "#V Q P"],
    truth: Float[np.ndarray, "V P"],
    levels: Sequence[float] = DEFAULT_LEVELS,
) -> Float[np.ndarray, "V"]:
    """Sum over the observed points of the mean quantile loss at some levels."""
    level = np.array(levels)[:, None]
    error = truth[:, None] - quantiles
    losses = np.maximum(level * error, (level - 1) * error).mean(axis=1)
    return np.nansum(losses, axis=1)


def added(
    forecast: Forecast,
    effect: Float[np.ndarray, "B P"],
    lowest: float,
    deviation: Float[np.ndarray, "B P"] | None = None,
    normals: Float[np.ndarray, "B S"] | None = None,
) -> Forecast:
    """Adds a part that was removed from the series to their forecast.

    Args:
      forecast: The forecast of the rest.
      effect: The part.
      lowest: Smallest possible value of the sum.
      deviation: Standard deviation of the part. `None`: it is certain.
      normals: Standard normal numbers for the error of the part in each sample path.
    """
    changes: dict[str, Any] = {"lowest": lowest}
    if forecast.marginals is not None:
        law = forecast.marginals
        inside = law.side == 0
        loc, scale = law.loc + np.where(inside, effect, 0.0), law.scale
        if deviation is not None:
            more = deviation * np.sqrt((law.df - 2) / law.df)
            scale = np.hypot(scale, np.where(inside, more, 0.0))
        moved = {"usual": law.usual + effect, "center": law.center + effect}
        changes["marginals"] = law._replace(loc=loc, scale=scale, **moved)
    if forecast.samples is not None:
        sums = forecast.samples + effect[:, None]
        if deviation is not None and normals is not None:
            sums = sums + normals[:, :, None] * deviation[:, None]
        changes["samples"] = np.maximum(sums, lowest)
    if forecast.values is not None:
        values = forecast.values if deviation is None else _wider(forecast, deviation)
        changes["values"] = np.maximum(values + effect[:, None], lowest)
    if forecast.means is not None:
        changes["means"] = np.maximum(forecast.means + effect, lowest)
    return replace(forecast, **changes)


def _wider(forecast: Forecast, deviation: Float[np.ndarray, "B P"]) -> Float[np.ndarray, "B Q P"]:
    """The quantiles of a forecast, with the error of a part that is added."""
    assert forecast.values is not None
    levels = np.asarray(forecast.quantile_levels)
    normal = special.ndtri(levels)[:, None] * deviation[:, None]
    order = np.argsort(levels)
    place = np.interp(0.5, levels[order], np.arange(len(levels)))
    around = forecast.values[:, order[[int(place), int(np.ceil(place))]]]
    middle = around[:, :1] + (place % 1) * (around[:, 1:] - around[:, :1])
    far = np.hypot(forecast.values - middle, normal)
    return middle + far * np.sign(levels - 0.5)[:, None]
