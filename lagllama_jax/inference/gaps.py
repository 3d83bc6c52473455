"""`AcrossGaps`: a predictor that handles series that end with missing values."""

import dataclasses
from dataclasses import dataclass

import jax
import numpy as np

from lagllama_jax.config import Count, ForecastConfig, checked
from lagllama_jax.errors import DataError
from lagllama_jax.inference.forecast import Forecast, Predictor
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float, Int

LONGEST_GAP = 2048
"""Largest accepted number of missing points at the end of an item."""


@dataclass(frozen=True)
class AcrossGaps:
    """Forecasts each item from its last observed point, across the missing points at its end.

    Attributes:
      predictor: Predictor of items that end with an observed point.
    """

    predictor: Predictor

    def predict(
        self, dataset: SeriesDataset, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        """Forecasts the points that follow each item, in the units of the item.

        The missing points at the end of an item are forecast too, and then removed.

        Args:
          dataset: The series.
          prediction_length: Number of time steps to forecast.
          config: Options of the forecast.

        Raises:
          ConfigError: If `prediction_length` is not a whole number of at least 1.
          DataError: If an item has no value, or more than `LONGEST_GAP` missing points at its end.
        """
        checked("prediction_length", prediction_length, Count)
        gaps = trailing_gaps(dataset)
        if not gaps.any():
            return self.predictor.predict(dataset, prediction_length, config)
        # Gaps are rounded up to powers of two, so that few horizons, and so few programs, occur.
        longer = np.where(gaps > 0, 1 << np.ceil(np.log2(np.maximum(gaps, 1))).astype(int), 0)
        parts = {}
        for extra in np.unique(longer).tolist():
            rows = np.flatnonzero(longer == extra)
            items = dataset.take(rows.tolist())
            part = items.truncate(items.lengths - gaps[rows])
            forecast = self.predictor.predict(part, prediction_length + extra, config)
            parts[extra] = rows, cut(forecast, gaps[rows], prediction_length)
        return join(dataset, list(parts.values()))


def trailing_gaps(dataset: SeriesDataset) -> Int[np.ndarray, "n"]:
    """Number of points at the end of each item at which no target is observed.

    Raises:
      DataError: If an item has no value, or more than `LONGEST_GAP` missing points at its end.
    """
    ends = np.array([dataset.observed_end(row) for row in range(len(dataset))], int)
    gaps = dataset.lengths - ends
    for row in np.flatnonzero(gaps > 0).tolist():
        name = dataset.item_ids[row]
        if ends[row] == 0:
            raise DataError(f"Series {name!r} has no value at all (only NaN): drop it.")
        if gaps[row] > LONGEST_GAP:
            raise DataError(
                f"Series {name!r} ends with {gaps[row]} missing values, and at most {LONGEST_GAP} "
                "are forecast across: cut it after its last value, or drop it."
            )
    return gaps


def cut(forecast: Forecast, gaps: Int[np.ndarray, "n"], prediction_length: int) -> Forecast:
    """The `prediction_length` points of a forecast that follow the gap of each item."""
    first = np.repeat(gaps, len(forecast.dataset.target_names))
    index = first[:, None] + np.arange(prediction_length)

    def steps(values: Float[np.ndarray, "B ..."]) -> Float[np.ndarray, "B ..."]:
        place = index.reshape(len(index), *[1] * (values.ndim - 2), prediction_length)
        return np.take_along_axis(values, place, axis=-1)

    return dataclasses.replace(forecast, **jax.tree.map(steps, forecast.arrays))


def join(dataset: SeriesDataset, parts: list[tuple[Int[np.ndarray, "_"], Forecast]]) -> Forecast:
    """Combines the forecasts of parts of a dataset to one forecast.

    Args:
      dataset: The whole dataset.
      parts: Indices of the items of each part, and its forecast.
    """
    variates = len(dataset.target_names)
    place = np.concatenate([rows for rows, _ in parts])
    order = (np.argsort(place)[:, None] * variates + np.arange(variates)).ravel()

    def rows_of(*fields: np.ndarray) -> np.ndarray:
        return np.concatenate(fields)[order]

    arrays = jax.tree.map(rows_of, *(forecast.arrays for _, forecast in parts))
    return dataclasses.replace(parts[0][1], dataset=dataset, **arrays)
