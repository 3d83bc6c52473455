"""Numbers written as text."""

import math
from collections.abc import Sequence

import numpy as np

from lagllama_jax.errors import DataError
from lagllama_jax.typing import Float

MISSING = frozenset(("", "?", "NA", "N/A", "null", "NULL", "None"))
"""Spellings of a missing value beside those of NaN."""


def parse_floats(fields: Sequence[str], place: str) -> list[float]:
    """Numbers, NaN where missing.

    Args:
      fields: one text each.
      place: file and line, for messages.

    Raises:
      DataError: a field that is no number.
    """
    try:
        return [float(field) for field in fields]
    except ValueError:
        return [_parse(field.strip(), index, place) for index, field in enumerate(fields, 1)]


def parse_numbers(fields: Sequence[str], place: str) -> Float[np.ndarray, "n"]:
    """Numbers as float32, NaN where missing.

    Raises:
      DataError: a field that is no number, or one that is infinite or beyond float32.
    """
    with np.errstate(over="ignore"):
        numbers = np.array(parse_floats(fields, place), np.float32)
    infinite = np.flatnonzero(np.isinf(numbers))
    if infinite.size:
        found = fields[infinite[0]].strip()
        raise DataError(f"{place}: value {infinite[0] + 1}, {found}, is infinite in float32.")
    return numbers


def _parse(field: str, index: int, place: str) -> float:
    try:
        return math.nan if field in MISSING else float(field)
    except ValueError as error:
        raise DataError(f"{place}: value {index}, {field[:40]!r}, is no number.") from error
