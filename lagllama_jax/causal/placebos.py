"""False interventions: what an estimator finds where nothing happened."""

import warnings
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from lagllama_jax.causal.pasts import earlier
from lagllama_jax.causal.study import Study
from lagllama_jax.config import ForecastConfig
from lagllama_jax.errors import ConfigError
from lagllama_jax.inference.forecast import Predictor
from lagllama_jax.inference.settings import own_settings
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float, Int

PLACEBOS = 20
"""Number of false dates, unless another is asked for."""
FEWEST_BEFORE = 6
"""Number of points before a false intervention."""
MOST_SAMPLES = 100


class Trial(NamedTuple):
    """The result of one false intervention.

    Attributes:
      kind: `time`: a false date before the true one. `space`: the true date, and a control as if it
        were treated.
      unit: Name of the treated unit, or of the control.
      time: Time stamp or number of the first step after the false intervention.
      steps: Number of time steps after it.
      effect: Mean difference of actual and predicted values.
      deviation: Standard deviation of the predicted mean.
      error: Mean absolute difference of the points, in standard deviations of the past.
    """

    kind: Literal["time", "space"]
    unit: str
    time: object
    steps: int
    effect: float
    deviation: float
    error: float

    @property
    def score(self) -> float:
        """The effect in standard deviations of the predicted mean."""
        return self.effect / self.deviation


EQUAL = 0.1
"""Share of paths with the value of the median, above which there is a point mass."""


def middles(samples: Float[np.ndarray, "S P"]) -> Float[np.ndarray, "P"]:
    """The median of each point, or its mean where many paths have the same value as the median.

    The median of rare counts is 0, which says nothing about their sum.

    >>> middles(np.array([[0.0, 1], [0, 2], [0, 6], [4, 3]])).tolist()
    [1.0, 2.5]
    """
    median = np.median(samples, axis=0)
    equal = (samples == median).sum(axis=0)
    return np.where(equal > max(2, EQUAL * len(samples)), samples.mean(axis=0), median)


def summarised(
    samples: Float[np.ndarray, "S P"], actual: Float[np.ndarray, "P"]
) -> tuple[float, float, Float[np.ndarray, "P"]]:
    """The mean effect, the standard deviation of the predicted mean, and the effect of each point.

    The standard deviation is half of the central interval of 68 %, which outliers do not move.
    """
    observed = np.isfinite(actual)
    effects = actual - middles(samples)
    means = samples[:, observed].mean(axis=1)
    low, high = np.quantile(means, stats.norm.cdf([-1.0, 1.0]))
    floor = 1e-9 * max(float(np.abs(means).max()), 1e-300)
    return float(effects[observed].mean()), max(float(high - low) / 2, floor), effects


FEWEST_SAMPLES = 40
"""Number of sample paths below which an interval of 95 % has no paths beyond its ends."""


def check_samples(num_samples: int) -> None:
    """Warns of too few sample paths for intervals."""
    if num_samples < FEWEST_SAMPLES:
        warnings.warn(
            f"num_samples={num_samples} is too few: intervals of 95 % are too narrow. Take "
            f"{FEWEST_SAMPLES} or more.",
            stacklevel=3,
        )


def draw(
    estimator: Predictor, dataset: SeriesDataset, steps: int, config: ForecastConfig
) -> Float[np.ndarray, "B S P"]:
    """Sample paths of an estimator, without the warnings of single trials.

    Raises:
      ConfigError: If the predictor draws no sample paths.
    """
    with own_settings(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        forecast = estimator.predict(dataset, steps, config)
    if forecast.samples is None:
        raise ConfigError("The predictor draws no sample paths, which effects need.")
    return np.asarray(forecast.samples, np.float64)


def false_dates(study: Study, count: int) -> tuple[Int[np.ndarray, "J"], int, float]:
    """Numbers of time steps before false interventions.

    Returns:
      The numbers, the length of the period after, and how many separate periods there are.
    """
    before = study.before
    steps = min(study.after, max(before // 2, 1))
    first = max(before // 3, FEWEST_BEFORE)
    if before - steps < first or count == 0:
        return np.zeros(0, int), steps, 0.0
    ends = np.unique(np.linspace(first, before - steps, count).round().astype(int))
    return ends, steps, min(float(len(ends)), (before - first) / steps)


def in_time(study: Study, estimator: Predictor, config: ForecastConfig, count: int) -> list[Trial]:
    """Trials at false dates before the true one, `count` per treated unit.

    Nothing at or after the true intervention is used.
    """
    ends, steps, _ = false_dates(study, count)
    if not len(ends):
        return []
    units = len(study.units)
    rows = np.repeat(np.arange(units), len(ends)).tolist()
    all_ends = np.tile(ends, units)
    past = earlier(study.dataset, rows, all_ends)
    drawn = draw(estimator, past, steps, _cheap(config))
    trials = []
    for row, end, samples in zip(rows, all_ends.tolist(), drawn, strict=True):
        target = study.dataset.targets[row][0]
        actual = target[end : end + steps]
        if np.isfinite(actual).any():
            trials.append(_trial("time", study, (study.units[row], end), samples, actual, target))
    return trials


def in_space(study: Study, estimator: Predictor, config: ForecastConfig, count: int) -> list[Trial]:
    """Trials of the true date in which a control stands for a treated unit, at most `count`.

    The other controls are its controls, and the treated units are not used. With a single control
    there are no trials. The controls stand for the units in turn, as these may have dates of their
    own.
    """
    names, before = study.controls, study.before
    if len(names) < 2 or count == 0:
        return []
    assert study.dataset.known_covariates is not None
    known = study.dataset.known_covariates
    rng = np.random.default_rng(config.seed)
    chosen = np.sort(rng.permutation(len(names))[:count]).tolist()
    units = [number % len(study.units) for number in range(len(chosen))]
    titles = [f"control {names[row]}" for row in chosen]
    dataset = replace(
        study.dataset.take(units),
        item_ids=titles,
        labels=titles,
        targets=[known[unit][row, None, :before] for unit, row in zip(units, chosen, strict=True)],
        known_covariates=[
            np.delete(known[unit], row, axis=0) for unit, row in zip(units, chosen, strict=True)
        ],
        known_names=tuple(f"control {number}" for number in range(len(names) - 1)),
    )
    drawn = draw(estimator, dataset, study.after, _cheap(config))
    trials = []
    for unit, row, samples in zip(units, chosen, drawn, strict=True):
        past, actual = np.split(known[unit][row], [before])
        trials.append(_trial("space", study, (names[row], before), samples, actual, past))
    return trials


def _trial(
    kind: Literal["time", "space"],
    study: Study,
    place: tuple[str, int],
    samples: Float[np.ndarray, "S P"],
    actual: Float[np.ndarray, "P"],
    past: Float[np.ndarray, "T"],
) -> Trial:
    unit, end = place
    effect, deviation, effects = summarised(samples, actual)
    error = float(np.nanmean(np.abs(effects)) / np.nanstd(past))
    return Trial(kind, unit, study.times[end], len(actual), effect, deviation, error)


def _cheap(config: ForecastConfig) -> ForecastConfig:
    count = config.num_samples or MOST_SAMPLES
    return config.replace(num_samples=min(count, MOST_SAMPLES))
