"""`Aggregated`: a predictor that forecasts sub-hourly series through aggregated series."""

from dataclasses import dataclass

import numpy as np

from lagllama_jax.config import ForecastConfig
from lagllama_jax.errors import ConfigError
from lagllama_jax.inference.batch import identity
from lagllama_jax.inference.forecast import Forecast, Predictor
from lagllama_jax.inference.gaps import join
from lagllama_jax.model.calendar_features import SECONDS_A_DAY
from lagllama_jax.series.blocks import block_sizes, daily_constants, refine
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.frequency import Frequency
from lagllama_jax.typing import Float, Int


@dataclass(frozen=True)
class Aggregated:
    """Forecasts sub-hourly series through the means of blocks of points (`ForecastConfig.coarsen`).

    The model was trained mostly on hourly series, its context contains a day of hourly means, and
    errors accumulate over fewer steps. The first block is forecast point by point. The points of
    later blocks are computed from their means and from similar blocks of the past (`refine`).

    Attributes:
      predictor: Predictor of the block means, and of series that are not aggregated. It must draw
        sample paths.
      near: Predictor of the points of the first block. It must draw sample paths.
    """

    predictor: Predictor
    near: Predictor

    def predict(
        self, dataset: SeriesDataset, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        """Forecasts the points that follow each item by sample paths, in the units of the item.

        Args:
          dataset: The series.
          prediction_length: Number of time steps to forecast.
          config: Options of the forecast.

        Raises:
          ConfigError: If an item is aggregated and a predictor draws no sample paths.
          DataError: If an item is shorter than the block that `config.coarsen` asks for.
        """
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
        if len(parts) == 1:
            return parts[0][1]
        return join(dataset, parts)

    def _by_blocks(
        self, dataset: SeriesDataset, size: int, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        """Forecasts items that have the same block size.

        One mean beyond the horizon is forecast too, because the points of the last block are
        interpolated between its neighbours.
        """
        steps = -(-prediction_length // size) + 1
        near = paths_of(self.near.predict(dataset, size, config))
        means = paths_of(self.predictor.predict(dataset.coarsen(size), steps, config))
        samples = np.empty((*near.shape[:2], prediction_length))
        variates = len(dataset.target_names)
        for row in range(len(near)):
            item, variate = divmod(row, variates)
            past = dataset.targets[item][variate]
            generator = np.random.default_rng([config.seed, identity(dataset.item_ids[item])])
            fine = refine(near[row], means[row], past, generator)[:, :prediction_length]
            day = points_per_day(dataset.frequencies[item])
            constant = daily_constants(past, day, prediction_length)
            samples[row] = np.where(np.isnan(constant), fine, constant)
        samples = np.maximum(samples, 0) if config.nonnegative else samples
        return Forecast(dataset, samples, config.quantile_levels)


def paths_of(forecast: Forecast) -> Float[np.ndarray, "B S P"]:
    """The sample paths of a forecast.

    Raises:
      ConfigError: If the forecast has no sample paths.
    """
    if forecast.samples is None:
        raise ConfigError("Aggregation needs sample paths: use coarsen=1 with this predictor.")
    return forecast.samples


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
