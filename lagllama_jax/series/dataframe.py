"""Reads series on regular time grids from data frames."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lagllama_jax.config import Count, checked
from lagllama_jax.errors import DataError, listed
from lagllama_jax.series.columns import Columns, find_columns, is_numbering, is_unnamed
from lagllama_jax.series.covariate_columns import read_covariate, read_values
from lagllama_jax.series.dataset import Numbering, SeriesDataset
from lagllama_jax.series.frames import as_table
from lagllama_jax.series.frequency import Frequency
from lagllama_jax.series.future import join_future
from lagllama_jax.series.number_columns import numbers
from lagllama_jax.series.numbering import as_step
from lagllama_jax.series.placing import Placed, place_rows
from lagllama_jax.series.split_times import join_times
from lagllama_jax.series.tables import Table
from lagllama_jax.series.times import TimeOptions
from lagllama_jax.series.turned import turned
from lagllama_jax.typing import Float, Int


def read_frame(
    data: Any,
    *,
    future: Any = None,
    prediction_length: int | None = None,
    known: Sequence[Any] = (),
    freq: Any = None,
    id_column: Any = None,
    timestamp_column: Any = None,
    target: Any = None,
    dayfirst: bool | None = None,
    date_format: str | None = None,
    decimal: str | None = None,
) -> SeriesDataset:
    """Makes a dataset from a data frame, whose rows may be in any order.

    A time step without a row is a missing value.

    Args:
      data: A pandas, polars, Arrow or DuckDB data frame, or a pandas Series with an index of dates.
        A long data frame has the columns `item_id`, `timestamp` and `target`, or `unique_id`, `ds`
        and `y`. The first column may be absent for a single series. Columns beside these are
        covariates of the past if they are of numbers, and otherwise left out with a warning. A wide
        data frame has a column of time stamps and one column per series.
      future: A data frame of the time steps to forecast, with covariates whose future is known. It
        has a row per series and time step; rows beyond `prediction_length` are ignored.
      prediction_length: Number of time steps to forecast, with `future`.
      known: Names of columns whose future will be known, instead of `future`.
      freq: Step between the time stamps, in a form that `Frequency.parse` accepts. `None`: inferred
        from the time stamps. A number: the rows are numbered, and this is the step.
      id_column: Name of the column of item names, if it is not one of those above.
      timestamp_column: The same of the time stamps.
      target: The same of the values. A list of names: several targets of each item.
      dayfirst: Whether `01/02/2024` is the 1st of February. `None`: the reading under which the
        rows are on a regular grid.
      date_format: Format of text or numbers as time stamps, as in `datetime.strptime`.
      decimal: Decimal mark of numbers in text. `None`: the one by which all cells are numbers.

    Raises:
      DataError: If the data frame cannot be read. The message names the series, column and row.

    Examples:
      >>> import pandas as pd
      >>> days = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-04"])
      >>> dataset = read_frame(pd.DataFrame({"ds": days, "y": [1.0, 2.0, 4.0]}), freq="D")
      >>> dataset.targets[0].tolist(), str(dataset.frequency)
      ([[1.0, 2.0, nan, 4.0]], 'D')
    """
    table = turned(join_times(as_table(data, freq)))
    columns = find_columns(table, id_column, timestamp_column, target)
    if freq is None:
        freq = getattr(table.frame[columns.timestamp].dtype, "freq", None)
    step = as_step(freq)
    frequency = None if freq is None or step is not None else Frequency.parse(freq)
    length, horizon = len(table.frame), 0
    known = list(known)
    if known:
        _check_known(table, known, columns, future)
    if future is not None:
        horizon = int(checked("prediction_length", prediction_length, Count))
        table, known = _join(table, future, columns, decimal)
    series = _series_of(table, columns)
    cells = _read_cells(table, columns, known, series, length, decimal)
    options = TimeOptions(frequency, dayfirst, date_format)
    grid = place_rows(table, columns.timestamp, series.codes, series.of_row, options, step)
    ends = None if future is None else grid.ends(length, horizon, series.names)
    return _assembled(columns, series, cells, grid, ends, horizon)


class _Series(NamedTuple):
    """The series of a table.

    Attributes:
      labels: Their names as they are in the table.
      names: Their names as text.
      codes: Number of the series of each row; 0 in a wide table, in which the series share rows.
      of_row: Name of the series of each row. `None`: the table is wide.
    """

    labels: list[Any]
    names: list[str]
    codes: Int[np.ndarray, "n"]
    of_row: np.ndarray | None


class _Cells(NamedTuple):
    """The numbers in the columns of a table, one entry per column of each role."""

    targets: dict[str, Float[np.ndarray, "n"]]
    past: dict[str, Float[np.ndarray, "n"]]
    known: dict[str, Float[np.ndarray, "n"]]


def _check_known(table: Table, known: list[Any], columns: Columns, future: Any) -> None:
    """Checks that some columns can be known covariates without a future."""
    if future is not None:
        raise DataError("The columns of the future are the known ones: leave out their names.")
    _check_long(table, columns)
    for name in known:
        if name not in columns.others:
            raise DataError(
                f"{table.name} has no covariate {str(name)!r}; the columns beside series, time "
                f"stamps and targets are {listed(columns.others) or 'none'}."
            )


def _check_long(table: Table, columns: Columns) -> None:
    if columns.target is None:
        raise DataError(
            f"{table.name} has one column per series, and it is not clear which of them are "
            "covariates: name the targets (target)."
        )


def _join(
    table: Table, future: Any, columns: Columns, decimal: str | None
) -> tuple[Table, list[Any]]:
    """The rows of the past and of the future, and the names of the known covariates."""
    _check_long(table, columns)
    coming = as_table(future)
    if coming.name == Table.name:
        coming = replace(coming, name="the future frame")
    return join_future(table, join_times(coming), columns, decimal)


def _series_of(table: Table, columns: Columns) -> _Series:
    """Finds the series of a table."""
    frame, count = table.frame, len(table.frame)
    if columns.target is None:
        labels = [
            name
            for name in frame.columns
            if name != columns.timestamp and not is_numbering(table, name)
        ]
        if not labels:
            raise DataError(f"No column of values beside the time stamps in {table.name}.")
        return _Series(labels, _names(table, labels), np.zeros(count, np.int64), None)
    if columns.item_id is None:
        labels = [columns.target[0] if len(columns.target) == 1 else "series"]
        codes = np.zeros(count, np.int64)
    else:
        codes, found = pd.factorize(frame[columns.item_id])
        labels = list(found)
        if (codes < 0).any():
            raise DataError(
                f"Column {str(columns.item_id)!r}, {table.row(int(np.argmin(codes)))}: the series "
                "has no name. Fill it in or drop the row."
            )
    names = _names(table, labels)
    return _Series(labels, names, codes, np.array(names, dtype=object)[codes])


def _names(table: Table, labels: list[Any]) -> list[str]:
    """The names of series as text, after a check that they differ."""
    names = pd.Index([str(label) for label in labels], dtype=object)
    if names.has_duplicates:
        twice = names[names.duplicated()][0]
        raise DataError(
            f"Two series of {table.name} have the name {twice!r}, once as text and once as another "
            "type: rename one of them."
        )
    return names.tolist()


def _read_cells(
    table: Table,
    columns: Columns,
    known: list[Any],
    series: _Series,
    length: int,
    decimal: str | None,
) -> _Cells:
    """Reads the columns of numbers. The first `length` rows are the past."""
    if series.of_row is None:
        pairs = zip(series.labels, series.names, strict=True)
        return _Cells({name: numbers(table, one, name, decimal) for one, name in pairs}, {}, {})
    assert columns.target is not None
    of_row = series.of_row
    targets = {str(one): numbers(table, one, of_row, decimal) for one in columns.target}
    past = np.arange(len(table.frame)) < length
    covariates: tuple[dict[str, Float[np.ndarray, n]], ...] = {}, {}
    unused = []
    for name in columns.others:
        if name in known:
            covariates[1].update(read_covariate(table, name, of_row, past, decimal))
            continue
        try:
            values = read_values(table, name, of_row, decimal)
        except DataError:  # the forecast does not need the column
            values = None
        if values is None:
            unused.append(name)
        else:
            covariates[0][str(name)] = values
    if unused:
        shown = listed(columns.target)
        warnings.warn(
            f"{table.name}: the columns {listed(unused)} are left out, as they are neither numbers "
            f"nor known in the future; the series are those of {shown!r}.",
            stacklevel=2,
        )
    return _Cells(targets, *covariates)


def _assembled(
    columns: Columns,
    series: _Series,
    cells: _Cells,
    grid: Placed,
    ends: Int[np.ndarray, "k"] | None,
    horizon: int,
) -> SeriesDataset:
    """The dataset of all series. With `ends`, the later points belong to the future."""
    wide = columns.target is None
    stacks: list[list[Float[np.ndarray, "V T"]]] = [[], [], []]
    for stack, variates, more in zip(stacks, cells, (0, 0, horizon), strict=True):
        stack += grid.stack(variates) if variates else []
        if ends is not None:
            stack[:] = [rows[:, : end + more] for rows, end in zip(stack, ends, strict=False)]
    targets = [row[None] for rows in stacks[0] for row in rows] if wide else stacks[0]
    _check_observed(series.names, () if wide else tuple(cells.targets), targets)
    starts = grid.starts * (len(targets) // len(grid.starts))
    dated = isinstance(grid.unit, Frequency)
    return SeriesDataset(
        series.names,
        targets,
        starts if dated else (),
        [grid.unit] * len(targets) if dated else (),
        stacks[1] or None,
        stacks[2] or None,
        target_names=("target",) if wide else tuple(cells.targets),
        past_names=tuple(cells.past),
        known_names=tuple(cells.known),
        id_column="item_id" if columns.item_id is None else columns.item_id,
        timestamp_column="timestamp" if is_unnamed(columns.timestamp) else columns.timestamp,
        labels=series.labels,
        numbering=None if dated else Numbering(starts, grid.unit),
        write_times=grid.write,
    )


def _check_observed(
    names: list[str], variates: tuple[str, ...], targets: list[Float[np.ndarray, "V T"]]
) -> None:
    """Checks that each target has a value."""
    for name, target in zip(names, targets, strict=True):
        empty = np.isnan(target).all(axis=1)
        if empty.any():
            which = f"{name}/{variates[int(np.argmax(empty))]}" if len(variates) > 1 else name
            raise DataError(f"Series {which!r} has no value at all (only NaN): drop it.")
