"""`Task`: one row of a results table, and GIFT-Eval's rules for it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lagllama_jax.config import Count, checked
from lagllama_jax.errors import ConfigError
from lagllama_jax.evaluation.windows import EvaluationWindows, cut
from lagllama_jax.series.dataframe import read_frame
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.table_files import read_table

TERMS = {"short": 1, "medium": 10, "long": 15}  # horizons, in multiples of the short one

SHORT_HORIZONS = {"M": 12, "W": 8, "D": 30, "H": 48, "T": 48, "S": 60}


@dataclass(frozen=True)
class Task:
    """A data set at a frequency and a term.

    Attributes:
      dataset: Published name.
      frequency: Published frequency, as an old pandas alias (15T, H, D, W).
      term: Length of the horizon, such as `short`, `medium` or `long`.
      prediction_length: Number of points in each window.
      num_windows: Number of windows at the end of each series. `None`: GIFT-Eval's rule.
      domain: Published domain.
      num_variates: Number of variates of the data set. Each of them is a series here.
      read: Function that reads the series.
    """

    dataset: str
    frequency: str
    term: str
    prediction_length: int
    num_windows: int | None
    domain: str
    num_variates: int
    read: Callable[[], SeriesDataset] = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """Data set, frequency and term, as in GIFT-Eval's tables."""
        return f"{self.dataset}/{self.frequency}/{self.term}"

    def windows(self, limit: int | None = None) -> EvaluationWindows:
        """Reads the series and cuts the windows, or at most `limit` of them, evenly spread.

        Raises:
          ConfigError: If a number of the task is not a whole number of at least 1.
          DataError: If the series cannot be read, or one is too short for its windows.
        """
        series, count = self.read(), self.num_windows
        if count is None:
            shortest = min(target.shape[1] for target in series.targets)
            count = gift_eval_windows(shortest, self.prediction_length)
        windows = cut(series, self.prediction_length, count)
        if limit is None or limit >= len(windows):
            return windows
        return windows.take(np.linspace(0, len(windows) - 1, limit).round().astype(int))


def horizon(frequency: str, term: str = "short") -> int:
    """Prediction length of GIFT-Eval for a frequency, given as an old pandas alias (15T, H, D, W).

    Raises:
      ConfigError: If the benchmark does not have the frequency or the term.
    """
    short = SHORT_HORIZONS.get(frequency.lstrip("0123456789")[:1])
    if short is None or term not in TERMS:
        raise ConfigError(f"GIFT-Eval has no horizon for frequency {frequency!r}, term {term!r}.")
    return short * TERMS[term]


def gift_eval_windows(shortest: int, prediction_length: int) -> int:
    """Number of windows in GIFT-Eval: a tenth of the shortest series, at least 1, at most 20."""
    return min(max(1, math.ceil(0.1 * shortest / prediction_length)), 20)


def own_task(
    path: Path, prediction_length: int, num_windows: int = 1, freq: str | None = None
) -> Task:
    """Makes a task of the last windows of each series in a CSV or Parquet file.

    Args:
      path: A long table (`item_id, timestamp, target` or `unique_id, ds, y`) or a wide one.
      prediction_length: Number of points in each window.
      num_windows: Number of windows at the end of each series, one after the other.
      freq: Pandas alias of the step. `None`: inferred from the time stamps.

    Raises:
      ConfigError: If `prediction_length` or `num_windows` is not a whole number of at least 1.
      DataError: If the table cannot be read. The message names file, series, column and row.
    """
    checked("prediction_length", prediction_length, Count)
    checked("num_windows", num_windows, Count)
    series = read_frame(read_table(path), freq=freq)
    return task_of(Path(path).name.split(".")[0], series, prediction_length, num_windows)


def task_of(name: str, series: SeriesDataset, prediction_length: int, num_windows: int = 1) -> Task:
    """Makes a task of the last windows of each series in memory.

    Raises:
      DataError: If the series have several frequencies.
    """
    alias = "" if series.frequency is None else series.frequency.alias
    return Task(
        name, alias, "own", prediction_length, num_windows, "own", len(series), lambda: series
    )
