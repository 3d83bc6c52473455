"""`Job`: what is to be forecast and how, and `forecast_frame`, its work on a table."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lagllama_jax.config import ForecastConfig
from lagllama_jax.distributed.failures import use_what_can_be
from lagllama_jax.distributed.reading import ReadShard
from lagllama_jax.forecaster import LagLlama
from lagllama_jax.inference.forecast import Forecast
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.frames import like

CHUNK = 4096
"""Number of series that are forecast and written at once, so that memory is bounded."""


@dataclass(frozen=True)
class Job:
    """What is to be forecast, and how. It is sent to the workers.

    Attributes:
      model: Where the model is loaded from, or the model itself.
      prediction_length: Number of time steps to forecast.
      config: Configuration of the forecasts.
      reading: Arguments of `read_shard`.
      columns: Types of the columns of the result. `None`: those that pandas infers.
    """

    model: str | LagLlama | None
    prediction_length: int
    config: ForecastConfig
    reading: Mapping[str, Any] = field(default_factory=dict)
    columns: pa.Schema | None = None

    def forecaster(self) -> LagLlama:
        """The model, which a process loads only once."""
        return self.model if isinstance(self.model, LagLlama) else _load(self.model)


@functools.lru_cache(maxsize=1)
def _load(source: str | None) -> LagLlama:
    return LagLlama.from_pretrained(source)


def forecast_parts(job: Job, read: ReadShard) -> Iterator[tuple[pd.DataFrame, dict[Any, str]]]:
    """Forecasts the series of a shard, at most `CHUNK` at once.

    Yields:
      The table of a part, as `LagLlama.predict_df` returns it, and the message for each of its
      series that cannot be forecast. Such a series has no row in the table.
    """
    dataset = read.dataset
    for first in range(0, 0 if dataset is None else len(dataset), CHUNK):
        assert dataset is not None
        rows = range(first, min(first + CHUNK, len(dataset)))
        forecast, failed = use_what_can_be(functools.partial(_predict, job, dataset), rows)
        failures = {dataset.labels[row]: message for row, message in failed.items()}
        frame = pd.DataFrame()
        if forecast is not None:
            frame = forecast.to_frame()
            if read.example is not None:
                frame = like(read.example, frame, forecast.dataset)
        yield frame, failures


def _predict(job: Job, dataset: SeriesDataset, rows: list[int]) -> Forecast:
    options = vars(job.config)
    part = dataset.take(rows)
    return job.forecaster().predict(part, job.prediction_length, progress=False, **options)


def example_of(job: Job, read: ReadShard) -> pa.Schema:
    """The types of the columns of a result, from the first series of a shard, without the model."""
    assert read.dataset is not None
    first = read.dataset.take([0])
    levels = tuple(sorted({0.5, *job.config.quantile_levels}))
    variates = len(first.target_names)
    values = np.zeros((variates, len(levels), 1))
    forecast = Forecast(first, None, levels, values, values[:, 0])
    frame = forecast.to_frame(job.config.quantile_levels)
    if read.example is not None:
        frame = like(read.example, frame, first)
    return pa.Schema.from_pandas(frame, preserve_index=False).remove_metadata()
