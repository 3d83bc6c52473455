"""Which windows of which series a model is asked for: GIFT-Eval's rules and the paper's."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from lagllama_jax.config.base import Count, checked
from lagllama_jax.errors import ConfigError, DataError

if TYPE_CHECKING:
    from lagllama_jax.series.dataset import SeriesDataset

TERMS: dict[str, int] = {"short": 1, "medium": 10, "long": 15}
"""Terms of GIFT-Eval and how many short horizons each one is."""

MAX_WINDOWS = 20
TEST_SHARE = 0.1
SHORT_HORIZONS = {"M": 12, "W": 8, "D": 30, "H": 48, "T": 48, "S": 60}
M4_HORIZONS = {"A": 6, "Q": 8, "M": 18, "W": 13, "D": 14, "H": 48}


@dataclass(frozen=True)
class Panel:
    """Series of one data set on one regular grid.

    Attributes:
      item_ids: names, unique.
      values: one array a series; NaN is missing.
      starts: time of each series' first point: a time stamp or ISO text.
      frequency: pandas alias of the grid.
    """

    item_ids: tuple[str, ...]
    values: tuple[Float[np.ndarray, "T"], ...]
    starts: tuple[Any, ...]
    frequency: str


@dataclass(frozen=True)
class Task:
    """One row of a results table: a data set at a frequency and a term.

    Attributes:
      dataset: name as published.
      frequency: frequency as published, in the old pandas aliases (15T, H, D, W).
      term: short, medium or long.
      prediction_length: points of each window.
      season: points of a season, for the baselines and for the divisor of MASE.
      windows: windows at the end of each series; `None`: GIFT-Eval's rule.
      domain: as published.
      num_variates: variables of the data set, each of them a series here.
      panel: reads the series, when asked.
    """

    dataset: str
    frequency: str
    term: str
    prediction_length: int
    season: int
    windows: int | None
    domain: str
    num_variates: int
    panel: Callable[[], Panel] = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """Data set, frequency and term, as in GIFT-Eval's tables."""
        return f"{self.dataset}/{self.frequency}/{self.term}"


@dataclass(frozen=True)
class Windows:
    """What a forecaster is given, and what it is scored against, one entry a window.

    Attributes:
      item_ids: series and number of the window, unique.
      past: everything before the window: views of the series, nothing is copied.
      target: what came; NaN where it is missing.
      seasonal_error: mean absolute seasonal difference of the past, NaN where there is none.
      season: points of a season.
      starts: time of the first point of each past.
      frequency: pandas alias of the grid.
    """

    item_ids: list[str]
    past: list[Float[np.ndarray, "T"]]
    target: Float[np.ndarray, "B P"]
    seasonal_error: Float[np.ndarray, "B"]
    season: int
    starts: list[Any]
    frequency: str

    def __len__(self) -> int:
        return len(self.past)

    @property
    def prediction_length(self) -> int:
        """Points of each window."""
        return self.target.shape[1]

    def series(self, *, dated: bool = True) -> "SeriesDataset":
        """What a forecast begins with: the pasts, with or without their dates."""
        import pandas as pd

        from lagllama_jax.series.dataset import SeriesDataset
        from lagllama_jax.series.frequency import Frequency

        if not dated:
            return SeriesDataset(self.item_ids, [past[None] for past in self.past])
        frequencies = [Frequency.parse(self.frequency)] * len(self)
        starts = [pd.Timestamp(start) for start in self.starts]
        return SeriesDataset(self.item_ids, [past[None] for past in self.past], starts, frequencies)

    def take(self, index: Int[np.ndarray, "n"]) -> "Windows":
        """The windows with these numbers, in this order."""
        return Windows(
            [self.item_ids[i] for i in index],
            [self.past[i] for i in index],
            self.target[index],
            self.seasonal_error[index],
            self.season,
            [self.starts[i] for i in index],
            self.frequency,
        )


def check_count(name: str, value: Any) -> None:
    """Checks a number of points or windows.

    Raises:
      ConfigError: If it is not a whole number of at least 1; names the argument.
    """
    checked(name, value, Count)


def horizon(frequency: str, term: str = "short", *, m4: bool = False) -> int:
    """Prediction length of GIFT-Eval for a frequency in the old pandas aliases (15T, H, D, W).

    Raises:
      ConfigError: a frequency or a term that the benchmark does not have.
    """
    short = (M4_HORIZONS if m4 else SHORT_HORIZONS).get(frequency.lstrip("0123456789")[:1])
    if short is None or term not in TERMS:
        raise ConfigError(f"GIFT-Eval has no horizon for frequency {frequency!r}, term {term!r}.")
    return short * TERMS[term]


def num_windows(shortest: int, prediction_length: int) -> int:
    """Windows of GIFT-Eval: a tenth of the shortest series, at least 1, at most 20."""
    return min(max(1, math.ceil(TEST_SHARE * shortest / prediction_length)), MAX_WINDOWS)


def seasonal_errors(
    values: Float[np.ndarray, "T"], season: int, ends: Int[np.ndarray, "W"]
) -> Float[np.ndarray, "W"]:
    """Mean absolute seasonal difference of `values[:end]` for every end, by one cumulative sum.

    Differences with a missing side are left out; where the past is no longer than a season, plain
    differences are taken (as GluonTS does where it is shorter).

    Args:
      values: one series; NaN is missing.
      season: points of a season.
      ends: points of each past, counted from the first of the series.

    Returns:
      One number a past, in the units of the series; NaN where it holds no difference.
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


def cut(
    panel: Panel,
    prediction_length: int,
    season: int,
    windows: int | None = None,
    step: int | None = None,
) -> Windows:
    """Windows at the end of each series, the last one ending with it.

    Args:
      panel: the series.
      prediction_length: points of a window.
      season: points of a season, for the seasonal errors.
      windows: windows of each series; `None`: GIFT-Eval's rule, by the shortest series.
      step: points from one window to the next; `None`: `prediction_length`, without overlap.

    Raises:
      ConfigError: a length, a number or a step that is no whole number of at least 1.
      DataError: a series too short for its windows and at least one point before them.
    """
    step = prediction_length if step is None else step
    check_count("prediction_length", prediction_length)
    check_count("season", season)
    check_count("step", step)
    if windows is None:
        windows = num_windows(min(map(len, panel.values)), prediction_length)
    check_count("windows", windows)
    count = int(windows)
    back = prediction_length + step * np.arange(count - 1, -1, -1)
    ids, past, target, errors, starts = [], [], [], [], []
    for item, values, start in zip(panel.item_ids, panel.values, panel.starts, strict=True):
        ends = len(values) - back
        if ends[0] < 1:
            raise DataError(
                f"Series {item!r} has {len(values)} points, too few for {count} window(s) of "
                f"{prediction_length}: leave it out or ask for less."
            )
        ids += [f"{item}/{number}" for number in range(count)]
        past += [values[:end] for end in ends]
        target += [values[end : end + prediction_length] for end in ends]
        errors.append(seasonal_errors(values, season, ends))
        starts += [start] * count
    return Windows(
        ids, past, np.stack(target), np.concatenate(errors), season, starts, panel.frequency
    )


def windows_of(task: Task, limit: int | None = None) -> Windows:
    """Reads a task's series and cuts its windows; with `limit`, that many spread evenly.

    Raises:
      ConfigError: see `cut`.
      DataError: the series cannot be read, or one is too short for its windows.
    """
    windows = cut(task.panel(), task.prediction_length, task.season, task.windows)
    if limit is None or limit >= len(windows):
        return windows
    return windows.take(np.linspace(0, len(windows) - 1, limit).round().astype(int))
