"""Reads series on regular time grids from data frames."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lagllama_jax.errors import DataError
from lagllama_jax.series import grid
from lagllama_jax.series.columns import Columns, find_columns, numbers, timestamps
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.frequency import Frequency, local_clock
from lagllama_jax.series.tables import Table, as_table
from lagllama_jax.typing import Float, Int

if TYPE_CHECKING:
    import pandas as pd


def read_frame(
    data: Any,
    *,
    freq: Any = None,
    id_column: str | None = None,
    timestamp_column: str | None = None,
    target_column: str | None = None,
) -> SeriesDataset:
    """Makes a dataset from a data frame, whose rows may be in any order.

    A time step without a row is a missing value.

    Args:
      data: A pandas, polars or Arrow data frame, or a pandas Series with an index of dates. A long
        data frame has the columns `item_id`, `timestamp` and `target`, or `unique_id`, `ds` and
        `y`. The first column may be absent for a single series, and other columns are ignored. A
        wide data frame has a column of time stamps and one column per series.
      freq: Step between the time stamps, in a form that `Frequency.parse` accepts. `None`: inferred
        from the time stamps.
      id_column: Name of the column of item names, if it is not one of those above.
      timestamp_column: Name of the column of time stamps, if it is not one of those above.
      target_column: Name of the column of values, if it is not one of those above.

    Raises:
      DataError: If the data frame cannot be read. The message names the series, the column, the row
        and the remedy.

    >>> import pandas as pd
    >>> days = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-04"])
    >>> dataset = read_frame(pd.DataFrame({"ds": days, "y": [1.0, 2.0, 4.0]}), freq="D")
    >>> dataset.targets[0].tolist(), str(dataset.frequency)
    ([[1.0, 2.0, nan, 4.0]], 'D')
    """
    table = as_table(data)
    columns = find_columns(table, id_column, timestamp_column, target_column)
    if freq is None:
        freq = getattr(table.frame[columns.timestamp].dtype, "freq", None)
    frequency = None if freq is None else Frequency.parse(freq)
    read = _read_wide if columns.target is None else _read_long
    return read(table, columns, frequency)


def _read_long(table: Table, columns: Columns, frequency: Frequency | None) -> SeriesDataset:
    import pandas as pd

    if columns.item_id is None:
        codes, labels = np.zeros(len(table.frame), np.int64), pd.Index([columns.target])
    else:
        codes, labels = pd.factorize(table.frame[columns.item_id])
        if (codes < 0).any():
            raise DataError(
                f"Column {str(columns.item_id)!r}, {table.row(int(np.argmin(codes)))}: the series "
                "has no name. Fill it in or drop the row."
            )
    names = [str(label) for label in labels]
    of_row = np.array(names, dtype=object)[codes]
    stamps = timestamps(table, columns.timestamp, of_row)
    values = numbers(table, columns.target, of_row)
    order = _sorted_order(stamps, codes)
    stamps, codes = stamps[order], codes[order]
    rows = _Rows(table, order, of_row[order], stamps)
    position, first, frequency = _place(rows, codes, frequency)
    split = _scatter(values[order], position, first)
    _check_observed(names, split)
    return SeriesDataset(
        names,
        [values[None] for values in split],
        [stamps[row] for row in first],
        [frequency] * len(names),
        id_column="item_id" if columns.item_id is None else columns.item_id,
        timestamp_column=columns.timestamp,
        labels=list(labels),
    )


def _read_wide(table: Table, columns: Columns, frequency: Frequency | None) -> SeriesDataset:
    labels = [name for name in table.frame.columns if name != columns.timestamp]
    if not labels:
        raise DataError(f"No column of values beside the time stamps in {table.name}.")
    names = [str(label) for label in labels]
    cells = [numbers(table, label, name) for label, name in zip(labels, names, strict=True)]
    stamps = timestamps(table, columns.timestamp)
    order = _sorted_order(stamps, np.zeros(len(stamps), np.int64))
    stamps = stamps[order]
    rows = _Rows(table, order, np.full(len(stamps), "the table", dtype=object), stamps)
    position, _, frequency = _place(rows, np.zeros(len(stamps), np.int64), frequency)
    first = np.zeros(1, np.int64)
    split = [_scatter(values[order], position, first)[0] for values in cells]
    _check_observed(names, split)
    return SeriesDataset(
        names,
        [values[None] for values in split],
        [stamps[0]] * len(names),
        [frequency] * len(names),
        timestamp_column=columns.timestamp,
        labels=labels,
    )


@dataclass(frozen=True)
class _Rows:
    """The rows of a table, sorted by series and time, with their places for error messages."""

    table: Table
    order: Int[np.ndarray, "n"]
    names: np.ndarray
    stamps: "pd.DatetimeIndex"

    def describe(self, row: int) -> str:
        where = self.table.row(int(self.order[row]))
        return f"series {self.names[row]!r}, {where} ({self.stamps[row]})"


def _sorted_order(stamps: "pd.DatetimeIndex", codes: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """The order of rows by series, in order of appearance, and by time. The sort is stable."""
    return np.lexsort((stamps.asi8, codes))


def _place(
    rows: _Rows, codes: Int[np.ndarray, "n"], frequency: Frequency | None
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "k"], Frequency]:
    """Places sorted rows on the regular grid.

    Returns:
      The number of steps of each row since the first row of its series, the first row of each
      series, and the frequency.
    """
    same = (rows.stamps.asi8[1:] == rows.stamps.asi8[:-1]) & (codes[1:] == codes[:-1])
    if same.any():
        row = int(np.argmax(same))
        raise DataError(
            f"Duplicate time stamp: {rows.describe(row)} and "
            f"{rows.table.row(int(rows.order[row + 1]))}. Keep one of them or aggregate them; if "
            "they belong to different series, name the column that tells which (id_column)."
        )
    inferred = frequency is None
    step = grid.infer(rows.stamps, codes) if frequency is None else frequency
    step = step.stamped_like(local_clock(rows.stamps))
    position = grid.place(step, rows.stamps, codes, rows.describe, inferred)
    return position, np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]]), step


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


def _check_observed(names: list[str], values: list[Float[np.ndarray, "T"]]) -> None:
    empty = next((n for n, v in zip(names, values, strict=True) if np.isnan(v).all()), None)
    if empty is not None:
        raise DataError(f"Series {empty!r} has no value at all (only NaN): drop it.")
