"""Numbers written as text."""

import math
from collections.abc import Sequence

import numpy as np

from lagllama_jax.errors import DataError
from lagllama_jax.typing import Float

MISSING = frozenset(("", "?", "NA", "N/A", "null", "NULL", "None"))
"""Spellings of a missing value, in addition to those of NaN."""


def parse_numbers(fields: Sequence[str], place: str) -> Float[np.ndarray, "n"]:
    """Converts texts to numbers, with NaN for missing ones.

    Args:
      fields: One text per number.
      place: File and line, for the error message.

    Raises:
      DataError: If a field is not a number, or infinite.
    """
    try:
        numbers = np.array([float(field) for field in fields])
    except ValueError:
        parsed = (_parse(field.strip(), index, place) for index, field in enumerate(fields, 1))
        numbers = np.array(list(parsed))
    infinite = np.flatnonzero(np.isinf(numbers))
    if infinite.size:
        found = fields[infinite[0]].strip()
        raise DataError(f"{place}: value {infinite[0] + 1}, {found}, is infinite.")
    return numbers


def _parse(field: str, index: int, place: str) -> float:
    try:
        return math.nan if field in MISSING else float(field)
    except ValueError as error:
        raise DataError(f"{place}: value {index}, {field[:40]!r}, is not a number.") from error
