import numpy as np
import pandas as pd
import pytest

from lagllama_jax.inference.forecast import Forecast
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.frequency import Frequency


class Walk:
    """A predictor that draws random walks from the seed, the names and the last values."""

    name = "walk"

    def __init__(self, spread: float = 1.0):
        self.spread = spread

    def predict(self, dataset, prediction_length, config):
        paths = []
        for item in dataset:
            seed = [config.seed, *item.item_id.encode()]
            steps = np.random.default_rng(seed).normal(
                size=(config.num_samples or 100, prediction_length)
            )
            paths += [row[-1] + self.spread * steps.cumsum(1) for row in item.target]
        return Forecast(dataset, np.stack(paths), config.quantile_levels)


@pytest.fixture
def walk_class() -> type[Walk]:
    return Walk


@pytest.fixture
def series_of():
    """A maker of hourly series of given lengths or values, with as many variates as asked."""

    def make(*series, variates: int = 1) -> SeriesDataset:
        targets = [
            np.stack([np.arange(one, dtype=float) + 1000 * row for row in range(variates)])
            if isinstance(one, int)
            else np.atleast_2d(np.asarray(one, float))
            for one in series
        ]
        names = [f"series {number}" for number in range(len(series))]
        starts = [pd.Timestamp("2024-01-01")] * len(series)
        columns = {"target_names": tuple(f"v{row}" for row in range(variates))}
        frequencies = [Frequency.parse("h")] * len(series)
        return SeriesDataset(names, targets, starts, frequencies, **columns)

    return make
