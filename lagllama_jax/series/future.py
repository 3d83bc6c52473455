"""Joins a table of the past with a table of the known covariates of the future."""

from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.errors import DataError, listed
from lagllama_jax.series.columns import Columns, is_numbering, is_text, is_time
from lagllama_jax.series.groups import Groups
from lagllama_jax.series.number_columns import numbers, share_of_numbers
from lagllama_jax.series.tables import Table
from lagllama_jax.typing import Bool, Int


def join_future(
    table: Table, future: Table, columns: Columns, decimal: str | None = None
) -> tuple[Table, list[Any]]:
    """Appends the rows of the future to those of the past.

    The values of other columns than those of the names, the times and the known covariates are
    missing in the rows of the future.

    Args:
      table: The past.
      future: The future. It has the columns of names and times of the past.
      columns: The columns of the past.
      decimal: Decimal mark of numbers in text, as in `number_columns.numbers`.

    Returns:
      The table of all rows, and the names of the columns that are known covariates.

    Raises:
      DataError: If a column is missing in one of the tables, a target is in the future, items of
        one table are missing in the other, or the times are of another type.
    """
    assert columns.target is not None
    keys = [columns.timestamp] if columns.item_id is None else [columns.item_id, columns.timestamp]
    given = list(future.frame.columns)
    absent = [name for name in keys if name not in given]
    if absent:
        raise DataError(
            f"{future.name} has no column {str(absent[0])!r}; its columns are {listed(given)}. The "
            "names and time stamps of the future have the columns of those of the past."
        )
    known = [name for name in given if name not in keys and not is_numbering(future, name)]
    answers = [name for name in known if name in columns.target]
    filled = [name for name in answers if future.frame[name].notna().any()]
    if filled:
        raise DataError(
            f"{future.name} has values of the target {str(filled[0])!r}, which is to be forecast: "
            "drop the column."
        )
    known = [name for name in known if name not in answers]
    unknown = [name for name in known if name not in columns.others]
    if unknown:
        raise DataError(
            f"The columns {listed(unknown)} of {future.name} are not in {table.name}: a covariate "
            "needs its past as well. Add or drop them."
        )
    if columns.item_id is not None:
        _check_items(table, future, columns.item_id)
    if table.separator != future.separator:
        table, future = _read_apart(table, future, known, decimal)
    rows = {name: _alike(table, future, name) for name in (*keys, *known)}
    joined = pd.concat([table.frame, pd.DataFrame(rows)], ignore_index=True)
    return table.followed_by(future, joined), known


def _read_apart(
    table: Table, future: Table, names: list[Any], decimal: str | None
) -> tuple[Table, Table]:
    """Tables whose columns of numbers are read by the decimal mark of each, as files may differ."""
    frames = table.frame.copy(deep=False), future.frame.copy(deep=False)
    for name in names:
        texts = all(is_text(frame[name]) for frame in frames)
        if texts and all(share_of_numbers(one, name, decimal) == 1 for one in (table, future)):
            for one, frame in zip((table, future), frames, strict=True):
                frame[name] = numbers(one, name, str(name), decimal)
    return table.with_frame(frames[0]), future.with_frame(frames[1])


def _check_items(table: Table, future: Table, column: Any) -> None:
    past, coming = (one.frame[column].dropna().unique() for one in (table, future))
    for some, others, where in (
        (past, coming, f"has no row in {future.name}: add its known covariates"),
        (coming, past, f"is in {future.name}, but not in {table.name}: drop it"),
    ):
        there = set(others.tolist())
        missing = [name for name in some.tolist() if name not in there]
        if missing and str(missing[0]) in set(map(str, there)):
            raise DataError(
                f"Column {str(column)!r} has {missing[0]!r} in one of {table.name} and "
                f"{future.name}, and the same name as another type in the other one: convert both "
                "to one type."
            )
        if missing:
            more = f" ({len(missing)} such series)" if len(missing) > 1 else ""
            raise DataError(f"Series {str(missing[0])!r} {where}{more}.")


def _alike(table: Table, future: Table, column: Any) -> pd.Series:
    """A column of the future in the type of the past."""
    past, coming = table.frame[column], future.frame[column]
    if past.dtype == coming.dtype or not (is_time(past.dtype) or is_time(coming.dtype)):
        if isinstance(past.dtype, pd.CategoricalDtype):
            return coming.astype(object)
        return coming
    zones = [getattr(one.dtype, "tz", None) for one in (past, coming)]
    alike = str(zones[0]) == str(zones[1]) and not any(map(is_text, (past, coming)))
    if alike and is_time(past.dtype) and is_time(coming.dtype):
        return coming.astype(past.dtype)
    raise DataError(
        f"Column {str(column)!r} has the type {past.dtype} in {table.name} and {coming.dtype} in "
        f"{future.name}: convert one to the type of the other."
    )


def past_ends(
    future: Bool[np.ndarray, "n"],
    position: Int[np.ndarray, "n"],
    groups: Groups,
    prediction_length: int,
    describe: Any,
    names: list[str],
) -> Int[np.ndarray, "k"]:
    """Number of points of the past of each series, after a check of the rows of the future.

    Args:
      future: Whether each row is of the future. Rows are sorted by series and time.
      position: Point of its series at which each row is.
      groups: The rows of each series.
      prediction_length: Number of points to forecast. Rows beyond it are ignored.
      describe: Function that describes a row for an error message.
      names: Names of the series.

    Raises:
      DataError: If a row of the future is not after the past of its series, or one is missing.
    """
    first, counts = groups.first, groups.counts
    ends = np.maximum.reduceat(np.where(future, -1, position), first) + 1
    step = position - np.repeat(ends, counts)  # of each row, from 0 at the first point to forecast
    early = future & (step < 0)
    if early.any():
        raise DataError(
            f"{describe(int(np.argmax(early)))} is of the future, but not after the last row of "
            "the past of this series: drop it."
        )
    inside = future & (step < prediction_length)
    found = np.add.reduceat(inside.astype(np.int64), first)
    for series in np.flatnonzero(found < prediction_length)[:1].tolist():
        rows = slice(first[series], first[series] + counts[series])
        there = set(step[rows][inside[rows]].tolist())
        missing = next(number for number in range(prediction_length) if number not in there)
        raise DataError(
            f"Series {names[series]!r}: the known covariates of {found[series]} of "
            f"{prediction_length} time steps are given, and those of step {missing + 1} after the "
            "end of the past are missing. Add the row (its cells may be empty)."
        )
    return ends
