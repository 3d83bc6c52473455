"""Reads the columns of a question from a wide or a long data frame."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lagllama_jax.errors import DataError, listed
from lagllama_jax.series.columns import find_columns
from lagllama_jax.series.dataframe import read_frame
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.frames import as_table
from lagllama_jax.series.tables import Table


def read_columns(
    df: Any, first: list[str], others: Sequence[str] | None, reading: dict[str, Any]
) -> SeriesDataset:
    """One item whose target variates are the named columns of a data frame.

    Args:
      df: The data frame, wide, or long with an `id_column` in `reading`.
      first: Names of the first columns.
      others: Names of the columns after them. `None`: all others except the time stamps.
      reading: Options of `read_frame`, and `id_column`.

    Raises:
      DataError: If a column is absent or named twice, or cannot be read.
    """
    options = dict(reading)
    if others is None:
        frame = as_table(df).frame
        time = options.get("timestamp_column")
        if time is None:
            time = find_columns(as_table(df), None, None, first).timestamp
        others = [name for name in frame.columns if name != time and name not in first]
    names = [*first, *others]
    table = _table(df, names, options.pop("id_column", None), options)
    return read_frame(table, target=names, **options)


def names_of(names: str | Sequence[str] | None) -> list[str]:
    """The names of columns, given as one name, several, or none."""
    return [] if names is None else [names] if isinstance(names, str) else list(names)


def _table(df: Any, names: list[str], id_column: Any, reading: dict[str, Any]) -> Table:
    """A wide table of the times and of the named columns, which may be items of a long table."""
    table = as_table(df)
    frame, time = table.frame, reading.get("timestamp_column")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{twice!r} is named twice among the targets and controls: once is enough.")
    if id_column is not None:
        columns = find_columns(table, id_column, time, None)
        assert columns.target is not None
        time, items = columns.timestamp, frame[columns.item_id].astype(str)
        duplicate = frame.assign(_item=items).duplicated(["_item", time])
        if duplicate.any():
            row = int(np.argmax(duplicate.to_numpy()))
            raise DataError(
                f"{table.row(row)} repeats a name and a time of an earlier row: drop it."
            )
        frame = frame.assign(_item=items).pivot(
            index=time, columns="_item", values=columns.target[0]
        )
        frame = frame.rename_axis(columns=None).reset_index()
        table = replace(table, frame=frame, name=f"{table.name} by name", line=None)
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise DataError(
            f"No column {missing[0]!r} in {table.name}: its columns are "
            f"{listed(list(frame.columns))}."
        )
    if id_column is None and time is None:
        if set(frame.columns) == set(names):
            reading["timestamp_column"], reading["freq"] = "row", reading.get("freq") or 1
            return table.with_frame(frame.assign(row=np.arange(len(frame))))
        time = find_columns(table, None, None, names).timestamp
    reading["timestamp_column"] = time
    return table.with_frame(frame[[time, *names]])
