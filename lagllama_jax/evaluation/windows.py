"""Evaluation windows: the parts of series that a predictor must forecast."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lagllama_jax.config import Count, checked
from lagllama_jax.errors import DataError
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float, Int


@dataclass(frozen=True)
class EvaluationWindows:
    """The pasts of windows, which are the input of a predictor, and the true values.

    If items have several target variates, there is one row per item and variate, as in `Forecast`.

    Attributes:
      dataset: The past of each window, with known covariates of the window. The items are views of
        the series, not copies. Their names `series/number` are unique, so that the random numbers
        of the windows differ.
      target: True values of each row; NaN where missing.
      seasonal_error: Mean absolute seasonal difference of the past of each row, in the units of the
        series; NaN if there is none.
    """

    dataset: SeriesDataset
    target: Float[np.ndarray, "B P"]
    seasonal_error: Float[np.ndarray, "B"]

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def prediction_length(self) -> int:
        """Number of points in each window."""
        return self.target.shape[1]

    def take(self, index: Sequence[int] | Int[np.ndarray, "n"]) -> "EvaluationWindows":
        """Some of the windows, in the order of `index`."""
        rows = np.arange(len(self.target)).reshape(len(self), -1)[index].ravel()
        part = self.dataset.take([int(number) for number in index])
        return EvaluationWindows(part, self.target[rows], self.seasonal_error[rows])


def cut(
    dataset: SeriesDataset,
    prediction_length: int,
    num_windows: int,
    step: int | None = None,
    season: int | None = None,
) -> EvaluationWindows:
    """Cuts windows at the end of each series; the last window ends with the series.

    Args:
      dataset: The series.
      prediction_length: Number of points in each window.
      num_windows: Number of windows per series.
      step: Number of points from one window to the next. `None`: `prediction_length`, so that the
        windows do not overlap.
      season: Seasonal period in steps, for the seasonal errors. `None`: the default of the
        series' frequency, or 1 for series without dates.

    Raises:
      ConfigError: If a number is not a whole number of at least 1.
      DataError: If a series is too short for its windows and one point before them.
    """
    frequency = dataset.frequency
    default = 1 if frequency is None else frequency.season
    season = default if season is None else season
    step = prediction_length if step is None else step
    counts = {"prediction_length": prediction_length, "season": season, "step": step}
    for name, value in (counts | {"num_windows": num_windows}).items():
        checked(name, value, Count)
    back = prediction_length + step * np.arange(num_windows - 1, -1, -1)
    errors, coming = [], []
    for item_id, target in zip(dataset.item_ids, dataset.targets, strict=True):
        ends = target.shape[1] - back
        if ends[0] < 1:
            raise DataError(
                f"Series {item_id!r} has {target.shape[1]} points, too few for {num_windows} "
                f"window(s) of {prediction_length}: leave it out or ask for less."
            )
        errors.append(np.stack([seasonal_errors(row, season, ends) for row in target], 1))
        coming += [target[:, end : end + prediction_length] for end in ends]
    _warn_of_empty([np.isnan(window).all() for window in coming], dataset.item_ids)
    past = _before(dataset, back, prediction_length)
    return EvaluationWindows(past, np.concatenate(coming), np.concatenate(errors).ravel())


def _warn_of_empty(empty: list[Any], item_ids: Sequence[str]) -> None:
    """Warns if windows have no observed value. `empty`: whether, for the windows of each series."""
    if any(empty):
        name = item_ids[int(np.argmax(empty)) * len(item_ids) // len(empty)]
        warnings.warn(
            f"{sum(empty)} of {len(empty)} windows, such as one of series {name!r}, have no "
            "observed value, and count for nothing. If the series end with missing values, leave "
            "these out.",
            stacklevel=2,
        )


def _before(
    dataset: SeriesDataset, back: Int[np.ndarray, "W"], prediction_length: int
) -> SeriesDataset:
    """The items up to each window, with the known covariates of the window."""
    count = len(back)
    repeated = dataset.take(np.repeat(np.arange(len(dataset)), count).tolist())
    ends = repeated.lengths - np.tile(back, len(dataset))
    names = [f"{item_id}/{number}" for item_id in dataset.item_ids for number in range(count)]
    known = repeated.known_covariates
    if known is not None:
        upto = ends + prediction_length
        known = [values[:, :end] for values, end in zip(known, upto, strict=True)]
    return replace(repeated.truncate(ends), item_ids=names, known_covariates=known)


def seasonal_errors(
    values: Float[np.ndarray, "T"], season: int, ends: Int[np.ndarray, "W"]
) -> Float[np.ndarray, "W"]:
    """Mean absolute seasonal difference of `values[:end]` for every end, by one cumulative sum.

    Differences from or to a missing value are left out. If a past is not longer than a season, the
    differences of consecutive points are used, as in GluonTS for a past that is shorter. The result
    has the units of the series, and is NaN if there is no difference.
    """
    result = np.full(len(ends), np.nan)
    seasons = np.where(np.asarray(ends) > season, season, 1)
    for lag in np.unique(seasons):
        difference = np.abs(np.subtract(values[lag:], values[:-lag], dtype=np.float64))
        there = np.isfinite(difference)
        total = np.concatenate([[0.0], np.cumsum(np.where(there, difference, 0.0))])
        count = np.concatenate([[0], np.cumsum(there)])
        at = np.maximum(np.asarray(ends)[seasons == lag] - lag, 0)
        result[seasons == lag] = np.where(
            count[at] > 0, total[at] / np.maximum(count[at], 1), np.nan
        )
    return result
