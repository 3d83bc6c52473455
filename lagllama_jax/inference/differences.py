"""`Differenced`: a predictor that forecasts nearly periodic series through seasonal differences."""

from dataclasses import dataclass, replace

import jax
import numpy as np

from lagllama_jax.config import DEFAULT_LEVELS, ForecastConfig
from lagllama_jax.inference.backtest import added, cheap, loss
from lagllama_jax.inference.forecast import Forecast, Predictor
from lagllama_jax.inference.method import TOGETHER
from lagllama_jax.inference.predictor import ranked_as
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float, Int

LONGEST, COMPARED = 168, 256
"""Number of lags that are compared, or a season if that is longer, and number of points by which
they are."""
RECENT = 4
"""Number of lags of the past in which differences have to be small, and values observed."""
SMALL = 0.2
"""Largest mean square of the differences, as a part of the variance."""
ROUNDING = 1e-12
"""Rounding of a sum of squares, as a part of it."""
WINDOWS = 3
"""Differences are used if they lower the loss in each of this many last horizons of the past."""


@dataclass(frozen=True)
class Differenced:
    """Forecasts series that repeat themselves nearly exactly through their seasonal differences.

    A model that reads scaled values tells them apart to a few per cent of their scale. A series
    such as a smooth daily cycle is predictable to less than that. Such a series is replaced by its
    differences at a lag that is not shorter than the horizon, and the values of the last seasons
    are added to the forecast.

    Differences are used for a target if they were small in the last seasons, and if they lower the
    loss in each of the last horizons of the past. The forecast is then the mean of both quantile
    functions, with weights inverse to the squares of these losses. Otherwise, it is that of the
    predictor, bit for bit. Differences are not used if the network sees several variates, if
    `config.coarsen` is a number above 1, or if sample paths are clipped at 0 on their way.

    Attributes:
      predictor: Predictor of series that end with an observed point.
      judge: The same predictor, whose progress is not reported: for differences and for the past.
    """

    predictor: Predictor
    judge: Predictor

    def predict(
        self, dataset: SeriesDataset, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        """Forecasts the points that follow each item, in the units of the item.

        Args:
          dataset: The series.
          prediction_length: Number of time steps to forecast.
          config: Options of the forecast. `difference` says whether differences may be used.
        """
        usual = self.predictor.predict(dataset, prediction_length, config)
        alone = config.covariates not in TOGETHER and config.coarsen in ("auto", 1)
        paths = config.num_samples is not None or config.method in ("paths", "both")
        if config.difference == "none" or not alone or (config.nonnegative and paths):
            return usual
        lags = candidates(dataset, prediction_length)
        weights = self._weights(dataset, lags, prediction_length, config)
        items = np.flatnonzero(weights.any(axis=1))
        if not items.size:
            return usual
        part = dataset.take(items.tolist())
        other = _through(self.judge, part, lags[items], prediction_length, config)
        return with_means(usual, other, items, weights)

    def _weights(
        self,
        dataset: SeriesDataset,
        lags: Int[np.ndarray, "n V"],
        steps: int,
        config: ForecastConfig,
    ) -> Float[np.ndarray, "n V"]:
        """The weight of the differences in the forecast of each target, from 0 to 1."""
        weights = np.zeros(lags.shape)
        rows = np.flatnonzero(lags.any(axis=1))
        if not rows.size:
            return weights
        shape = 2, WINDOWS, len(rows)  # without and with differences
        way, window, place = (part.ravel() for part in np.indices(shape))
        cases = rows[place]
        ends = dataset.lengths[cases] - steps * (window + 1)
        past = dataset.take(cases.tolist()).truncate(ends)
        tried = way[:, None] * lags[cases]
        found = _through(self.judge, past, tried, steps, cheap(config)).quantiles(DEFAULT_LEVELS)
        pairs = zip(cases.tolist(), ends.tolist(), strict=True)
        truth = np.concatenate([dataset.targets[row][:, end : end + steps] for row, end in pairs])
        usual, other = loss(found, truth).reshape(*shape, -1)
        weights[rows] = weights_of(usual, other)
        return weights


def weights_of(
    usual: Float[np.ndarray, "W *n"], other: Float[np.ndarray, "W *n"]
) -> Float[np.ndarray, "*n"]:
    """The weight of other forecasts by their loss and the usual one in W windows of the past.

    It is 0 unless the loss of the others is smaller in each window.

    >>> weights_of(np.array([[2.0], [2.0]]), np.array([[1.0], [1.0]]))
    array([0.8])
    """
    better = (other < usual).all(axis=0)
    ratio = np.ones(better.shape)
    np.divide(other.sum(axis=0), usual.sum(axis=0), out=ratio, where=better)
    return np.where(better, 1 / (1 + ratio**2), 0)


def with_means(
    usual: Forecast, other: Forecast, items: Int[np.ndarray, "n"], weights: Float[np.ndarray, "N V"]
) -> Forecast:
    """A forecast in which the quantiles of some rows are weighted means with another forecast.

    Args:
      usual: Forecast of all items.
      other: Forecast of some items, by the same method.
      items: Indices of these items.
      weights: Weight of `other` for each target. The rows of weight 0 stay as they are.
    """
    rows, place = (np.flatnonzero(part) for part in (weights, weights[items]))
    one = jax.tree.map(lambda field: field[rows], usual.arrays)
    two = jax.tree.map(lambda field: field[place], other.arrays)
    weight, mean = weights.ravel()[rows], dict(one)
    if one["marginals"] is not None:
        mean["marginals"] = one["marginals"].mean_with(two["marginals"], weight)
    if one["samples"] is not None:
        mean["samples"] = mean_of_paths(one["samples"], two["samples"], weight)

    def changed(whole: np.ndarray, part: np.ndarray) -> np.ndarray:
        whole = whole.copy()
        whole[rows] = part
        return whole

    return replace(usual, **jax.tree.map(changed, usual.arrays, mean))


def mean_of_paths(
    one: Float[np.ndarray, "n S P"], two: Float[np.ndarray, "n S P"], weight: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n S P"]:
    """Paths whose quantiles at each point are weighted means, with the ranks of the heavier ones.

    >>> steps = np.array([[[1.0, 3], [2, 2], [3, 1]]])
    >>> mean_of_paths(steps, 10 * steps[:, ::-1], np.array([0.25])).tolist()
    [[[3.25, 9.75], [6.5, 6.5], [9.75, 3.25]]]
    """
    share = weight[:, None, None]
    values = (1 - share) * np.sort(one, axis=1) + share * np.sort(two, axis=1)
    return ranked_as(np.where(share > 0.5, two, one), values)


def candidates(dataset: SeriesDataset, steps: int) -> Int[np.ndarray, "n V"]:
    """The lag at which each target repeats itself nearly, or 0."""
    lags = np.zeros((len(dataset), len(dataset.target_names)), int)
    pairs = zip(dataset.targets, dataset.frequencies, strict=True)
    for item, (target, frequency) in enumerate(pairs):
        count = max(LONGEST, 1 if frequency is None else frequency.season)
        for variate, past in enumerate(target):
            lag = closest_lag(past, steps, count)
            lags[item, variate] = lag if lag and repeats(past, lag) else 0
    return lags


def closest_lag(past: Float[np.ndarray, "T"], shortest: int, count: int) -> int:
    """The lag with the smallest mean square of the differences near the end of the series.

    Args:
      past: The series.
      shortest: The shortest lag.
      count: Number of lags. Those that are too long for the series are left out.

    Returns:
      The lag, the shortest one of several that are equal up to rounding. 0: all are too long, or
      values are missing.

    >>> hours = np.tile(np.sin(np.arange(24) / 24 * 2 * np.pi), 20)
    >>> closest_lag(hours, 30, 168)
    48
    """
    longest = min(len(past) // (RECENT + 1), shortest + count - 1)
    if longest < shortest or not np.isfinite(past[-(RECENT + 1) * shortest :]).all():
        return 0
    points = min(COMPARED, len(past) - longest)
    recent = _scaled(past[-points - longest :])
    mean = recent.mean()
    if np.isnan(mean):
        recent, mean = np.nan_to_num(recent - np.nanmean(recent)), 0.0
    recent = recent - mean
    products = np.correlate(recent[:-shortest], recent[-points:], "valid")
    total = np.concatenate([[0.0], np.cumsum(recent**2)])
    squares = (total[points:] - total[:-points])[: len(products)]
    distance = squares - 2 * products  # without the square of the last points, which all have
    near = np.flatnonzero(distance <= distance.min() + ROUNDING * total[-1])
    return longest - int(near[-1])


def repeats(past: Float[np.ndarray, "T"], lag: int) -> bool:
    """Whether a series was observed, and nearly the same as `lag` steps before, near its end.

    >>> hours = np.tile(np.sin(np.arange(24) / 24 * 2 * np.pi), 10)
    >>> repeats(hours, 24), repeats(hours, 30), repeats(np.ones(240), 24)
    (True, False, False)
    """
    recent = past[-(RECENT + 1) * lag :]
    if not np.isfinite(recent).all():
        return False
    recent = _scaled(recent)
    change, values = recent[lag:] - recent[:-lag], recent[lag:] - recent[lag:].mean()
    return bool(change @ change < SMALL * (values @ values))


def _scaled(values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """The values divided by the largest absolute one, so that their squares are numbers."""
    largest = max(values.max(), -values.min())
    if np.isnan(largest):
        largest = np.nanmax(np.abs(values))
    return values / (largest or 1.0)


def _through(
    predictor: Predictor,
    dataset: SeriesDataset,
    lags: Int[np.ndarray, "n V"],
    steps: int,
    config: ForecastConfig,
) -> Forecast:
    """The forecast of a dataset, of which the targets with a lag are replaced by differences."""
    rests, last = [], np.zeros((*lags.shape, steps))
    for item, target in enumerate(dataset.targets):
        rest = np.array(target, np.float64)
        for variate in np.flatnonzero(lags[item]).tolist():
            lag, past = lags[item, variate], target[variate]
            rest[variate] = np.concatenate([np.full(lag, np.nan), past[lag:] - past[:-lag]])
            last[item, variate] = past[-lag:][:steps]
        rests.append(rest)
    left = replace(dataset, targets=rests)
    forecast = predictor.predict(left, steps, config)
    return replace(added(forecast, last.reshape(-1, steps), forecast.lowest), dataset=dataset)
