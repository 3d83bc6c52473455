"""Reads and writes tables in delimited text and Parquet files."""

import io
import os
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
from pyarrow import feather, parquet

from lagllama_jax.errors import DataError, converting, listed, require
from lagllama_jax.files import atomic_path
from lagllama_jax.series.archives import (
    BROKEN,
    check_unpacked,
    decode,
    plain_name,
    read_only_table,
)
from lagllama_jax.series.delimited import read_delimited
from lagllama_jax.series.frames import as_table
from lagllama_jax.series.tables import Table

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
ARROW_SUFFIXES = (".parquet", ".pq", ".feather", ".arrow")
STANDARD_INPUT = Path("-")
SHEET_SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")


def read_table(
    path: str | os.PathLike[str], encoding: str | None = None, most_bytes: int | None = None
) -> Table:
    """Reads a table from a Parquet, Arrow, spreadsheet or delimited text file, by the suffix.

    The file may be compressed with gzip, bzip2, xz or Zstandard, or the only table in a zip file.
    Spreadsheets (extra `excel`) have one sheet with cells.

    Args:
      path: Path of the file. `-`: the standard input.
      encoding: Encoding of text. `None`: UTF-8, UTF-16 or cp1252, as the content tells.
      most_bytes: Largest number of bytes that a compressed file or a spreadsheet may unpack to.
        `None`: there is no limit.

    Raises:
      DataError: If the file cannot be opened or read, is empty or too large, or has another suffix.
      MissingExtraError: If a spreadsheet is given without the extra `excel`.
    """
    path = Path(path)
    if path.name.lower().endswith(SHEET_SUFFIXES):
        return _read_sheet(path, most_bytes)
    if path == STANDARD_INPUT:
        path, content = Path("the standard input"), sys.stdin.buffer.read()
    else:
        check_suffix(path)
        content = read_only_table(path, TEXT_SUFFIXES + ARROW_SUFFIXES, most_bytes)
    if content[:4] in (b"PAR1", b"ARRO") or _is_arrow(path):
        return replace(as_table(_read_arrow(content, path)), name=path.name)
    if content[:4] in (b"PK\x05\x06", b"\xd0\xcf\x11\xe0"):
        raise DataError(f"{path.name} is not text. Save the table as CSV.")
    return read_delimited(decode(content, path.name, encoding), path.name)


def _read_sheet(path: Path, most_bytes: int | None) -> Table:
    """The table of a spreadsheet, read as text, because titles and units may stand above it."""
    if most_bytes is not None and zipfile.is_zipfile(path):
        with converting(DataError, f"Cannot read {path}", *BROKEN), zipfile.ZipFile(path) as parts:
            size = sum(part.file_size for part in parts.infolist())
        check_unpacked(path, size <= most_bytes, most_bytes)
    error: Any = require("python_calamine", "excel").CalamineError
    with converting(DataError, f"Cannot read {path}", error, OSError, ValueError):
        sheets = pd.read_excel(path, sheet_name=None, header=None, dtype=object, engine="calamine")
    filled = [name for name, sheet in sheets.items() if sheet.notna().to_numpy().any()]
    if len(filled) != 1:
        raise DataError(
            f"{path.name} has {len(filled)} sheets with cells ({listed(filled)}), and one was "
            "expected. Save the sheet to read as CSV."
        )
    content = sheets[filled[0]].to_csv(index=False, header=False).encode()
    return read_delimited(content, path.name)


def _read_arrow(content: bytes, path: Path) -> pyarrow.Table:
    read = feather.read_table if content[:4] == b"ARRO" else parquet.read_table
    try:
        return read(io.BytesIO(content))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"Cannot read {path} as Parquet: {error}") from error


def check_suffix(path: Path) -> None:
    """Raises `DataError` if the suffix of a file is not one of tables."""
    zipped = path.name.lower().endswith(".zip")
    if not zipped and not plain_name(path.name).endswith(TEXT_SUFFIXES + ARROW_SUFFIXES):
        raise DataError(f"{path}: the name should end in .csv or .parquet, which tells the format.")


def _is_arrow(path: Path) -> bool:
    return plain_name(path.name).endswith(ARROW_SUFFIXES)


def write_table(frame: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Writes a table without its index as CSV or Parquet by the suffix, completely or not at all.

    Raises:
      DataError: If the name has another suffix, or the file cannot be written.
    """
    path = Path(path)
    check_suffix(path)
    with atomic_path(path) as temporary:
        if _is_arrow(path):
            frame.to_parquet(temporary, index=False)
        else:
            frame.to_csv(temporary, index=False)
