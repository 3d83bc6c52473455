"""`Differenced`: a predictor that forecasts nearly periodic series through seasonal differences."""

from dataclasses import dataclass, replace

import numpy as np

from lagllama_jax.config import DEFAULT_LEVELS, ForecastConfig
from lagllama_jax.inference.backtest import added, cheap, loss
from lagllama_jax.inference.forecast import Forecast, Predictor
from lagllama_jax.inference.method import TOGETHER
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float, Int

RECENT = 4
"""Number of lags of the past in which differences have to be small, and values observed."""
SMALL = 0.25
"""Largest 95 % quantile of the absolute differences, relative to the mean distance of the values
from their median."""
WINDOWS, GAIN = 2, 0.75
"""Differences are used if they lower the loss in the last two horizons of the past by a quarter."""


@dataclass(frozen=True)
class Differenced:
    """Forecasts series that repeat themselves nearly exactly through their seasonal differences.

    A model that reads scaled values tells them apart to a few per cent of their scale. A series
    such as a smooth daily cycle is predictable to less than that. Such a series is replaced by its
    differences at a lag of whole seasons that is not shorter than the horizon, and the values of
    the last seasons are added to the forecast. Differences are used for a target if they were
    small in the last seasons, and if they lower the loss in the last horizons of the past by a
    quarter, unless the network sees several variates, or `config.coarsen` is a number above 1.
    Otherwise, the forecast is that of the predictor, bit for bit.

    Attributes:
      predictor: Predictor of series that end with an observed point.
      judge: The same predictor, for forecasts of the past, whose progress is not reported.
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
        lags = np.zeros((len(dataset), len(dataset.target_names)), int)
        alone = config.covariates not in TOGETHER and config.coarsen in ("auto", 1)
        if config.difference == "auto" and alone:
            lags = candidates(dataset, prediction_length)
            lags = np.where(self._better(dataset, lags, prediction_length, config), lags, 0)
        return _through(self.predictor, dataset, lags, prediction_length, config)

    def _better(
        self,
        dataset: SeriesDataset,
        lags: Int[np.ndarray, "n V"],
        steps: int,
        config: ForecastConfig,
    ) -> Float[np.ndarray, "n V"]:
        """Whether the differences of each target lower the loss enough."""
        better = np.zeros(lags.shape, bool)
        rows = np.flatnonzero(lags.any(axis=1))
        if not rows.size:
            return better
        windows = np.repeat(np.arange(1, WINDOWS + 1), len(rows))
        cases = np.tile(rows, WINDOWS)
        ends = dataset.lengths[cases] - steps * windows
        past = dataset.take(cases.tolist()).truncate(ends)
        pairs = zip(cases.tolist(), ends.tolist(), strict=True)
        truth = np.concatenate([dataset.targets[row][:, end : end + steps] for row, end in pairs])
        losses = []
        for tried in (np.zeros_like(lags), lags):
            found = _through(self.judge, past, tried[cases], steps, cheap(config))
            each = loss(found.quantiles(DEFAULT_LEVELS), truth)
            losses.append(each.reshape(WINDOWS, len(rows), -1).sum(axis=0))
        better[rows] = losses[1] < GAIN * losses[0]
        return better


def candidates(dataset: SeriesDataset, steps: int) -> Int[np.ndarray, "n V"]:
    """The lag at which each target repeats itself nearly, or 0.

    It is the shortest one of whole seasons that is not shorter than the horizon.
    """
    lags = np.zeros((len(dataset), len(dataset.target_names)), int)
    for item, (target, frequency) in enumerate(
        zip(dataset.targets, dataset.frequencies, strict=True)
    ):
        season = 1 if frequency is None else frequency.season
        lag = season * -(-steps // season)
        if season > 1 and target.shape[1] >= (RECENT + 1) * lag:
            for variate, past in enumerate(target):
                lags[item, variate] = lag if repeats(past, lag) else 0
    return lags


def repeats(past: Float[np.ndarray, "T"], lag: int) -> bool:
    """Whether a series was observed, and nearly the same as `lag` steps before, near its end.

    >>> days = np.tile(np.sin(np.arange(24) / 24 * 2 * np.pi), 10)
    >>> repeats(days, 24), repeats(days, 30), repeats(np.ones(240), 24)
    (True, False, False)
    """
    recent = past[-(RECENT + 1) * lag :]
    if not np.isfinite(recent).all():
        return False
    values = recent[lag:]
    spread = np.abs(values - np.median(values)).mean()
    return bool(np.quantile(np.abs(values - recent[:-lag]), 0.95) < SMALL * spread)


def _through(
    predictor: Predictor,
    dataset: SeriesDataset,
    lags: Int[np.ndarray, "n V"],
    steps: int,
    config: ForecastConfig,
) -> Forecast:
    """The forecast of a dataset, of which the targets with a lag are replaced by differences."""
    if not lags.any():
        return predictor.predict(dataset, steps, config)
    pairs = list(zip(dataset.targets, lags, strict=True))
    rests = [
        np.stack([_differences(past, lag) for past, lag in zip(*pair, strict=True)])
        for pair in pairs
    ]
    last = np.stack(
        [
            past[-lag:][:steps] if lag else np.zeros(steps)
            for pair in pairs
            for past, lag in zip(*pair, strict=True)
        ]
    )
    rest = replace(dataset, targets=rests)
    forecast = predictor.predict(rest, steps, config.replace(nonnegative=False))
    lowest = 0.0 if config.nonnegative else -np.inf
    return replace(added(forecast, last, lowest), dataset=dataset)


def _differences(past: Float[np.ndarray, "T"], lag: int) -> Float[np.ndarray, "T"]:
    """The differences of a series to its values `lag` steps before, or the series if that is 0."""
    if not lag:
        return past
    return np.concatenate([np.full(lag, np.nan), past[lag:] - past[:-lag]])
