"""Reads Monash `.tsf` files: a header of `@` lines, then one series per line (arXiv 2105.06643)."""

import re
from collections.abc import Iterator

from lagllama_jax.corpus.formats.numbers import parse_numbers
from lagllama_jax.corpus.formats.text import TextFile
from lagllama_jax.errors import DataError, naming
from lagllama_jax.series.arrays import as_timestamp
from lagllama_jax.series.dataset import Item
from lagllama_jax.series.frequency import Frequency

UNITS = {
    "second": "s", "minute": "min", "hour": "h", "day": "D", "dai": "D",
    "week": "W", "month": "ME", "quarter": "QE", "year": "YE",
}  # fmt: skip
"""Aliases by the names of units, without a plural `s` and the `ly` of "hourly" or "daily"."""


def read_tsf(file: TextFile) -> Iterator[Item]:
    """Reads the items of one file, named by `series_name` or their positions (T1, T2, ...).

    Raises:
      DataError: If `@data` is missing, the frequency is unknown, or a line has another number of
        attributes than the header, or a date or value that cannot be read. The message names the
        file and the line.
    """
    names, frequency = _read_header(file)
    for position, line in enumerate(file.lines, start=1):
        *attributes, values = line.text.split(":")
        with naming(f"{file.name}, line {line.number}"):
            if len(attributes) != len(names):
                raise DataError(
                    f"{len(attributes)} attributes, expected {len(names)} "
                    f"({', '.join(names) or 'none'})."
                )
            named = dict(zip(names, attributes, strict=True))
            day, _, clock = named.get("start_timestamp", "").strip().partition(" ")
            item = Item(
                item_id=named.get("series_name", f"T{position}"),
                target=parse_numbers(values.split(","))[None],
                start=as_timestamp(f"{day} {clock.replace('-', ':')}".strip()) if day else None,
                frequency=frequency,
            )
        yield item


def _read_header(file: TextFile) -> tuple[list[str], Frequency | None]:
    """The names of the attributes, and the frequency."""
    names: list[str] = []
    frequency = None
    for line in file.lines:
        tag, *words = line.text.split()
        with naming(f"{file.name}, line {line.number}"):
            if tag.lower() == "@data":
                return names, frequency
            if not tag.startswith(("@", "#")):
                raise DataError("expected an @ line of a .tsf header. Is this a .tsf file?")
            if tag.lower() == "@attribute":
                if len(words) != 2:
                    raise DataError("expected '@attribute name type'.")
                names.append(words[0])
            if tag.lower() == "@frequency":
                frequency = _parse_frequency(" ".join(words))
    raise DataError(f"{file.name} ends without @data. Is this a .tsf file, and a whole one?")


def _parse_frequency(text: str) -> Frequency:
    name = text.lower().replace(" ", "_").replace("half_hourly", "30_minutes")
    match = re.fullmatch(r"(?:(\d+)_)?([a-z]+?)(?:ly|s)?", name)
    if match is None or match[2] not in UNITS:
        raise DataError(f"unknown frequency {text!r}.")
    return Frequency.parse(f"{match[1] or ''}{UNITS[match[2]]}")
