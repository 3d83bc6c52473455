"""`WithDailyMeans`: a predictor whose long forecasts of hourly series agree with daily ones."""

from dataclasses import dataclass, replace

import numpy as np

from lagllama_jax.config import ForecastConfig
from lagllama_jax.inference.aggregation import points_per_day
from lagllama_jax.inference.forecast import Forecast, Predictor
from lagllama_jax.inference.marginals import Marginals
from lagllama_jax.inference.method import method_of
from lagllama_jax.inference.predictor import ModelPredictor, matched
from lagllama_jax.series.blocks import SHORTEST
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float, Int

HOURS = 24
"""Smallest number of points per day of a series."""
FEWEST = 3
"""Smallest number of days of a horizon."""
RISE = 7
"""Number of days over which the weight of the daily forecast rises."""
MOST = 0.5
"""Largest weight of the daily forecast."""
OBSERVED = 0.98
"""Smallest share of observed points. Otherwise the mean of a day may be that of some hours."""


@dataclass(frozen=True)
class WithDailyMeans:
    """Moves long forecasts of hourly and sub-hourly series towards forecasts of their daily means.

    The context of the model is two or three days of hours, but two months of daily means, which
    tell more about the level after some days. So the daily means are forecast too, and the
    distribution of the mean of each day is averaged with that of the points (a temporal
    hierarchy, https://doi.org/10.1016/j.ejor.2017.02.046). The weight of the daily forecast rises
    from 0 to `MOST` in the first `RISE` days.

    This is done with `config.coarsen="auto"`, in one pass, if the horizon has at least `FEWEST`
    days, and if the last `SHORTEST` days are known and nearly all of their points were observed.
    Other forecasts are those of the predictor, bit for bit.

    Attributes:
      predictor: Predictor of the points.
      daily: Predictor of the daily means.
    """

    predictor: Predictor
    daily: ModelPredictor

    def predict(
        self, dataset: SeriesDataset, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        """Forecasts the points that follow each item, in the units of the item.

        Args:
          dataset: The series.
          prediction_length: Number of time steps to forecast.
          config: Options of the forecast.
        """
        usual = self.predictor.predict(dataset, prediction_length, config)
        if usual.marginals is None or config.coarsen != "auto":
            return usual
        days = days_of(dataset, prediction_length)
        if not days.any():
            return usual
        alone = config.replace(method="one_pass", num_samples=None, match_marginals=False)
        rows = np.arange(len(usual)).reshape(len(dataset), -1)
        marginals = Marginals(*(part.copy() for part in usual.marginals))
        for day in np.unique(days[days > 0]).tolist():
            items = np.flatnonzero(days == day)
            means = dataset.take(items.tolist()).coarsen(day)
            found = self.daily.predict(means, prediction_length // day, alone).marginals
            assert found is not None  # as `method="one_pass"` gives them
            place = rows[items].ravel()
            points = Marginals(*(part[place] for part in marginals))
            for whole, part in zip(marginals, averaged(points, found, day), strict=True):
                whole[place] = part
        samples = usual.samples
        if samples is not None and method_of(self.daily.model, config).match:
            samples = np.maximum(matched(samples, marginals), usual.lowest)
        return replace(usual, marginals=marginals, samples=samples)


def days_of(dataset: SeriesDataset, prediction_length: int) -> Int[np.ndarray, "n"]:
    """Number of points per day of the items whose daily means are forecast too, and 0 for others.

    All variates of an item are, if each of them was observed.
    """
    days = np.array([points_per_day(frequency) for frequency in dataset.frequencies], int)
    used = (days >= HOURS) & (prediction_length >= FEWEST * days)
    used &= dataset.lengths >= SHORTEST * days
    for item in np.flatnonzero(used).tolist():
        recent = dataset.targets[item][:, -SHORTEST * days[item] :]
        used[item] = np.isfinite(recent).mean(axis=1).min() >= OBSERVED
    return np.where(used, days, 0)


def averaged(points: Marginals, means: Marginals, day: int) -> Marginals:
    """The distributions of points, after those of their daily means are averaged with others.

    The errors of the points of a day are taken to rise and fall together. So the quantiles of their
    mean are the means of their quantiles, and a change of the mean is divided among the points in
    proportion to their scales. Between the middles of the days, changes are interpolated.

    Args:
      points: Distributions of the points.
      means: Distributions of the means of the days that are complete.
      day: Number of points per day.

    >>> one = np.ones((1, 480))
    >>> law = Marginals(5 * one, 10 * one, 2 * one)
    >>> daily = Marginals(5 * one[:, :20], 14 * one[:, :20], 1 * one[:, :20])
    >>> averaged(law, daily, 24).loc[0, [0, 84, 168, 479]].tolist()
    [10.0, 11.0, 12.0, 12.0]
    >>> averaged(law, daily, 24).scale[0, [0, 84, 168, 479]].tolist()
    [2.0, 1.75, 1.5, 1.5]
    """
    steps, count = points.loc.shape[1], means.loc.shape[1]
    loc, scale = (
        part[:, : count * day].reshape(-1, count, day).mean(axis=2)
        for part in (points.loc, points.scale)
    )
    known = scale > 0
    unit = np.where(known, scale, 1)
    moved = _between(np.where(known, (means.loc - loc) / unit, 0), day, steps)
    wider = _between(np.where(known, means.scale / unit - 1, 0), day, steps)
    weight = MOST * np.minimum(np.arange(steps) / (RISE * day), 1)
    return Marginals(
        points.df,
        points.loc + weight * moved * points.scale,
        points.scale * (1 + weight * wider),
    )


def _between(
    values: Float[np.ndarray, "B D"], day: int, prediction_length: int
) -> Float[np.ndarray, "B P"]:
    """Values of days, interpolated linearly between the middles of the days."""
    middles = (np.arange(values.shape[1]) + 0.5) * day - 0.5
    steps = np.arange(prediction_length)
    return np.stack([np.interp(steps, middles, row) for row in values])
