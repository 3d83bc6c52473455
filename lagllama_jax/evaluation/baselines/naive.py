"""The naive and the seasonal naive forecast, with the normal quantiles of statsforecast."""

from typing import ClassVar

import numpy as np
from scipy.stats import norm

from lagllama_jax.evaluation.baselines.baseline import Asked, Baseline
from lagllama_jax.typing import Float


class SeasonalNaive(Baseline):
    """Repeats the last season, with normal quantiles.

    The variance is the mean squared seasonal difference of the past, times the number of seasons
    ahead. If the past is not longer than one season, the forecast is that of `Naive`.
    """

    name: ClassVar[str] = "seasonal_naive"

    def quantiles(self, asked: Asked) -> Float[np.ndarray, "B Q P"]:
        """See `Baseline.quantiles`."""
        steps, season = asked.prediction_length, asked.season
        moments = [_seasonal_normal(past, steps, season) for past in asked.pasts]
        mean, sigma = (np.stack(parts)[:, None] for parts in zip(*moments, strict=True))
        return mean + sigma * norm.ppf(np.asarray(asked.levels))[:, None]


class Naive(SeasonalNaive):
    """Repeats the last value, as a random walk. The season is ignored."""

    name: ClassVar[str] = "naive"

    def quantiles(self, asked: Asked) -> Float[np.ndarray, "B Q P"]:
        """See `Baseline.quantiles`."""
        return super().quantiles(asked._replace(season=1))


def _last_season(past: Float[np.ndarray, "T"], season: int) -> Float[np.ndarray, "season"]:
    """The latest observed value of each phase, oldest phase first; if none, the latest of all."""
    padding = np.full(-len(past) % season, np.nan)
    phases = np.concatenate([padding, past]).reshape(-1, season)
    there = np.isfinite(phases)
    latest = phases[len(phases) - 1 - there[::-1].argmax(0), np.arange(season)]
    observed = past[np.isfinite(past)]
    return np.where(there.any(0), latest, observed[-1] if len(observed) else 0.0)


def _seasonal_normal(
    past: Float[np.ndarray, "T"], prediction_length: int, season: int
) -> tuple[Float[np.ndarray, "P"], Float[np.ndarray, "P"]]:
    """Mean and standard deviation of each point ahead."""
    season = season if len(past) > season else 1
    steps = np.arange(prediction_length)
    mean = _last_season(past, season)[steps % season]
    difference = np.subtract(past[season:], past[:-season], dtype=np.float64)
    observed = difference[np.isfinite(difference)]
    sigma = np.sqrt(np.mean(np.square(observed))) if len(observed) else 0.0
    return mean, sigma * np.sqrt(steps // season + 1.0)
