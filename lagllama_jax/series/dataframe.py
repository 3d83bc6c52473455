"""Reads series on regular time grids from data frames."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.errors import DataError
from lagllama_jax.series import grid
from lagllama_jax.series.columns import (
    Columns,
    find_columns,
    is_numbering,
    is_unnamed,
    numbers,
    series_name,
)
from lagllama_jax.series.cycles import find_cycle
from lagllama_jax.series.dataset import Numbering, SeriesDataset
from lagllama_jax.series.frames import as_table
from lagllama_jax.series.frequency import Frequency, local_clock
from lagllama_jax.series.numbering import as_step, place_numbers
from lagllama_jax.series.split_times import join_times
from lagllama_jax.series.tables import Table
from lagllama_jax.series.times import TimeOptions, read_numbering, read_times
from lagllama_jax.series.turned import turned
from lagllama_jax.typing import Float, Int


def read_frame(
    data: Any,
    *,
    freq: Any = None,
    id_column: Any = None,
    timestamp_column: Any = None,
    target_column: Any = None,
    dayfirst: bool | None = None,
    date_format: str | None = None,
    decimal: str | None = None,
) -> SeriesDataset:
    """Makes a dataset from a data frame, whose rows may be in any order.

    A time step without a row is a missing value.

    Args:
      data: A pandas, polars, Arrow or DuckDB data frame, or a pandas Series with an index of dates.
        A long data frame has the columns `item_id`, `timestamp` and `target`, or `unique_id`, `ds`
        and `y`. The first column may be absent for a single series, and other columns are left out
        with a warning. A wide data frame has a column of time stamps and one column per series.
      freq: Step between the time stamps, in a form that `Frequency.parse` accepts. `None`: inferred
        from the time stamps. A number: the rows are numbered, and this is the step.
      id_column: Name of the column of item names, if it is not one of those above.
      timestamp_column: The same of the time stamps.
      target_column: The same of the values.
      dayfirst: Whether `01/02/2024` is the 1st of February. `None`: the reading under which the
        rows are on a regular grid.
      date_format: Format of text or numbers as time stamps, as in `datetime.strptime`.
      decimal: Decimal mark of numbers in text. `None`: the one by which all cells are numbers.

    Raises:
      DataError: If the data frame cannot be read. The message names the series, column and row.

    >>> import pandas as pd
    >>> days = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-04"])
    >>> dataset = read_frame(pd.DataFrame({"ds": days, "y": [1.0, 2.0, 4.0]}), freq="D")
    >>> dataset.targets[0].tolist(), str(dataset.frequency)
    ([[1.0, 2.0, nan, 4.0]], 'D')
    """
    table = turned(join_times(as_table(data, freq)))
    columns = find_columns(table, id_column, timestamp_column, target_column)
    if freq is None:
        freq = getattr(table.frame[columns.timestamp].dtype, "freq", None)
    step = as_step(freq)
    frequency = None if freq is None or step is not None else Frequency.parse(freq)
    wide = columns.target is None
    labels, codes = _wide_series(table, columns) if wide else _long_series(table, columns)
    names = [str(label) for label in labels]
    of_row = None if wide else np.array(names, dtype=object)[codes]
    if of_row is None:
        cells = [
            numbers(table, one, name, decimal) for one, name in zip(labels, names, strict=True)
        ]
    else:
        cells = [numbers(table, columns.target, of_row, decimal)]
    options = TimeOptions(frequency, dayfirst, date_format)
    reading = None
    if step is None:
        reading = read_times(table, columns.timestamp, codes, options, of_row)
    if reading is not None:
        times: pd.Index = reading.stamps
    else:
        times = read_numbering(table, columns.timestamp, frequency)
    rows = _sorted(table, times, codes, of_row)
    position, unit = rows.place(frequency if step is None else step)
    first = np.flatnonzero(np.r_[True, rows.codes[1:] != rows.codes[:-1]])
    split = [part for one in cells for part in _scatter(one[rows.order], position, first)]
    for name, values in zip(names, split, strict=True):
        if np.isnan(values).all():
            raise DataError(f"Series {name!r} has no value at all (only NaN): drop it.")
    starts = [rows.times[row] for row in first.tolist()] * len(cells)
    dated = isinstance(unit, Frequency)
    return SeriesDataset(
        names,
        [values[None] for values in split],
        starts if dated else (),
        [unit] * len(names) if dated else (),
        id_column="item_id" if columns.item_id is None else columns.item_id,
        timestamp_column="timestamp" if is_unnamed(columns.timestamp) else columns.timestamp,
        labels=labels,
        numbering=None if dated else Numbering(starts, unit),
        write_times=reading and reading.write,
    )


def _long_series(table: Table, columns: Columns) -> tuple[list[Any], Int[np.ndarray, "n"]]:
    """The names of the series of a long table, and the number of the series of each row."""
    if columns.item_id is None:
        return [columns.target], np.zeros(len(table.frame), np.int64)
    codes, labels = pd.factorize(table.frame[columns.item_id])
    if (codes < 0).any():
        raise DataError(
            f"Column {str(columns.item_id)!r}, {table.row(int(np.argmin(codes)))}: the series "
            "has no name. Fill it in or drop the row."
        )
    return list(labels), codes


def _wide_series(table: Table, columns: Columns) -> tuple[list[Any], Int[np.ndarray, "n"]]:
    """The names of the series of a wide table, and 0 for each row, as the series share the rows."""
    names = table.frame.columns
    labels = [one for one in names if one != columns.timestamp and not is_numbering(table, one)]
    if not labels:
        raise DataError(f"No column of values beside the time stamps in {table.name}.")
    return labels, np.zeros(len(table.frame), np.int64)


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
        try:
            return self._on_grid(step)
        except DataError:
            cycle = None if step is not None else find_cycle(self.times, self.codes)
            if cycle is None:
                raise
        warnings.warn(
            f"{self.table.name}: the time stamps have no common step, but repeat ({cycle}). The "
            "rows are numbered, without a calendar, and the dates of forecasts follow the pattern.",
            stacklevel=2,
        )
        return cycle.since_start(self.times, self.codes), cycle

    def _on_grid(self, step: Frequency | None) -> tuple[Int[np.ndarray, "n"], Frequency]:
        found = grid.infer(self.times, self.codes) if step is None else step
        found = found.stamped_like(local_clock(self.times))
        inferred = step is None
        return grid.place(found, self.times, self.codes, self.describe, inferred), found


def _sorted(
    table: Table, times: pd.Index, codes: Int[np.ndarray, "n"], of_row: np.ndarray | None
) -> _Rows:
    key = times.asi8 if hasattr(times, "asi8") else np.asarray(times)
    later, same = key[1:] > key[:-1], codes[1:] == codes[:-1]
    if ((codes[1:] > codes[:-1]) | (same & later)).all():
        return _Rows(table, times, codes, np.arange(len(codes)), of_row)
    order = np.lexsort((key, codes))
    return _Rows(table, times[order], codes[order], order, of_row)


def _scatter(
    values: Float[np.ndarray, "n"], position: Int[np.ndarray, "n"], first: Int[np.ndarray, "k"]
) -> list[Float[np.ndarray, "T"]]:
    """One array per series, with each value at its position and NaN at the other positions."""
    last = np.r_[first[1:], len(values)] - 1
    lengths = position[last] + 1
    offsets = np.cumsum(lengths) - lengths
    flat = np.full(int(lengths.sum()), np.nan)
    flat[np.repeat(offsets, last - first + 1) + position] = values
    return np.split(flat, offsets[1:])
