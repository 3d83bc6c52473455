"""Reads series on regular time grids from data frames."""

from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.errors import DataError
from lagllama_jax.series import grid
from lagllama_jax.series.columns import Columns, find_columns, numbers, timestamps
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.frequency import Frequency, local_clock
from lagllama_jax.series.tables import Table, as_table
from lagllama_jax.typing import Float, Int


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
      timestamp_column: The same of the time stamps.
      target_column: The same of the values.

    Raises:
      DataError: If the data frame cannot be read. The message names the series, column and row.

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
    wide = columns.target is None
    labels, codes = _wide_series(table, columns) if wide else _long_series(table, columns)
    names = [str(label) for label in labels]
    of_row = None if wide else np.array(names, dtype=object)[codes]
    stamps = timestamps(table, columns.timestamp, of_row)
    if of_row is None:
        cells = [numbers(table, label, name) for label, name in zip(labels, names, strict=True)]
    else:
        cells = [numbers(table, columns.target, of_row)]
    order = np.lexsort((stamps.asi8, codes))
    stamps, codes = stamps[order], codes[order]

    def describe(row: int) -> str:
        series = "" if of_row is None else f"series {of_row[order[row]]!r}, "
        return f"{series}{table.row(int(order[row]))} ({stamps[row]})"

    position, frequency = _place(stamps, codes, frequency, describe)
    first = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    split = [part for column in cells for part in _scatter(column[order], position, first)]
    for name, values in zip(names, split, strict=True):
        if np.isnan(values).all():
            raise DataError(f"Series {name!r} has no value at all (only NaN): drop it.")
    return SeriesDataset(
        names,
        [values[None] for values in split],
        [stamps[row] for row in first.tolist()] * len(cells),
        [frequency] * len(names),
        id_column="item_id" if columns.item_id is None else columns.item_id,
        timestamp_column=columns.timestamp,
        labels=labels,
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
    labels = [name for name in table.frame.columns if name != columns.timestamp]
    if not labels:
        raise DataError(f"No column of values beside the time stamps in {table.name}.")
    return labels, np.zeros(len(table.frame), np.int64)


def _place(
    stamps: pd.DatetimeIndex,
    codes: Int[np.ndarray, "n"],
    frequency: Frequency | None,
    describe: grid.Describe,
) -> tuple[Int[np.ndarray, "n"], Frequency]:
    """The number of steps of each sorted row since the first row of its series, and the step."""
    same = (stamps.asi8[1:] == stamps.asi8[:-1]) & (codes[1:] == codes[:-1])
    if same.any():
        row = int(np.argmax(same))
        raise DataError(
            f"Duplicate time stamp: {describe(row)} and {describe(row + 1)}. Keep one, aggregate "
            "them, or, if they belong to different series, name these by a column (id_column)."
        )
    step = grid.infer(stamps, codes) if frequency is None else frequency
    step = step.stamped_like(local_clock(stamps))
    return grid.place(step, stamps, codes, describe, inferred=frequency is None), step


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
