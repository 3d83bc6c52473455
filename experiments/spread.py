"""A predictor whose items are forecast in several processes, for models that use one core each."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np

from lagllama_jax.config import ForecastConfig
from lagllama_jax.inference.forecast import Forecast, Predictor
from lagllama_jax.series.dataset import SeriesDataset


@dataclass(frozen=True)
class Spread:
    """Forecasts each item in one of `workers` processes. The forecasts have quantiles only.

    Attributes:
      predictor: A baseline.
      workers: Number of processes.
    """

    predictor: Predictor
    workers: int

    def predict(
        self, dataset: SeriesDataset, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        """Forecasts the points that follow each item."""
        count = len(dataset)
        jobs = [dataset.take([row]) for row in range(count)]
        with ProcessPoolExecutor(self.workers, get_context("spawn")) as pool:
            same = ([one] * count for one in (prediction_length, config))
            found = list(pool.map(self.predictor.predict, jobs, *same))
        return replace(
            found[0],
            dataset=dataset,
            values=_joined([one.values for one in found]),
            means=_joined([one.means for one in found]),
        )


def _joined(parts: Sequence[np.ndarray | None]) -> np.ndarray:
    return np.concatenate([part for part in parts if part is not None])
