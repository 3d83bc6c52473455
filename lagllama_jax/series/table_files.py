"""Reads and writes tables in CSV and Parquet files."""

import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow

from lagllama_jax.errors import DataError
from lagllama_jax.files import atomic_path
from lagllama_jax.series.columns import ITEM_NAMES
from lagllama_jax.series.tables import Table, as_table

CSV_SUFFIXES = (".csv", ".csv.gz", ".csv.zip", ".csv.bz2", ".csv.xz", ".csv.zst", ".tsv", ".txt")
PARQUET_SUFFIXES = (".parquet", ".pq")


def read_table(path: str | os.PathLike[str], id_column: str | None = None) -> Table:
    """Reads a table from a Parquet file, or from a CSV file as `read_csv` does, by the suffix.

    Raises:
      DataError: If the file cannot be opened or read, is empty, or has another suffix.
    """
    path = Path(path)
    check_suffix(path)
    try:
        if _is_parquet(path):
            return replace(as_table(pd.read_parquet(path)), name=path.name)
        return read_csv(path, path.name, id_column)
    except pyarrow.ArrowException as error:
        raise DataError(f"Cannot read {path} as Parquet: {error}") from error
    except OSError as error:
        raise DataError(f"Cannot open {path}: {error.strerror or error}.") from error
    except EOFError as error:
        raise DataError(f"Cannot read {path}: {str(error).strip()}") from error


def check_suffix(path: Path) -> None:
    """Raises `DataError` if the suffix of a file is not one of CSV or Parquet files."""
    if not path.name.lower().endswith(CSV_SUFFIXES + PARQUET_SUFFIXES):
        raise DataError(f"{path}: the name should end in .csv or .parquet, which tells the format.")


def _is_parquet(path: Path) -> bool:
    return path.name.lower().endswith(PARQUET_SUFFIXES)


def read_csv(source: Any, name: str, id_column: str | None = None, **options: Any) -> Table:
    """Reads a table from a CSV file with commas, semicolons or tabs as separators.

    Args:
      source: Path of the file, which may be compressed, or its content as `io.BytesIO`.
      name: Name of the file for error messages.
      id_column: Name of a column to read as text, so that `007` remains `007`. The columns
        `item_id` and `unique_id` are always read as text.
      **options: Further arguments of `pandas.read_csv`.

    Raises:
      DataError: If the file is empty or not text, a column occurs twice, or a row is too long.
    """
    settings: dict[str, Any] = {"skip_blank_lines": False, "low_memory": False, "index_col": False}
    try:
        settings |= {"sep": _separator(source), **options}
        if settings.get("header", 0) is not None:
            names = _column_names(source, name, settings["sep"])
            texts = {column: str for column in names if column in (*ITEM_NAMES, id_column)}
            settings["dtype"] = texts | settings.get("dtype", {})
        with warnings.catch_warnings():
            # pandas would drop the end of rows that are longer than the line of names.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(_again(source), **settings)
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{name} is empty: it should have a line of column names.") from error
    except pd.errors.ParserWarning as error:
        raise DataError(f"{name}: the rows have more fields than the line of names.") from error
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read {name}: {str(error).strip()}") from error
    if settings["skip_blank_lines"]:
        return Table(frame, name)
    return _without_blank_lines(frame, name)


def _column_names(source: Any, name: str, separator: str) -> list[str]:
    """Reads the column names, and raises `DataError` for duplicates, which pandas would rename."""
    line = pd.read_csv(_again(source), sep=separator, header=None, nrows=1, dtype=str)
    names = line.iloc[0].dropna()
    if names.duplicated().any():
        twice = names[names.duplicated()].iloc[0]
        raise DataError(f"Column {twice!r} occurs twice in {name}: rename or drop one.")
    return names.tolist()


def _without_blank_lines(frame: pd.DataFrame, name: str) -> Table:
    first = frame.columns[0]
    counted = np.array_equal(frame[first].to_numpy(dtype=object), np.arange(len(frame)))
    if str(first).startswith("Unnamed:") and counted:
        frame = frame.drop(columns=first)  # row numbers that pandas wrote with the table
    filled = frame.notna().any(axis=1).to_numpy()
    lines = np.flatnonzero(filled) + 2  # row 0 is on line 2, below the names
    return Table(frame[filled].reset_index(drop=True), name, lines)


def _again(source: Any) -> Any:
    if hasattr(source, "seek"):
        source.seek(0)
    return source


def _separator(source: Any) -> str:
    """The separator among comma, semicolon and tab that occurs most often in the first line."""
    whole_line = pd.read_csv(_again(source), sep="\x00", nrows=0).columns
    return max(",;\t", key="".join(map(str, whole_line)).count)


def write_table(frame: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Writes a table without its index as CSV or Parquet by the suffix, completely or not at all.

    Raises:
      DataError: If the name has another suffix, or the file cannot be written.
    """
    path = Path(path)
    check_suffix(path)
    with atomic_path(path) as temporary:
        if _is_parquet(path):
            frame.to_parquet(temporary, index=False)
        else:
            frame.to_csv(temporary, index=False)
