"""Readers of the formats in which public time series are passed on: one table, one `read`."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lagllama_jax.corpus.formats.delimited import (
    read_air_quality,
    read_lstnet,
    read_nab,
    read_prsa,
    read_wide,
)
from lagllama_jax.corpus.formats.frame import read_csv_frame
from lagllama_jax.corpus.formats.jsonl import read_jsonl
from lagllama_jax.corpus.formats.parquet import find_parquet, read_parquet
from lagllama_jax.corpus.formats.record import Record
from lagllama_jax.corpus.formats.text import TextFile, text_files
from lagllama_jax.corpus.formats.tsf import read_tsf
from lagllama_jax.errors import DataError
from lagllama_jax.series.frequency import Frequency


class Format(NamedTuple):
    """One file format.

    Attributes:
      description: for people.
      suffixes: of its files, in folders and zips, before any `.gz`.
      read_text: makes records of one text file; None where `read_path` does all.
      read_path: makes records of a path, where the format needs more than lines of text.
    """

    description: str
    suffixes: tuple[str, ...]
    read_text: Callable[[TextFile], Iterator[Record]] | None
    read_path: Callable[[str | Path], Iterator[Record]] | None = None


def _read_parquet_files(path: str | Path) -> Iterator[Record]:
    for file in find_parquet(path):
        yield from read_parquet(file)


FORMATS: dict[str, Format] = {
    "parquet": Format(
        "Parquet, a row a series: item_id, start, freq, target",
        (".parquet",),
        None,
        _read_parquet_files,
    ),
    "tsf": Format("Monash .tsf", (".tsf",), read_tsf),
    "wide": Format("CSV, first column times, then a column a series (ETT)", (".csv",), read_wide),
    "frame": Format(
        "CSV as data frames: item_id, timestamp, target, or wide", (".csv",), None, read_csv_frame
    ),
    "lstnet": Format("numbers without header or times (LSTNet)", (".txt",), read_lstnet),
    "jsonl": Format("GluonTS JSON, lines or one document", (".json", ".jsonl"), read_jsonl),
    "air_quality": Format("UCI AirQualityUCI.csv", (".csv",), read_air_quality),
    "prsa": Format("Beijing air quality CSV with year, month, day, hour", (".csv",), read_prsa),
    "nab": Format("Numenta Anomaly Benchmark: timestamp,value", (".csv",), read_nab),
}


def read(
    path: str | Path, format: str, start: str | None = None, frequency: str | None = None
) -> Iterator[Record]:
    """The series of a file, or of all files of that format in a folder or zip, in turn.

    Args:
      path: file or folder; text may be gzipped or zipped.
      format: a key of `FORMATS`.
      start: time of the first value, where the file has none.
      frequency: pandas alias, where the file has none.

    Raises:
      DataError: an unknown format, a frequency that cannot be read, a name that occurs twice,
        an infinite value, or a file that is not what the format promises; names file and line.
    """
    if format not in FORMATS:
        raise DataError(f"Unknown format {format!r}; known are {', '.join(FORMATS)}.")
    if frequency is not None:
        Frequency.parse(frequency)
    seen: set[str] = set()
    for name, record in _records(path, FORMATS[format]):
        if record.item_id in seen:
            raise DataError(f"{name}: the name {record.item_id!r} occurs twice.")
        seen.add(record.item_id)
        if np.isinf(record.target).any():
            point = int(np.isinf(record.target).argmax())
            raise DataError(
                f"{name}: series {record.item_id!r} is infinite, or beyond float32, at point "
                f"{point}; make it finite, or NaN for missing."
            )
        yield record._replace(start=record.start or start, frequency=record.frequency or frequency)


def guess_format(path: str | Path) -> str:
    """The format of a file, by its suffix and, of a CSV file, its first line.

    Raises:
      DataError: nothing there, or a suffix that no format has.
    """
    suffixes = [suffix for format in FORMATS.values() for suffix in format.suffixes]
    if Path(path).suffix.lower() == ".parquet" or (
        Path(path).is_dir() and any(Path(path).glob("*.parquet"))
    ):
        return "parquet"
    for file in text_files(path, tuple(dict.fromkeys(suffixes))):
        name = file.name.lower().removesuffix(".gz")
        if name.endswith(".csv"):
            return _guess_csv(next(file.lines).text.replace('"', ""))
        for format, described in FORMATS.items():
            if name.endswith(described.suffixes):
                return format
        break
    raise DataError(f"{path}: no format has this suffix; known are {', '.join(suffixes)}.")


def _guess_csv(header: str) -> str:
    if header.startswith("Date;Time;"):
        return "air_quality"
    columns = set(header.split(","))
    if {"year", "month", "day", "hour"} <= columns:
        return "prsa"
    if columns == {"timestamp", "value"}:
        return "nab"
    return "frame" if columns & {"item_id", "unique_id"} else "wide"


def _records(path: str | Path, format: Format) -> Iterator[tuple[str, Record]]:
    if format.read_path is not None:
        yield from ((str(path), record) for record in format.read_path(path))
    elif format.read_text is not None:
        for text in text_files(path, format.suffixes):
            yield from ((text.name, record) for record in format.read_text(text))


__all__ = ["FORMATS", "Format", "Record", "TextFile", "guess_format", "read", "text_files"]
