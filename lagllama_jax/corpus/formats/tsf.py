"""Reads Monash `.tsf` files: a header of `@` lines, then one series per line (arXiv 2105.06643)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lagllama_jax.corpus.formats.numbers import parse_numbers
from lagllama_jax.corpus.formats.text import TextFile
from lagllama_jax.errors import DataError
from lagllama_jax.series.dataset import Item
from lagllama_jax.series.frequency import Frequency

if TYPE_CHECKING:
    import pandas as pd

FREQUENCIES = {
    "yearly": "YE",
    "quarterly": "QE",
    "monthly": "ME",
    "weekly": "W",
    "daily": "D",
    "hourly": "h",
    "half_hourly": "30min",
    "minutely": "min",
    "secondly": "s",
}
UNITS = {"second": "s", "minute": "min", "hour": "h", "day": "D", "week": "W", "month": "ME"}


@dataclass
class _Header:
    attributes: list[str] = field(default_factory=list)
    frequency: Frequency | None = None


def read_tsf(file: TextFile) -> Iterator[Item]:
    """Reads the items of one file.

    An item is named by its attribute `series_name`, or by its position (T1, T2, ...).

    Raises:
      DataError: If `@data` is missing, the frequency is unknown, or a line has another number of
        attributes than the header, a date or a value that cannot be read. The message names the
        file and the line.
    """
    header = _read_header(file)
    for position, line in enumerate(file.lines, start=1):
        place = f"{file.name}, line {line.number}"
        *attributes, values = line.text.split(":")
        if len(attributes) != len(header.attributes):
            raise DataError(
                f"{place}: {len(attributes)} attributes, expected {len(header.attributes)} "
                f"({', '.join(header.attributes) or 'none'})."
            )
        named = dict(zip(header.attributes, attributes, strict=True))
        yield Item(
            item_id=named.get("series_name", f"T{position}"),
            target=parse_numbers(values.split(","), place)[None],
            start=_parse_start(named.get("start_timestamp"), place),
            frequency=header.frequency,
        )


def _read_header(file: TextFile) -> _Header:
    header = _Header()
    for line in file.lines:
        place = f"{file.name}, line {line.number}"
        tag, *words = line.text.split()
        if tag.startswith("#"):
            continue
        if tag.lower() == "@data":
            return header
        if not tag.startswith("@"):
            raise DataError(f"{place}: expected an @ line of a .tsf header. Is this a .tsf file?")
        if tag.lower() == "@attribute":
            if len(words) != 2:
                raise DataError(f"{place}: expected '@attribute name type'.")
            header.attributes.append(words[0])
        if tag.lower() == "@frequency":
            header.frequency = _parse_frequency(" ".join(words), place)
    raise DataError(f"{file.name} ends without @data. Is this a .tsf file, and a whole one?")


def _parse_frequency(text: str, place: str) -> Frequency:
    name = text.strip().lower().replace(" ", "_")
    if name in FREQUENCIES:
        return Frequency.parse(FREQUENCIES[name])
    match = re.fullmatch(r"(\d+)_([a-z]+?)s?", name)
    if match and match[2] in UNITS:
        return Frequency.parse(f"{match[1]}{UNITS[match[2]]}")
    raise DataError(f"{place}: unknown frequency {text!r}.")


def _parse_start(text: str | None, place: str) -> "pd.Timestamp | None":
    import pandas as pd

    if text is None:
        return None
    for layout in ("%Y-%m-%d %H-%M-%S", "%Y-%m-%d"):
        try:
            return pd.to_datetime(text.strip(), format=layout)
        except ValueError:
            continue
    raise DataError(f"{place}: start {text!r} is not written as 2000-12-31 23-59-59.")
