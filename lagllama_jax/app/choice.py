"""`Choice`: the columns that were chosen on the page, and the series that they make."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from lagllama_jax.app.limits import Limits
from lagllama_jax.config import check
from lagllama_jax.errors import DataError, listed
from lagllama_jax.series.columns import find_columns
from lagllama_jax.series.dataframe import read_frame
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.frames import as_table
from lagllama_jax.series.number_columns import numbers
from lagllama_jax.series.split_times import join_times
from lagllama_jax.series.table_files import read_table
from lagllama_jax.series.tables import Table
from lagllama_jax.series.turned import turned
from lagllama_jax.typing import Bool, Int


class Files(NamedTuple):
    """The files of a table.

    Attributes:
      table: The table.
      future: Table of the known covariates of the future. `None`: there is none.
      encoding: Encoding of text. `None`: as the content tells.
    """

    table: Path
    future: Path | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class Choice:
    """The roles of the columns of a table, and how it is read.

    Attributes:
      layout: `long`: the values are in the target columns. `wide`: each column is a series.
      id_column: Column of the names of the series. `None`: a single series, or a wide table.
      timestamp_column: Column of the time stamps. `None`: none was chosen.
      target: Columns of the values. Of a wide table, the series; none: all columns.
      known: Columns of known covariates. Their future is in the second table or, if there is none,
        in the rows after the last value of the target.
      freq: As in `read_frame`; so are the next three.
      dayfirst: Order of day and month.
      date_format: Format of time stamps.
      decimal: Decimal mark.
    """

    layout: Literal["long", "wide"] = "long"
    id_column: str | None = None
    timestamp_column: str | None = None
    target: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    freq: str | None = None
    dayfirst: bool | None = None
    date_format: str | None = None
    decimal: str | None = None

    @property
    def reading(self) -> dict[str, Any]:
        """The options of `read_frame` that tell how text is read."""
        names = ("freq", "dayfirst", "date_format", "decimal")
        return {name: getattr(self, name) for name in names}


def open_table(path: Path, encoding: str | None, limits: Limits) -> Table:
    """Reads a table as the command line does, within limits, and names its columns by text.

    Raises:
      DataError: If the table cannot be read, is too large, or has two columns of the same name.
    """
    read = read_table(path, encoding, limits.unpacked_bytes)
    rows, columns = read.frame.shape
    for count, most, what in (
        (rows, limits.max_rows, "rows"),
        (columns, limits.max_columns, "columns"),
    ):
        if count > most:
            raise DataError(
                f"{read.name} has {count:,} {what}, and the page takes at most {most:,}. Use the "
                "command line for it, or start the page with a higher limit."
            )
    table = turned(join_times(as_table(read)))
    return table.with_frame(table.frame.set_axis(list(map(str, table.frame.columns)), axis=1))


def read_choice(
    files: Files, choice: Choice, prediction_length: int, limits: Limits
) -> SeriesDataset:
    """Reads the chosen series from files. See `series_of`."""
    table, coming = open_table(files.table, files.encoding, limits), None
    if choice.known and files.future is not None:
        coming = open_table(files.future, files.encoding, limits)
    return series_of(table, coming, choice, prediction_length, limits)


def series_of(
    table: Table, coming: Table | None, choice: Choice, prediction_length: int, limits: Limits
) -> SeriesDataset:
    """The chosen series of a table. Columns that were not chosen are not used.

    Args:
      table: The table.
      coming: The second table. `None`: there is none.
      choice: The columns.
      prediction_length: Number of time steps to forecast.
      limits: Limits of the page.

    Raises:
      DataError: If the tables cannot be read, or do not fit the choice.
      ConfigError: If the choice is incomplete.
    """
    if choice.layout == "wide":
        dataset = _read_wide(table, choice)
    else:
        dataset = _read_long(table, coming, choice, prediction_length)
    count = len(dataset) * len(dataset.target_names)
    if count > limits.max_series:
        raise DataError(
            f"The table has {count:,} series, and the page takes at most {limits.max_series:,}. "
            "Use the command line for it, or start the page with a higher limit."
        )
    return dataset


def _read_wide(table: Table, choice: Choice) -> SeriesDataset:
    check(not choice.known, "Covariates need the layout with the values in one column.")
    names = choice.target or tuple(map(str, table.frame.columns))
    part = _restricted(table, [choice.timestamp_column, *names])
    found = find_columns(part, None, choice.timestamp_column, None)
    if found.target is not None or found.item_id is not None:
        reserved = (found.target or (found.item_id,))[0]
        raise DataError(
            f"The name {str(reserved)!r} says that the values are in one column: rename the "
            "column, or choose that layout."
        )
    return read_frame(part, timestamp_column=choice.timestamp_column, **choice.reading)


def _read_long(
    table: Table, coming: Table | None, choice: Choice, prediction_length: int
) -> SeriesDataset:
    check(len(choice.target) > 0, "Choose at least one column of values.")
    keys = [choice.id_column, choice.timestamp_column]
    part = _restricted(table, [*keys, *choice.target, *choice.known])
    if not choice.known:
        coming = None
    elif coming is None:
        part, coming = split_future(part, choice)
    else:
        coming = _restricted(coming, [*keys, *choice.known])
    return read_frame(
        part,
        future=coming,
        prediction_length=None if coming is None else prediction_length,
        id_column=choice.id_column,
        timestamp_column=choice.timestamp_column,
        target=list(choice.target),
        **choice.reading,
    )


def _restricted(table: Table, names: list[str | None]) -> Table:
    """A table with some of its columns, without repetition."""
    kept = [name for name in dict.fromkeys(names) if name is not None]
    missing = [name for name in kept if name not in table.frame]
    if missing:
        raise DataError(
            f"No column {missing[0]!r} in {table.name}; its columns are "
            f"{listed(list(table.frame))}."
        )
    return table.with_frame(table.frame[kept])


def split_future(table: Table, choice: Choice) -> tuple[Table, Table]:
    """Splits off the rows of the future: those of a series after its last row with a target.

    Rows are taken in the order of the file or, if there are none at its end, in the reverse order,
    as files may have the newest row first. Reading the parts fails if their times overlap.

    Args:
      table: The table.
      choice: The columns, of which `target` and `id_column` are used.

    Raises:
      DataError: If there are no such rows, or nothing else, or a target cannot be read.
    """
    given = np.zeros(len(table.frame), bool)
    for name in choice.target:
        given |= ~np.isnan(numbers(table, name, name, choice.decimal))
    items = np.zeros(len(given), np.int64)
    if choice.id_column is not None:
        items, _ = pd.factorize(table.frame[choice.id_column], use_na_sentinel=False)
    future = _after(given, items)
    if not future.any():
        future = _after(given[::-1], items[::-1])[::-1]
    if not future.any():
        raise DataError(
            f"{table.name} has no rows after the last value of {listed(choice.target)}, and known "
            "covariates need their future values: add rows with empty cells of the target, or give "
            "a second table."
        )
    if future.all():
        raise DataError(f"{listed(choice.target)} has no value in {table.name}.")
    past, coming = np.flatnonzero(~future), np.flatnonzero(future)
    known = table.frame.drop(columns=list(choice.target))
    parts = (
        table.with_frame(table.frame.iloc[past].reset_index(drop=True), past),
        table.with_frame(known.iloc[coming].reset_index(drop=True), coming),
    )
    return parts[0], replace(parts[1], name=f"the future rows of {table.name}")


def _after(given: Bool[np.ndarray, "n"], items: Int[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    """The rows that follow the last given row of their item."""
    last = np.full(items.max(initial=0) + 1, -1)
    np.maximum.at(last, items[given], np.flatnonzero(given))
    return np.arange(len(given)) > last[items]
