"""Finds the roles of the columns of a table."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lagllama_jax.errors import DataError, listed
from lagllama_jax.series.header import is_value
from lagllama_jax.series.tables import UNNAMED, Table

ITEM_NAMES = ("item_id", "unique_id")
TIMESTAMP_NAMES = ("timestamp", "ds")
TARGET_NAMES = ("target", "y")
INDEX_NAMES = ("index", "level_0")  # of pandas' reset_index
DATE_WORDS = ("timestamp", "ds", "ts", "date", "datetime", "time", "date_time")
"""Names by which a column of time stamps is recognised, whatever their case."""
PERIOD_WORDS = ("month", "year", "index", "week", "quarter", "period", "day", "hour", "step", "t")
"""The same, if no column of text holds dates."""

_TIME_WORD = re.compile("(?i)date|time(?!r)|datum|zeit|fecha|stamp|yyyy")


@dataclass(frozen=True)
class Columns:
    """The column names of a long table, or of a wide table with one column per series.

    Attributes:
      item_id: Name of the column of item names. `None`: a single series, or a wide table.
      timestamp: Name of the column of time stamps.
      target: Names of the columns of values. `None`: a wide table.
      others: Names of the other columns.
    """

    item_id: Any
    timestamp: Any
    target: tuple[Any, ...] | None
    others: tuple[Any, ...] = ()


def find_columns(table: Table, item_id: Any, timestamp: Any, target: Any) -> Columns:
    """Finds the columns of a table by the given names, or by usual names and types.

    Args:
      table: The table.
      item_id: Name of the column of item names. `None`: a usual name.
      timestamp: The same of the time stamps.
      target: The same of the values, or a list of names.

    Raises:
      DataError: If a given column does not exist or has two roles, a required column is not found,
        or several columns have a usual name of one role.
    """
    names = list(table.frame.columns)
    targets = tuple(target) if isinstance(target, list | tuple) else (target,)
    given = [("id", item_id), ("timestamp", timestamp), *(("target", one) for one in targets)]
    _check_given(table, [pair for pair in given if pair[1] is not None])
    item_id = _named(names, ITEM_NAMES, "id_column") if item_id is None else item_id
    if target is None:
        target = _named(names, TARGET_NAMES, "target")
    if timestamp is None:
        timestamp = _named(names, TIMESTAMP_NAMES, "timestamp_column")
    if timestamp is None:
        timestamp = _date_column(table)
    others = [one for one in names if one not in (item_id, timestamp) and not is_unnamed(one)]
    if target is None and item_id is not None and timestamp is not None and len(others) == 1:
        target = others[0]
    required = {"timestamp": timestamp} | ({} if item_id is None else {"target": target})
    for role, column in required.items():
        if column is None:
            option = "target" if role == "target" else f"{role}_column"
            raise DataError(
                f"No {role} column in {table.name}; its columns are {listed(names)}. Name it with "
                f"{option}, or rename to item_id, timestamp, target (or unique_id, ds, y)."
            )
    if target is None:
        return Columns(item_id, timestamp, None)
    targets = tuple(target) if isinstance(target, list | tuple) else (target,)
    used = (item_id, timestamp, *targets)
    rest = tuple(name for name in names if name not in used and not is_numbering(table, name))
    return Columns(item_id, timestamp, targets, rest)


def _check_given(table: Table, given: list[tuple[str, Any]]) -> None:
    """Checks that the given columns exist and that each has one role."""
    names = list(table.frame.columns)
    for role, name in given:
        if isinstance(name, list):
            raise DataError(
                f"The {role} column is one column, not {listed(name)}. Join several to one, "
                "as in df['a'] + '/' + df['b']."
            )
        if name not in names:
            raise DataError(
                f"No {role} column {name!r} in {table.name}; its columns are {listed(names)}."
            )
    chosen = [name for _, name in given]
    twice = next((name for name in chosen if chosen.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"Column {twice!r} of {table.name} was given twice: name it once.")


def _named(names: list[Any], wanted: tuple[str, ...], option: str) -> Any:
    """The column with one of the wanted names, with the same case if possible."""
    exact = [name for name in names if name in wanted]
    found = exact or [name for name in names if str(name).lower() in wanted]
    if len(found) > 1:
        raise DataError(
            f"The columns {listed(found)} could all be meant. Tell which one with {option}."
        )
    return found[0] if found else None


def _date_column(table: Table) -> Any:
    """The only column of dates, or the one with a usual name, or the only text column of dates.

    Otherwise a column without a name, which pandas writes for an index.
    """
    frame = table.frame
    dated = [name for name, dtype in frame.dtypes.items() if is_time(dtype)]
    if len(dated) == 1:
        return dated[0]
    candidates = dated or list(frame.columns)
    if (called := _first_named(candidates, DATE_WORDS)) is not None:
        return called
    text = [name for name in frame if holds_dates(frame[name])]
    if len(text) == 1:
        return text[0]
    if len(text) > 1 or len(dated) > 1:
        raise DataError(
            f"The columns {listed(text or dated)} of {table.name} could all be the time stamps. "
            "Tell which one with timestamp_column."
        )
    coded = [name for name in frame if re.match("(?i)yyyy", str(name))]
    if len(coded) == 1:
        return coded[0]
    numbered = [name for name in candidates if name != "T"]  # which often is a temperature
    if (called := _first_named(numbered, PERIOD_WORDS)) is not None:
        return called
    similar = [name for name in frame if _TIME_WORD.search(str(name))]
    if len(similar) == 1:
        return similar[0]
    return next((name for name in frame if is_unnamed(name)), None)


def _first_named(names: list[Any], words: tuple[str, ...]) -> Any:
    found = (_named(names, (word,), "timestamp_column") for word in words)
    return next((name for name in found if name is not None), None)


def holds_dates(cells: pd.Series) -> bool:
    """Whether a column is of text, the first cell of which looks like a date or a time."""
    if not is_text(cells):
        return False
    first = cells.dropna().iloc[:1].astype(str)
    return (
        len(first) > 0
        and is_value(first.iloc[0])
        and bool(re.search(r"\d\D+\d+\D+\d|[a-zA-Z]", first.iloc[0]))
    )


def is_time(dtype: Any) -> bool:
    """Whether a column holds time stamps or periods."""
    arrow = isinstance(dtype, pd.ArrowDtype) and pa.types.is_date(dtype.pyarrow_dtype)
    stamps = pd.api.types.is_datetime64_any_dtype(dtype)
    return arrow or stamps or isinstance(dtype, pd.PeriodDtype)


def is_time_index(index: pd.Index) -> bool:
    """Whether an index holds time stamps, periods, durations or text that looks like dates."""
    dated = isinstance(index, pd.DatetimeIndex | pd.PeriodIndex | pd.TimedeltaIndex)
    return dated or holds_dates(index.to_series())


def is_text(cells: pd.Series) -> bool:
    """Whether a column is of text, as its type or its first cells tell."""
    if cells.dtype == object:
        return pd.api.types.infer_dtype(cells.iloc[:100], skipna=True) == "string"
    category = isinstance(cells.dtype, pd.CategoricalDtype)
    return pd.api.types.is_string_dtype(cells.dtype) and not category


def is_unnamed(name: Any) -> bool:
    """Whether a column has no name of its own."""
    return name is None or re.fullmatch(UNNAMED.format(r"\d+(_level_\d+)?"), str(name)) is not None


def is_numbering(table: Table, name: Any) -> bool:
    """Whether a column without a name, or of `INDEX_NAMES`, holds the numbers of the rows."""
    if not is_unnamed(name) and name not in INDEX_NAMES:
        return False
    cells = pd.to_numeric(table.frame[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    whole = np.isfinite(cells).all() and (cells == np.floor(cells)).all()
    if not whole or len(np.unique(cells)) < len(cells):
        return False
    return bool(name not in INDEX_NAMES or np.ptp(cells) == len(cells) - 1)
