"""GluonTS JSON: one object per line, or one document with `metadata` and a list of objects."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

from lagllama_jax.corpus.formats.numbers import parse_numbers
from lagllama_jax.corpus.formats.text import Line, TextFile
from lagllama_jax.errors import DataError
from lagllama_jax.series.arrays import as_timestamp
from lagllama_jax.series.dataset import Item
from lagllama_jax.series.frequency import Frequency

LISTS = ("data", "test", "train")
"""Keys of the series in a document, by priority. `test` has whole series, `train` shorter ones."""


def read_jsonl(file: TextFile) -> Iterator[Item]:
    """Reads the items of one file. Items without `item_id` are named by their position.

    In the reference implementation, the air quality and cloud files are single documents, and the
    ETT files have one object per line.

    Raises:
      DataError: If a line is not JSON, or an object has no one-dimensional `target` of numbers, or
        a start or a frequency that cannot be read. The message names the file and the line.
    """
    first = next(file.lines)
    document = _document(file, first)
    if document is None:
        lines = itertools.chain([first], file.lines)
        entries = ((f"{file.name}, line {line.number}", _loads(file, line)) for line in lines)
        frequency = None
    else:
        series = next((document[key] for key in LISTS if key in document), None)
        if not isinstance(series, list):
            raise DataError(f"{file.name} holds no series under {', '.join(LISTS)}.")
        entries = ((f"{file.name}, series {i}", entry) for i, entry in enumerate(series))
        frequency = document.get("metadata", {}).get("freq")
    for position, (place, entry) in enumerate(entries):
        yield _item(entry, position, frequency, place)


def _document(file: TextFile, first: Line) -> dict[str, Any] | None:
    """The whole file as one object, or `None` if it holds one object per line."""
    try:
        entry = json.loads(first.text)
        return entry if isinstance(entry, dict) and "target" not in entry else None
    except json.JSONDecodeError:
        if first.text.strip() not in ("{", "["):
            return None  # reading the line raises an error that names it
    rest = "\n".join(line.text for line in file.lines)
    try:
        entry = json.loads(f"{first.text}\n{rest}")
    except json.JSONDecodeError as error:
        raise DataError(f"{file.name}: not JSON: {error}.") from error
    return entry if isinstance(entry, dict) else {"data": entry}


def _loads(file: TextFile, line: Line) -> Any:
    try:
        return json.loads(line.text)
    except json.JSONDecodeError as error:
        raise DataError(f"{file.name}, line {line.number}: not JSON: {error}.") from error


def _item(entry: Any, position: int, frequency: str | None, place: str) -> Item:
    if not isinstance(entry, dict) or not isinstance(entry.get("target"), list):
        raise DataError(f"{place}: expected an object with a list 'target'.")
    if any(isinstance(value, list) for value in entry["target"]):
        raise DataError(f"{place}: 'target' is not one-dimensional; write one line per variate.")
    texts = ["nan" if value is None else str(value) for value in entry["target"]]
    start, alias = entry.get("start"), entry.get("freq", frequency)
    try:
        return Item(
            str(entry.get("item_id", position)),
            parse_numbers(texts, place)[None],
            None if start is None else as_timestamp(str(start)),
            None if alias is None else Frequency.parse(alias),
        )
    except DataError as error:
        raise DataError(str(error) if place in str(error) else f"{place}: {error}") from error
