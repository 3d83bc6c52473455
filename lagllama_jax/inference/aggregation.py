"""`Aggregated`: a predictor that forecasts sub-hourly series through aggregated series."""

from dataclasses import dataclass

import numpy as np

from lagllama_jax.config import ForecastConfig, check
from lagllama_jax.inference.forecast import Forecast
from lagllama_jax.inference.gaps import join
from lagllama_jax.inference.marginals import Marginals
from lagllama_jax.inference.method import method_of
from lagllama_jax.inference.predictor import ModelPredictor, assembled
from lagllama_jax.model.calendar_features import SECONDS_A_DAY
from lagllama_jax.series.blocks import (
    between_means,
    block_sizes,
    daily_constants,
    detail_deviation,
    last_blocks,
)
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.frequency import Frequency
from lagllama_jax.typing import Float, Int


@dataclass(frozen=True)
class Aggregated:
    """Forecasts sub-hourly series through the means of blocks of points (`ForecastConfig.coarsen`).

    The model was trained mostly on hourly series, and its context contains a day of hourly means.
    The points of the first block, and the means of all blocks, are forecast in one pass. The later
    points are distributed around the lines between the means, with the variance of the mean and
    that of past points around such lines. Sample paths are drawn point by point.

    Attributes:
      predictor: Predictor of points and of block means.
    """

    predictor: ModelPredictor

    def predict(
        self, dataset: SeriesDataset, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        """Forecasts the points that follow each item, in the units of the item.

        Args:
          dataset: The series.
          prediction_length: Number of time steps to forecast.
          config: Options of the forecast.

        Raises:
          ConfigError: If `config.coarsen` is given, and the forecast is not made in one pass.
          DataError: If an item is shorter than the block that `config.coarsen` asks for.
        """
        passes = self.predictor.model.one_pass and config.method != "paths"
        check(
            passes or config.coarsen in ("auto", 1),
            f"coarsen={config.coarsen} is for forecasts in one pass, and these are made by sample "
            "paths: leave it out.",
        )
        if not passes:
            return self.predictor.predict(dataset, prediction_length, config)
        sizes = sizes_of(dataset, prediction_length, config)
        parts = []
        for size in np.unique(sizes).tolist():
            rows = np.flatnonzero(sizes == size)
            part = dataset.take(rows.tolist()) if len(rows) < len(dataset) else dataset
            if size == 1:
                forecast = self.predictor.predict(part, prediction_length, config)
            else:
                forecast = self._by_blocks(part, size, prediction_length, config)
            parts.append((rows, forecast))
        return parts[0][1] if len(parts) == 1 else join(dataset, parts)

    def _by_blocks(
        self, dataset: SeriesDataset, size: int, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        """Forecasts items that have the same block size.

        One mean beyond the horizon is forecast too, because the points of the last block are
        interpolated between its neighbours.
        """
        steps = -(-prediction_length // size) + 1
        near = self.predictor.marginals(dataset, size, config)
        means = self.predictor.marginals(dataset.coarsen(size), steps, config)
        laws = []
        for row in range(len(near.loc)):
            item, variate = divmod(row, len(dataset.target_names))
            past, day = dataset.targets[item][variate], points_per_day(dataset.frequencies[item])
            first, rest = near.take([row]), means.take([row])
            laws.append(disaggregate(first, rest, past, day, prediction_length))
        marginals = Marginals(*(np.concatenate(parts) for parts in zip(*laws, strict=True)))
        method, samples = method_of(self.predictor.model, config), None
        if method.num_samples:
            drawn = config.replace(method="paths", match_marginals=False)
            samples = self.predictor.predict(dataset, prediction_length, drawn).samples
        elif self.predictor.finished is not None:
            self.predictor.finished(len(dataset))
        return assembled(dataset, marginals, samples, method, config)


def disaggregate(
    near: Marginals,
    means: Marginals,
    past: Float[np.ndarray, "T"],
    day: int,
    prediction_length: int,
) -> Marginals:
    """The distributions of the points of one series, from those of block means.

    A point at a time of day at which the past is constant keeps this value.

    Args:
      near: Distributions of the n points of the first block.
      means: Distributions of the means of the future blocks, and of one block more.
      past: The series before these blocks, NaN where a value is missing.
      day: Number of points per day. 0: unknown.
      prediction_length: Number of points.
    """
    size, count = near.loc.shape[1], prediction_length
    last = last_blocks(past, size)[-1:]
    start = np.where(np.isnan(last), means.loc[0, :1], last)
    loc = between_means(np.concatenate([start, means.loc[0]]), size).ravel()[:count]
    df, scale = (np.repeat(part[0], size)[:count] for part in (means.df, means.scale))
    detail = detail_deviation(past, size, day, count)
    scale = np.hypot(scale, detail * np.sqrt((df - 2) / df))
    for points, first in zip((df, loc, scale), near[:3], strict=True):
        points[:size] = first[0, :count]
    constant = daily_constants(past, day, count)
    loc = np.where(np.isnan(constant), loc, constant)
    scale = np.where(np.isnan(constant), scale, 0.0)
    return Marginals.student_t(df[None], loc[None], scale[None])


def sizes_of(
    dataset: SeriesDataset, prediction_length: int, config: ForecastConfig
) -> Int[np.ndarray, "n"]:
    """Number of points per block for each item. It is 1 for items that are not aggregated."""
    seconds = [np.inf if step is None else step.seconds for step in dataset.frequencies]
    lengths = dataset.lengths.tolist()
    return block_sizes(dataset.item_ids, lengths, seconds, prediction_length, config.coarsen)


def points_per_day(frequency: Frequency | None) -> int:
    """Number of time steps per day. It is 0 if it is unknown or not a whole number."""
    steps = 0.0 if frequency is None else SECONDS_A_DAY / frequency.seconds
    return int(steps) if steps.is_integer() else 0
