"""`Aggregated`: a predictor around a predictor, for series finer than an hour."""

from dataclasses import dataclass

import numpy as np

from lagllama_jax.config import ForecastConfig
from lagllama_jax.inference.batch import identity
from lagllama_jax.inference.forecast import Forecast, Predictor
from lagllama_jax.inference.gaps import join
from lagllama_jax.series.blocks import block_size, refine
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Int


@dataclass(frozen=True)
class Aggregated:
    """Forecasts means of blocks of points, and the points within from their own past.

    Sub-hourly series are aggregated to hourly (or 5 to 30 minute) means, forecast there by sample
    paths, and disaggregated (`ForecastConfig.coarsen`).

    Attributes:
      predictor: Forecasts the means, and the series that are not aggregated.
    """

    predictor: Predictor

    def predict(
        self, dataset: SeriesDataset, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        """Sample paths of the points that follow each item, in its units."""
        sizes = block_sizes(dataset, prediction_length, config)
        if (sizes == 1).all():
            return self.predictor.predict(dataset, prediction_length, config)
        parts = []
        for size in np.unique(sizes).tolist():
            rows = np.flatnonzero(sizes == size)
            part = dataset.take(rows.tolist())
            parts.append((rows, self._by_blocks(part, size, prediction_length, config)))
        return join(dataset, parts)

    def _by_blocks(
        self, dataset: SeriesDataset, size: int, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        """Forecasts of one block size.

        One mean more than the horizon has is forecast: the last points lie on the way to it.
        """
        if size == 1:
            return self.predictor.predict(dataset, prediction_length, config)
        steps = -(-prediction_length // size) + 1
        means = self.predictor.predict(dataset.coarsen(size), steps, config).samples
        assert means is not None  # a wrapped predictor draws paths
        names = [name for name in dataset.item_ids for _ in dataset.target_names]
        past = [row for target in dataset.targets for row in target]
        samples = np.stack(
            [
                refine(paths, values, size, np.random.default_rng([config.seed, identity(name)]))
                for paths, values, name in zip(means, past, names, strict=True)
            ]
        )[..., :prediction_length]
        samples = np.maximum(samples, 0) if config.nonnegative else samples
        return Forecast(dataset, samples, config.quantile_levels)


def block_sizes(
    dataset: SeriesDataset, prediction_length: int, config: ForecastConfig
) -> Int[np.ndarray, "n"]:
    """Number of points of each item that are one step of the model."""
    if config.coarsen != "auto":
        return np.full(len(dataset), config.coarsen)
    return np.array(
        [
            1 if step is None else block_size(step.seconds, target.shape[1], prediction_length)
            for step, target in zip(dataset.frequencies, dataset.targets, strict=True)
        ],
        int,
    )
