"""Readers of the formats in which public time series are passed on: one table, one `read`."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from lagllama_jax.data.frequency import Frequency
from lagllama_jax.data.readers.delimited import (
    read_air_quality,
    read_lstnet,
    read_nab,
    read_prsa,
    read_wide,
)
from lagllama_jax.data.readers.jsonl import read_jsonl
from lagllama_jax.data.readers.parquet import find_parquet, read_parquet
from lagllama_jax.data.readers.record import Record
from lagllama_jax.data.readers.text import TextFile, text_files
from lagllama_jax.data.readers.tsf import read_tsf
from lagllama_jax.errors import DataError


class Format(NamedTuple):
    """One file format.

    Attributes:
      description: for people.
      suffixes: of its files, in folders and zips, before any `.gz`.
      reader: makes records of one text file; None for Parquet, which is no text.
    """

    description: str
    suffixes: tuple[str, ...]
    reader: Callable[[TextFile], Iterator[Record]] | None


FORMATS: dict[str, Format] = {
    "parquet": Format("Parquet, a row a series: item_id, start, freq, target", (".parquet",), None),
    "tsf": Format("Monash .tsf", (".tsf",), read_tsf),
    "wide": Format(
        "CSV with a first column of times and a column a series, as ETT", (".csv",), read_wide
    ),
    "lstnet": Format(
        "numbers without header or times, as LSTNet's .txt.gz", (".txt",), read_lstnet
    ),
    "jsonl": Format(
        "GluonTS JSON, an object a line or one document", (".json", ".jsonl"), read_jsonl
    ),
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
        or a file that is not what the format promises; names file and line.
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
        yield record._replace(start=record.start or start, frequency=record.frequency or frequency)


def _records(path: str | Path, format: Format) -> Iterator[tuple[str, Record]]:
    if format.reader is None:
        for file in find_parquet(path):
            yield from ((str(file), record) for record in read_parquet(file))
        return
    for text in text_files(path, format.suffixes):
        yield from ((text.name, record) for record in format.reader(text))


__all__ = ["FORMATS", "Format", "Record", "TextFile", "read", "text_files"]
