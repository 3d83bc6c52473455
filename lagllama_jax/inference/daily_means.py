"""`WithDailyMeans`: a predictor whose long forecasts of hourly series agree with daily ones."""

from dataclasses import dataclass, replace

import numpy as np

from lagllama_jax.config import ForecastConfig
from lagllama_jax.inference.aggregation import points_per_day
from lagllama_jax.inference.forecast import Forecast, Predictor
from lagllama_jax.inference.marginals import Marginals
from lagllama_jax.inference.method import method_of
from lagllama_jax.inference.predictor import ModelPredictor, matched
from lagllama_jax.series.blocks import SHORTEST, between_means
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float, Int

HOURS = 24
"""Smallest number of points per day of a series."""
FEWEST = 3
"""Smallest number of days of a horizon."""
OBSERVED = 0.98
"""Smallest share of observed points. Otherwise the mean of a day may be that of some hours."""
WHOLE = 0.9
"""Smallest share of the points of a day that must be observed. Otherwise its mean is unknown."""


@dataclass(frozen=True)
class WithDailyMeans:
    """Moves long forecasts of hourly and sub-hourly series towards forecasts of their daily means.

    The context of the model is two or three days of hours, but two months of daily means, which
    tell more about the level after some days. So the daily means are forecast too, and the
    locations of the points are moved towards them (a temporal hierarchy,
    https://doi.org/10.1016/j.ejor.2017.02.046). The widths of the distributions stay, because the
    forecast of a mean does not tell how much the points differ from it.

    This is done with `config.coarsen="auto"`, in one pass, if the horizon has at least `FEWEST`
    days, and if the last `SHORTEST` days are known and nearly all of their points were observed.
    Other forecasts are those of the predictor, bit for bit.

    Attributes:
      predictor: Predictor of the points.
      daily: Predictor of the daily means.
      weight: The largest weight of the daily forecast, from 0 to 1.
      rise: Number of days over which the weight rises from 0.
      most: Largest change of a point, in multiples of its scale and before it is weighted. The
        forecasts of rare events differ by more, one being a median and the other a mean.
    """

    predictor: Predictor
    daily: ModelPredictor
    weight: float = 0.5
    rise: float = 7.0
    most: float = 2.0

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
        rows = np.arange(len(usual)).reshape(len(dataset), -1)
        loc = usual.marginals.loc.copy()
        for day in np.unique(days[days > 0]).tolist():
            items = np.flatnonzero(days == day)
            means = dataset.take(items.tolist()).coarsen(day, WHOLE)
            found = self.daily.marginals(means, prediction_length // day, config)
            place = rows[items].ravel()
            points = usual.marginals.take(place)
            weight = self.weight * np.minimum(np.arange(prediction_length) / (self.rise * day), 1)
            loc[place] += weight * changes(points, found.loc, day, self.most)
        marginals = usual.marginals._replace(loc=loc)
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
        day = int(days[item])
        seen = np.isfinite(dataset.targets[item][:, -SHORTEST * day :])
        used[item] = (seen.mean(axis=1) >= OBSERVED).all()
        used[item] &= (seen[:, -day:].mean(axis=1) >= WHOLE).all()
    return np.where(used, days, 0)


def changes(
    points: Marginals, means: Float[np.ndarray, "B D"], day: int, most: float
) -> Float[np.ndarray, "B P"]:
    """What has to be added to the locations of points so that their daily means are others.

    It is divided among the points of a day in proportion to their scales, so that certain points
    stay. Between the middles of the days, it is interpolated.

    Args:
      points: Distributions of the points.
      means: The means of the days that are complete.
      day: Number of points per day.
      most: Largest change, in multiples of the scale of the point.

    >>> one = np.ones((1, 480))
    >>> law = Marginals.student_t(5 * one, 10 * one, 2 * one)
    >>> changes(law, 13 * one[:, :20], 24, most=2.0)[0, [0, 84, 479]].tolist()
    [3.0, 3.0, 3.0]
    >>> changes(law, 99 * one[:, :20], 24, most=2.0)[0, [0, 84, 479]].tolist()
    [4.0, 4.0, 4.0]
    """
    steps, count = points.loc.shape[1], means.shape[1]
    loc, scale = (
        part[:, : count * day].reshape(-1, count, day).mean(axis=2)
        for part in (points.loc, points.scale)
    )
    change, unit = (_between(part, day, steps) for part in (means - loc, scale))
    units = np.divide(change, unit, out=np.zeros_like(change), where=unit > 0)
    return np.clip(units, -most, most) * points.scale


def _between(
    values: Float[np.ndarray, "B D"], day: int, prediction_length: int
) -> Float[np.ndarray, "B P"]:
    """`between_means` of days. Before the first middle and after the last, the values stay."""
    points = between_means(np.pad(values, ((0, 0), (1, 1)), "edge"), day).reshape(len(values), -1)
    return np.pad(points, ((0, 0), (0, prediction_length - points.shape[1])), "edge")
