"""Finds the roles of the columns of a table, and reads columns as time stamps or numbers."""

import itertools
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.errors import DataError
from lagllama_jax.series.tables import Table
from lagllama_jax.typing import Bool, Float

ITEM_NAMES = ("item_id", "unique_id")
TIMESTAMP_NAMES = ("timestamp", "ds")
TARGET_NAMES = ("target", "y")
DATE_WORDS = ("timestamp", "ds", "date", "datetime", "time", "date_time", "month", "year", "index")
"""Names by which a column of time stamps is recognised, whatever their case."""


@dataclass(frozen=True)
class Columns:
    """The column names of a long table, or of a wide table with one column per series.

    Attributes:
      item_id: Name of the column of item names. `None`: a single series, or a wide table.
      timestamp: Name of the column of time stamps.
      target: Name of the column of values. `None`: a wide table.
    """

    item_id: Any
    timestamp: Any
    target: Any


def find_columns(
    table: Table, item_id: str | None, timestamp: str | None, target: str | None
) -> Columns:
    """Finds the columns of a table by the given names, or by usual names and types.

    Raises:
      DataError: If a given column does not exist, or a required column is not found.
    """
    names = list(table.frame.columns)
    for role, name in (("id", item_id), ("timestamp", timestamp), ("target", target)):
        if name is not None and name not in names:
            raise DataError(
                f"No {role} column {name!r} in {table.name}; its columns are {_listed(names)}."
            )
    found = Columns(
        item_id or _named(names, ITEM_NAMES),
        timestamp or _named(names, TIMESTAMP_NAMES) or _date_column(table),
        target or _named(names, TARGET_NAMES),
    )
    required = {"timestamp": found.timestamp}
    if found.item_id is not None:
        required["target"] = found.target
    for role, column in required.items():
        if column is None:
            raise DataError(
                f"No {role} column in {table.name}; its columns are {_listed(names)}. Name it with "
                f"{role}_column, or rename to item_id, timestamp, target (or unique_id, ds, y)."
            )
    return found


def _named(names: list[Any], wanted: tuple[str, ...]) -> Any:
    """The first of the wanted names that exists, with the same case if possible."""
    exact = next((name for name in wanted if name in names), None)
    return exact or next((name for name in names if str(name).lower() in wanted), None)


def _date_column(table: Table) -> Any:
    """The only column of dates, or a column with a usual name, or the only text column of dates."""
    frame = table.frame
    dated = [name for name, dtype in frame.dtypes.items() if _is_time(dtype)]
    if len(dated) == 1:
        return dated[0]
    called = _named(list(frame.columns), DATE_WORDS)
    if called is not None:
        return called
    text = [name for name, dtype in frame.dtypes.items() if pd.api.types.is_string_dtype(dtype)]
    if len(text) == 1 and _from_text(frame[text[0]].iloc[:1]).notna().all():
        return text[0]
    return None


def _is_time(dtype: Any) -> bool:
    return pd.api.types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype)


def _listed(names: list[Any]) -> str:
    shown = ", ".join(map(str, names[:12]))
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def numbers(
    table: Table, column: Any, series: str | np.ndarray, keep: Bool[np.ndarray, "n"] | None = None
) -> Float[np.ndarray, "n"]:
    """Reads a column as float64, NaN where a cell is empty.

    Args:
      table: The table.
      column: Name of the column.
      series: Name of the series, or one name per row, for error messages.
      keep: Which rows to check. Cells of the other rows may contain anything. `None`: all rows.

    Raises:
      DataError: If a cell is infinite or not a number. The message names series, column and row.
    """
    cells = table.frame[column]
    if _is_time(cells.dtype) or pd.api.types.is_complex_dtype(cells.dtype):
        values = np.full(len(cells), np.nan)
    else:
        parsed = pd.to_numeric(cells, errors="coerce")
        values = parsed.to_numpy(dtype=np.float64, na_value=np.nan)
    present = cells.notna().to_numpy() & (True if keep is None else keep)
    for bad, problem in ((np.isnan(values), "not a number"), (np.isinf(values), "infinite")):
        if (bad & present).any():
            row = int(np.argmax(bad & present))
            raise DataError(
                f"{_series_name(series, row)}column {str(column)!r}, {table.row(row)}: "
                f"{str(cells.iloc[row])!r} is {problem}. Leave the cell empty (NaN) if the value "
                "is missing, or drop the column if it is not a series."
            )
    return values


def _series_name(series: str | np.ndarray, row: int) -> str:
    return f"Series {str(series if isinstance(series, str) else series[row])!r}, "


def timestamps(table: Table, column: Any, series: np.ndarray | None = None) -> pd.DatetimeIndex:
    """Reads a column as time stamps, with their time zone if they have one.

    Whole numbers are read as years (1000 to 2999) or as dates in the format `20240131`. Text with
    different UTC offsets is converted to UTC.

    Raises:
      DataError: If a cell is missing or is not a time stamp. The message names column and row, and
        the series if the `series` of each row is given.
    """
    cells = table.frame[column]
    if isinstance(cells.dtype, pd.PeriodDtype):
        cells = cells.dt.to_timestamp()
    if pd.api.types.is_numeric_dtype(cells.dtype):
        parsed = _from_numbers(cells)
    elif _is_time(cells.dtype):
        parsed = cells
    else:
        parsed = _from_text(cells)
    bad = np.flatnonzero(parsed.isna().to_numpy())
    if len(bad):
        row = int(bad[0])
        where = "" if series is None else _series_name(series, row)
        raise DataError(
            f"{where}column {str(column)!r}, {table.row(row)}: {str(cells.iloc[row])!r} is no "
            "time stamp. Write times as 2024-01-31 or 2024-01-31 13:00:00 (years 1678 to 2261)."
        )
    return pd.DatetimeIndex(parsed)


def _from_numbers(cells: pd.Series) -> pd.Series:
    values = cells.to_numpy(dtype=np.float64, na_value=np.nan)
    whole = np.where(np.isfinite(values) & (values == np.floor(values)), values, 0)
    years = bool(((whole >= 1000) & (whole <= 2999)).all())
    text = pd.Series(whole.astype(np.int64).astype(str), index=cells.index)
    return pd.to_datetime(text, format="%Y" if years else "%Y%m%d", errors="coerce")


def _from_text(cells: pd.Series) -> pd.Series:
    text = cells.astype(object)
    best = pd.Series(pd.NaT, index=cells.index, dtype="datetime64[ns]")
    with warnings.catch_warnings():
        # pandas warns of slow or ambiguous formats. Unreadable cells are reported by row instead.
        warnings.simplefilter("ignore")
        for layout, utc in itertools.product(("ISO8601", None), (False, True)):
            try:
                parsed = pd.to_datetime(text, errors="coerce", format=layout, utc=utc)
            except (ValueError, TypeError, OverflowError):
                continue
            if _is_time(parsed.dtype) and parsed.isna().sum() < best.isna().sum():
                best = parsed
            if not best.isna().any():
                break
    return best
