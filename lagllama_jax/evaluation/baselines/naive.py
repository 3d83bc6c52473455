"""Classical forecasters behind one function: what a model must beat.

`naive` and `seasonal_naive` are this package's own, with the normal quantiles of statsforecast's
models of the same names, hence of GIFT-Eval's; the others are other people's, from extras.
"""

import functools
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from scipy.stats import norm

from lagllama_jax.errors import ConfigError

Pasts: TypeAlias = Sequence[Float[np.ndarray, "T"]]
Baseline: TypeAlias = Callable[[Pasts, int, int, Sequence[float]], Float[np.ndarray, "B Q P"]]


def _last_season(past: Float[np.ndarray, "T"], season: int) -> Float[np.ndarray, "season"]:
    """The latest observed value of each phase of the season, oldest phase first.

    A phase never observed takes the latest value of all; with nothing observed, 0.
    """
    whole = -(-len(past) // season) * season
    padding = np.full(whole - len(past), np.nan)
    phases = np.concatenate([padding, past]).reshape(-1, season)
    there = np.isfinite(phases)
    latest = phases[len(phases) - 1 - there[::-1].argmax(0), np.arange(season)]
    observed = past[np.isfinite(past)]
    return np.where(there.any(0), latest, observed[-1] if len(observed) else 0.0)


def _seasonal_normal(
    past: Float[np.ndarray, "T"], prediction_length: int, season: int
) -> tuple[Float[np.ndarray, "P"], Float[np.ndarray, "P"]]:
    """Mean and deviation of the last season repeated; each season ahead adds its variance."""
    season = season if len(past) > season else 1
    steps = np.arange(prediction_length)
    mean = _last_season(past, season)[steps % season]
    difference = np.subtract(past[season:], past[:-season], dtype=np.float64)
    observed = difference[np.isfinite(difference)]
    sigma = np.sqrt(np.mean(np.square(observed))) if len(observed) else 0.0
    return mean, sigma * np.sqrt(steps // season + 1.0)


def seasonal_naive(
    past: Pasts, prediction_length: int, season: int, levels: Sequence[float]
) -> Float[np.ndarray, "B Q P"]:
    """The last season again; normal quantiles from the mean squared seasonal difference.

    Args:
      past: of each window; NaN is missing. One no longer than a season is forecast as by `naive`.
      prediction_length: points ahead.
      season: points of a season.
      levels: quantile levels, in (0, 1).

    Returns:
      Quantiles of each window, level and point, in the units of the series.
    """
    moments = [_seasonal_normal(values, prediction_length, season) for values in past]
    mean, sigma = (np.stack(parts)[:, None] for parts in zip(*moments, strict=True))
    return mean + sigma * norm.ppf(np.asarray(levels))[:, None]


def naive(
    past: Pasts, prediction_length: int, season: int, levels: Sequence[float]
) -> Float[np.ndarray, "B Q P"]:
    """The last value again, as a random walk: `seasonal_naive` with a season of one point.

    Args:
      past: of each window; NaN is missing.
      prediction_length: points ahead.
      season: not looked at; there so that all baselines are called alike.
      levels: quantile levels, in (0, 1).

    Returns:
      Quantiles of each window, level and point, in the units of the series.
    """
    return seasonal_naive(past, prediction_length, 1, levels)


STATISTICAL = ("auto_ets", "auto_theta", "auto_arima")
SEEDED = ("deepar",)
BASELINES = ("naive", "seasonal_naive", *STATISTICAL, *SEEDED)


def baseline(name: str, seed: int = 0) -> Baseline:
    """The baseline called `name`: takes pasts, horizon, season and levels, gives quantiles.

    `naive` and `seasonal_naive` are this module's; `auto_ets`, `auto_theta` and `auto_arima` need
    the extra `baselines`, `deepar` the extra `deepar`.

    Args:
      name: one of `BASELINES`.
      seed: decides the training and the draws of those in `SEEDED`; the others draw nothing.

    Raises:
      ConfigError: no such baseline.
    """
    if name not in BASELINES:
        raise ConfigError(f"{name!r} is not a baseline; there are {', '.join(BASELINES)}.")
    if name in STATISTICAL:
        from lagllama_jax.evaluation.baselines.statistical import statistical

        return functools.partial(statistical, name)
    if name == "deepar":
        from lagllama_jax.evaluation.baselines.deepar import deepar

        return functools.partial(deepar, seed=seed)
    return naive if name == "naive" else seasonal_naive
