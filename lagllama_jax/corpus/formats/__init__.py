"""Reads the file formats of public time series. `FORMATS` lists them; `read` reads any of them."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lagllama_jax.corpus.formats.jsonl import read_jsonl
from lagllama_jax.corpus.formats.parquet import find_parquet, read_parquet
from lagllama_jax.corpus.formats.tables import (
    read_air_quality,
    read_csv_frame,
    read_lstnet,
    read_nab,
    read_prsa,
)
from lagllama_jax.corpus.formats.text import TextFile, text_files
from lagllama_jax.corpus.formats.tsf import read_tsf
from lagllama_jax.errors import DataError
from lagllama_jax.series.archives import plain_name
from lagllama_jax.series.arrays import as_timestamp
from lagllama_jax.series.dataset import Item
from lagllama_jax.series.frequency import Frequency

if TYPE_CHECKING:
    import pandas as pd


class Format(NamedTuple):
    """One file format.

    Attributes:
      description: A short description in words.
      suffixes: Suffixes of its files in folders and zip files, before any `.gz` or the like.
      read_text: Function that reads the items of a text file. `None`: Parquet, which is not text.
    """

    description: str
    suffixes: tuple[str, ...]
    read_text: Callable[[TextFile], Iterator[Item]] | None


FORMATS: dict[str, Format] = {
    "parquet": Format("Parquet: item_id, start, freq, target; or a table", (".parquet",), None),
    "tsf": Format("Monash .tsf", (".tsf",), read_tsf),
    "wide": Format("CSV, times and a column per series (ETT)", (".csv",), read_csv_frame),
    "frame": Format("CSV with item_id, timestamp, target", (".csv",), read_csv_frame),
    "lstnet": Format("numbers without header or times (LSTNet)", (".txt",), read_lstnet),
    "jsonl": Format("GluonTS JSON, lines or one document", (".json", ".jsonl"), read_jsonl),
    "air_quality": Format("UCI AirQualityUCI.csv", (".csv",), read_air_quality),
    "prsa": Format("Beijing air quality CSV with year, month, day, hour", (".csv",), read_prsa),
    "nab": Format("Numenta Anomaly Benchmark: timestamp,value", (".csv",), read_nab),
}


def read(
    path: str | Path,
    format: str,
    start: "str | pd.Timestamp | None" = None,
    frequency: str | Frequency | None = None,
    members: str = "*",
) -> Iterator[Item]:
    """Reads the series of a file, or of all files of a format in a folder or zip file.

    Args:
      path: The file or folder. Text files may be gzipped or zipped.
      format: Key of the format in `FORMATS`.
      start: Time of the first value of series for which the file has none.
      frequency: Pandas alias of the step of series for which the file has none.
      members: Glob pattern of the names of the files to read in a zip file.

    Raises:
      DataError: If the format is unknown, the start or the frequency cannot be read, a name occurs
        twice, a value is infinite, or a file is not what the format promises. The message names the
        file and the line.
    """
    if format not in FORMATS:
        raise DataError(f"Unknown format {format!r}; known are {', '.join(FORMATS)}.")
    step = None if frequency is None else Frequency.parse(frequency)
    first = None if start is None else as_timestamp(start)
    seen: set[str] = set()
    for name, item in _items(path, FORMATS[format], members):
        if item.item_id in seen:
            raise DataError(f"{name}: the name {item.item_id!r} occurs twice.")
        seen.add(item.item_id)
        yield item._replace(start=item.start or first, frequency=item.frequency or step)


def guess_format(path: str | Path) -> str:
    """Infers the format of a file from its suffix and, for a CSV file, from its first line.

    Raises:
      DataError: If there is no such file, or no format has its suffix.
    """
    path, suffixes = Path(path), [s for format in FORMATS.values() for s in format.suffixes]
    if path.suffix.lower() == ".parquet" or any(path.glob("*.parquet")):
        return "parquet"
    files = text_files(path, suffixes)  # closes the file when it goes out of scope
    file = next(files)
    name = plain_name(file.name)
    if name.endswith(".csv"):
        return _guess_csv(next(file.lines).text.replace('"', ""))
    for key, format in FORMATS.items():
        if name.endswith(format.suffixes):
            return key
    raise DataError(f"{path}: no format has this suffix; known are {', '.join(suffixes)}.")


def _guess_csv(header: str) -> str:
    if re.fullmatch("Date;Time;.*;;[,\\s]*", header):
        return "air_quality"
    columns = set(re.split("[,;\t|]", header))
    if {"year", "month", "day", "hour"} <= columns:
        return "prsa"
    if columns == {"timestamp", "value"}:
        return "nab"
    return "frame" if columns & {"item_id", "unique_id"} else "wide"


def _items(path: str | Path, format: Format, members: str) -> Iterator[tuple[str, Item]]:
    if format.read_text is None:
        for file in find_parquet(path):
            yield from ((str(file), item) for item in read_parquet(file))
        return
    for text in text_files(path, format.suffixes, members):
        yield from ((text.name, item) for item in format.read_text(text))


__all__ = ["FORMATS", "Format", "TextFile", "guess_format", "read", "text_files"]
