"""Places the rows of a table on the regular time grids of its series."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.errors import DataError
from lagllama_jax.series.cycles import find_cycle
from lagllama_jax.series.frequency import Frequency, local_clock
from lagllama_jax.series.future import past_ends
from lagllama_jax.series.grid import place
from lagllama_jax.series.groups import Groups
from lagllama_jax.series.numbering import place_numbers
from lagllama_jax.series.spacing import infer
from lagllama_jax.series.tables import Table, series_name
from lagllama_jax.series.times import TimeOptions, read_numbering, read_times
from lagllama_jax.typing import Float, Int

FEWEST_ROWS = 10
"""Number of rows of a series that tell that it has no weekends."""


@dataclass(frozen=True)
class Placed:
    """The rows of a table on the time grids of their series, sorted by series and time.

    Attributes:
      rows: The sorted rows.
      position: Number of steps of each row since the first row of its series.
      unit: The step: a `Frequency`, or a number.
      write: Function that writes time stamps as in the table.
    """

    rows: "_Rows"
    position: Int[np.ndarray, "n"]
    unit: Any
    write: Any

    @property
    def starts(self) -> list[Any]:
        """The time stamp or number of the first row of each series."""
        return [self.rows.times[row] for row in self.rows.groups.first.tolist()]

    def split(self, values: Float[np.ndarray, "n"]) -> list[Float[np.ndarray, "T"]]:
        """One array per series, with each value at its position and NaN at the other positions."""
        groups = self.rows.groups
        lengths = groups.extent(self.position)
        offsets = np.cumsum(lengths) - lengths
        flat = np.full(int(lengths.sum()), np.nan)
        flat[np.repeat(offsets, groups.counts) + self.position] = values[self.rows.order]
        return np.split(flat, offsets[1:])

    def stack(self, variates: dict[str, Float[np.ndarray, "n"]]) -> list[Float[np.ndarray, "V T"]]:
        """One array per series, with one row per variate."""
        return [np.stack(rows) for rows in zip(*map(self.split, variates.values()), strict=True)]

    def ends(self, length: int, horizon: int, names: list[str]) -> Int[np.ndarray, "k"]:
        """Number of points of the past of each series, if the first `length` rows are the past."""
        rows = self.rows
        future = rows.order >= length
        return past_ends(future, self.position, rows.groups, horizon, rows.describe, names)


def place_rows(
    table: Table,
    column: Any,
    codes: Int[np.ndarray, "n"],
    of_row: np.ndarray | None,
    options: TimeOptions,
    step: Any,
) -> Placed:
    """Reads the time stamps, or the numbers of the rows, and places the rows on a grid.

    Args:
      table: The table.
      column: Name of the column of time stamps or numbers.
      codes: Number of the series of each row.
      of_row: Name of the series of each row. `None`: the table is wide.
      options: How time stamps are read.
      step: Step of numbered rows. `None`: the rows are dated, or their step is not known.

    Raises:
      DataError: If a time stamp cannot be read, or a row is not on the grid.
    """
    reading = None
    if step is None:
        reading = read_times(table, column, codes, options, of_row)
    if reading is None:
        times: pd.Index = read_numbering(table, column, options.freq)
    else:
        times = reading.stamps
    rows = _sorted(table, times, codes, of_row)
    position, unit = rows.place(options.freq if step is None else step)
    return Placed(rows, position, unit, reading and reading.write)


@dataclass(frozen=True)
class _Rows:
    """The rows of a table, sorted by series and time.

    Attributes:
      table: The table.
      times: Time stamps or numbers of the sorted rows.
      groups: The sorted rows of each series.
      order: Number in the table of each sorted row.
      of_row: Name of the series of each row of the table. `None`: the table is wide.
    """

    table: Table
    times: Any
    groups: Groups
    order: Int[np.ndarray, "n"]
    of_row: np.ndarray | None

    def describe(self, row: int) -> str:
        """Describes a sorted row for an error message."""
        place = int(self.order[row])
        series = "" if self.of_row is None else f"s{series_name(self.of_row, place)[1:]}"
        return f"{series}{self.table.row(place)} ({self.times[row]})"

    def place(self, step: Any) -> tuple[Int[np.ndarray, "n"], Any]:
        """The number of steps of each row since the first row of its series, and the step."""
        same = self.groups.repeated(self.times)
        if same.any():
            row = int(np.argmax(same))
            clocks = " The hour that occurs twice when clocks go back needs its offset from UTC."
            raise DataError(
                f"Duplicate time stamp: {self.describe(row - 1)} and {self.describe(row)}. Keep "
                "one, aggregate them, or, if they belong to different series, name these by a "
                f"column (id_column).{clocks if _may_occur_twice(self.times[row]) else ''}"
            )
        if not isinstance(self.times, pd.DatetimeIndex):
            return place_numbers(self.times, self.groups.series, step, self.describe)
        try:
            return self._on_grid(step)
        except DataError:
            cycle = None if step is not None else find_cycle(self.times, self.groups.series)
            if cycle is None:
                raise
        warnings.warn(
            f"{self.table.name}: the time stamps have no common step, but repeat ({cycle}). The "
            "rows are numbered, without a calendar, and the dates of forecasts follow the pattern.",
            stacklevel=2,
        )
        return cycle.since_start(self.times, self.groups.series), cycle

    def _on_grid(self, step: Frequency | None) -> tuple[Int[np.ndarray, "n"], Frequency]:
        series, inferred = self.groups.series, step is None
        found = infer(self.times, series) if step is None else step
        found = found.stamped_like(local_clock(self.times))
        position = place(found, self.times, series, self.describe, inferred)
        if inferred and str(found) == "D":
            self._warn_of_business_days()
        return position, found

    def _warn_of_business_days(self) -> None:
        """Warns if some series have no row at weekends, and others have."""
        groups = self.groups
        business = np.maximum.reduceat(self.times.day_of_week, groups.first) < 5
        business &= groups.counts >= FEWEST_ROWS
        if business.any() and not business.all():
            assert self.of_row is not None  # as there are several series
            name = self.of_row[self.order[groups.first[np.argmax(business)]]]
            warnings.warn(
                f"{self.table.name}: {business.sum()} of {len(business)} series, such as {name!r}, "
                "have no row at a weekend. All series have one step, D, so that their weekends "
                "count as missing, and are forecast. Forecast them in a call of their own, or give "
                "freq=.",
                stacklevel=2,
            )


def _may_occur_twice(time: Any) -> bool:
    """Whether a time without a zone is in an hour of the night in which clocks may go back."""
    local = isinstance(time, pd.Timestamp) and time.tz is None
    return local and time.hour <= 3 and time.weekday() == 6 and time.month in (3, 4, 9, 10, 11)


def _sorted(
    table: Table, times: pd.Index, codes: Int[np.ndarray, "n"], of_row: np.ndarray | None
) -> _Rows:
    key = times.asi8 if hasattr(times, "asi8") else np.asarray(times)
    later, same = key[1:] > key[:-1], codes[1:] == codes[:-1]
    if ((codes[1:] > codes[:-1]) | (same & later)).all():
        return _Rows(table, times, Groups(codes), np.arange(len(codes)), of_row)
    order = np.lexsort((key, codes))
    return _Rows(table, times[order], Groups(codes[order]), order, of_row)
