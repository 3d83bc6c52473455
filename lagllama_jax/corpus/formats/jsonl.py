"""GluonTS JSON: one object per line, or one document with `metadata` and a list of objects."""

import itertools
import json
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from lagllama_jax.corpus.formats.numbers import parse_numbers
from lagllama_jax.corpus.formats.text import TextFile
from lagllama_jax.errors import DataError, converting, listed, naming
from lagllama_jax.series.arrays import as_timestamp
from lagllama_jax.series.dataset import Item
from lagllama_jax.series.frequency import Frequency

FEATURES = ("feat_dynamic", "past_feat_dynamic")
"""Beginnings of the keys of covariates."""
LISTS = ("data", "test", "train")
"""Keys of the series in a document, by priority. `test` has whole series, `train` shorter ones."""


def read_jsonl(file: TextFile) -> Iterator[Item]:
    """Reads the items of one file. Items without `item_id` are named by their position.

    Raises:
      DataError: If a line is not JSON, or an object has no one-dimensional `target` of numbers, or
        a start or a frequency that cannot be read. The message names the file and the line.
    """
    number, text = next(file.lines)
    place, frequency = f"{file.name}, line {number}", None
    indented = text.strip() in ("{", "[")
    if indented:
        place, text = file.name, "\n".join([text, *(line.text for line in file.lines)])
    first = _load(text, place)
    entries: Iterable[tuple[str, Any]]
    single = indented and isinstance(first, dict) and "target" in first
    if indented or isinstance(first, list) or (isinstance(first, dict) and "target" not in first):
        document = first if isinstance(first, dict) else {"data": first}
        document = {"data": [first]} if single else document
        series = next((document[key] for key in LISTS if key in document), None)
        if not isinstance(series, list):
            raise DataError(
                f"{file.name} holds no series under {', '.join(LISTS)}. An object is a series with "
                "a list 'target', a 'start' and a 'freq'. Write tables of rows as CSV or Parquet."
            )
        entries = ((f"{file.name}, series {i}", entry) for i, entry in enumerate(series))
        frequency = document.get("metadata", {}).get("freq")
    else:
        places = ((f"{file.name}, line {line.number}", line.text) for line in file.lines)
        entries = itertools.chain([(place, first)], ((p, _load(t, p)) for p, t in places))
    unread: set[str] = set()
    for position, (place, entry) in enumerate(entries):
        with naming(place):
            item = _item(entry, position, frequency)
        unread |= {key for key in entry if key.startswith(FEATURES)}
        yield item
    if unread:
        warnings.warn(
            f"{file.name}: {listed(sorted(unread))} are not read. Covariates are read from CSV and "
            "Parquet.",
            stacklevel=2,
        )


def _load(text: str, place: str) -> Any:
    with converting(DataError, f"{place}: not JSON", json.JSONDecodeError):
        return json.loads(text)


def _item(entry: Any, position: int, frequency: str | None) -> Item:
    if not isinstance(entry, dict) or not isinstance(entry.get("target"), list):
        raise DataError("expected an object with a list 'target'.")
    if any(isinstance(value, list) for value in entry["target"]):
        raise DataError("'target' is not one-dimensional; write one line per variate.")
    texts = ["nan" if value is None else str(value) for value in entry["target"]]
    start, alias = entry.get("start"), entry.get("freq", frequency)
    return Item(
        str(entry.get("item_id", position)),
        parse_numbers(texts)[None],
        None if start is None else as_timestamp(str(start)),
        None if alias is None else Frequency.parse(alias),
    )
