"""Finds the roles of the columns of a table, and reads columns of numbers."""

import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lagllama_jax.errors import DataError, listed
from lagllama_jax.series.header import is_value
from lagllama_jax.series.number_text import Writing, read_numbers
from lagllama_jax.series.tables import UNNAMED, Table, quoted
from lagllama_jax.typing import Float

ITEM_NAMES = ("item_id", "unique_id")
TIMESTAMP_NAMES = ("timestamp", "ds")
TARGET_NAMES = ("target", "y")
INDEX_NAMES = ("index", "level_0")  # of pandas' reset_index
DATE_WORDS = ("timestamp", "ds", "ts", "date", "datetime", "time", "date_time")
"""Names by which a column of time stamps is recognised, whatever their case."""
PERIOD_WORDS = ("month", "year", "index", "week", "quarter", "period", "day", "hour", "step", "t")
"""The same, if no column of text holds dates."""

MARKERS = (-999.0, -999.9, -9999.0, -9999.9, -99999.0)  # which often stand for missing values
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


def numbers(
    table: Table, column: Any, series: str | np.ndarray, decimal: str | None = None
) -> Float[np.ndarray, "n"]:
    """Reads a column as float64, NaN where a cell is empty.

    Args:
      table: The table.
      column: Name of the column.
      series: Name of the series, or one name per row, for error messages.
      decimal: The decimal mark of text. `None`: the one by which all cells are numbers.

    Raises:
      DataError: If a cell is infinite or not a number. The message names series, column and row.
    """
    cells = table.frame[column]
    if getattr(cells.dtype, "kind", "O") == "m":
        raise DataError(
            f"Column {str(column)!r} of {table.name} holds durations. Convert them to numbers, as "
            "with dt.total_seconds()."
        )
    writing = Writing(
        f"Column {str(column)!r} of {table.name}", decimal, table.separator, table.decimal
    )
    values, bad = _values(cells, writing)
    for wrong, problem in ((bad, "not a number"), (np.isinf(values), "infinite")):
        if wrong.any():
            row = int(np.argmax(wrong))
            raise DataError(
                f"{series_name(series, row)}column {str(column)!r}, {table.row(row)}: "
                f"{quoted(cells.iloc[row])} is {problem}. Leave the cell empty (NaN) if the value "
                "is missing, or drop the column if it is not a series. A column of names of series "
                "is told by id_column."
            )
    low = np.nanmin(values, initial=0.0)
    if low in MARKERS and values[values > low].min(initial=0.0) > low / 4:
        warnings.warn(
            f"{writing.place}: {low:g} occurs {(values == low).sum()} times. If it stands for a "
            "missing value, leave these cells empty (NaN).",
            stacklevel=2,
        )
    return values


def _values(cells: pd.Series, writing: Writing) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of a column, NaN where there is none, and which of its cells are no numbers."""
    dtype = cells.dtype
    present = cells.notna().to_numpy()
    if isinstance(dtype, pd.CategoricalDtype):
        cells = cells.astype(object)
    if is_time(dtype) or pd.api.types.is_complex_dtype(dtype):
        return np.full(len(cells), np.nan), present
    if pd.api.types.is_numeric_dtype(dtype):
        return cells.to_numpy(dtype=np.float64, na_value=np.nan), np.zeros(len(cells), bool)
    kind = pd.api.types.infer_dtype(cells, skipna=True)
    if kind in ("decimal", "boolean", "integer", "floating", "mixed-integer-float"):
        return cells.astype(object).where(present, np.nan).to_numpy(np.float64), ~present & False
    if isinstance(dtype, pd.ArrowDtype):
        texts = pa.array(cells.array)
    else:
        texts = pa.array(
            [str(cell) if there else None for cell, there in zip(cells, present, strict=True)]
        )
    return read_numbers(texts.cast(pa.string()), writing)


def series_name(series: str | np.ndarray, row: int) -> str:
    """The name of the series of a row, for the beginning of an error message."""
    return f"Series {str(series if isinstance(series, str) else series[row])!r}, "
