"""GluonTS JSON: one object a line, or one document with `metadata` and a list of objects."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from lagllama_jax.corpus.formats.numbers import parse_numbers
from lagllama_jax.corpus.formats.record import Record
from lagllama_jax.corpus.formats.text import Line, TextFile
from lagllama_jax.errors import DataError

LISTS = ("data", "test", "train")
"""Keys under which a document may have its series; `test` holds whole series, `train` cut ones."""


def read_jsonl(file: TextFile) -> Iterator[Record]:
    """The series of one file, in turn; items without `item_id` are named by their position.

    The reference's air quality and cloud files are such documents, its ETT files such lines.

    Raises:
      DataError: a line that is not JSON, or an object without a one-dimensional `target` of
        numbers; names file and line.
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
        yield _record(entry, position, frequency, place)


def _document(file: TextFile, first: Line) -> dict[str, Any] | None:
    """The whole file as one object, if that is what it is."""
    try:
        entry = json.loads(first.text)
        return entry if isinstance(entry, dict) and "target" not in entry else None
    except json.JSONDecodeError:
        if first.text.strip() not in ("{", "["):
            return None  # broken or not JSON: the line's own error says so
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


def _record(entry: Any, position: int, frequency: str | None, place: str) -> Record:
    if not isinstance(entry, dict) or not isinstance(entry.get("target"), list):
        raise DataError(f"{place}: expected an object with a list 'target'.")
    if any(isinstance(value, list) for value in entry["target"]):
        raise DataError(f"{place}: 'target' is not one-dimensional; write one line a variate.")
    return Record(
        item_id=str(entry.get("item_id", position)),
        start=None if entry.get("start") is None else str(entry["start"]),
        frequency=entry.get("freq", frequency),
        target=_target(entry["target"], place),
    )


def _target(values: list[Any], place: str) -> np.ndarray:
    return parse_numbers(["nan" if v is None else str(v) for v in values], place)
