"""Places the rows of a table on the regular time grids of its series."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.errors import DataError
from lagllama_jax.series import grid as time_grid
from lagllama_jax.series.columns import series_name
from lagllama_jax.series.frequency import local_clock
from lagllama_jax.series.future import past_ends
from lagllama_jax.series.numbering import place_numbers
from lagllama_jax.series.tables import Table
from lagllama_jax.series.times import TimeOptions, read_numbering, read_times
from lagllama_jax.typing import Float, Int


@dataclass(frozen=True)
class Placed:
    """The rows of a table on the time grids of their series, sorted by series and time.

    Attributes:
      rows: The sorted rows.
      position: Number of steps of each row since the first row of its series.
      unit: The step: a `Frequency`, or a number.
      first: First row of each series.
      write: Function that writes time stamps as in the table.
    """

    rows: "_Rows"
    position: Int[np.ndarray, "n"]
    unit: Any
    first: Int[np.ndarray, "k"]
    write: Any

    def split(self, values: Float[np.ndarray, "n"]) -> list[Float[np.ndarray, "T"]]:
        """One array per series, with each value at its position and NaN at the other positions."""
        last = np.r_[self.first[1:], len(values)] - 1
        lengths = self.position[last] + 1
        offsets = np.cumsum(lengths) - lengths
        flat = np.full(int(lengths.sum()), np.nan)
        flat[np.repeat(offsets, last - self.first + 1) + self.position] = values[self.rows.order]
        return np.split(flat, offsets[1:])

    def stack(self, variates: dict[str, Float[np.ndarray, "n"]]) -> list[Float[np.ndarray, "V T"]]:
        """One array per series, with one row per variate."""
        return [np.stack(rows) for rows in zip(*map(self.split, variates.values()), strict=True)]

    def ends(self, length: int, horizon: int, names: list[str]) -> Int[np.ndarray, "k"]:
        """Number of points of the past of each series, if the first `length` rows are the past."""
        future, describe = self.rows.order >= length, self.rows.describe
        return past_ends(future, self.position, self.first, horizon, describe, names)


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
    first = np.flatnonzero(np.r_[True, rows.codes[1:] != rows.codes[:-1]])
    return Placed(rows, position, unit, first, reading and reading.write)


@dataclass(frozen=True)
class _Rows:
    """The rows of a table, sorted by series and time.

    Attributes:
      table: The table.
      times: Time stamps or numbers of the sorted rows.
      codes: Number of the series of each sorted row.
      order: Number in the table of each sorted row.
      of_row: Name of the series of each row of the table. `None`: the table is wide.
    """

    table: Table
    times: Any
    codes: Int[np.ndarray, "n"]
    order: Int[np.ndarray, "n"]
    of_row: np.ndarray | None

    def describe(self, row: int) -> str:
        """Describes a sorted row for an error message."""
        place = int(self.order[row])
        series = "" if self.of_row is None else f"s{series_name(self.of_row, place)[1:]}"
        return f"{series}{self.table.row(place)} ({self.times[row]})"

    def place(self, step: Any) -> tuple[Int[np.ndarray, "n"], Any]:
        """The number of steps of each row since the first row of its series, and the step."""
        same = (self.times[1:] == self.times[:-1]) & (self.codes[1:] == self.codes[:-1])
        if same.any():
            row = int(np.argmax(same))
            raise DataError(
                f"Duplicate time stamp: {self.describe(row)} and {self.describe(row + 1)}. Keep "
                "one, aggregate them, or, if they belong to different series, name these by a "
                "column (id_column)."
            )
        if not isinstance(self.times, pd.DatetimeIndex):
            return place_numbers(self.times, self.codes, step, self.describe)
        found = time_grid.infer(self.times, self.codes) if step is None else step
        found = found.stamped_like(local_clock(self.times))
        inferred = step is None
        return time_grid.place(found, self.times, self.codes, self.describe, inferred), found


def _sorted(
    table: Table, times: pd.Index, codes: Int[np.ndarray, "n"], of_row: np.ndarray | None
) -> _Rows:
    key = times.asi8 if hasattr(times, "asi8") else np.asarray(times)
    later, same = key[1:] > key[:-1], codes[1:] == codes[:-1]
    if ((codes[1:] > codes[:-1]) | (same & later)).all():
        return _Rows(table, times, codes, np.arange(len(codes)), of_row)
    order = np.lexsort((key, codes))
    return _Rows(table, times[order], codes[order], order, of_row)
