"""Numbers written as text."""

from collections.abc import Sequence

import numpy as np

from lagllama_jax.errors import DataError, converting
from lagllama_jax.series.number_text import MISSING
from lagllama_jax.typing import Float


def parse_numbers(fields: Sequence[str]) -> Float[np.ndarray, "n"]:
    """Converts texts to numbers, with NaN for missing ones.

    Raises:
      DataError: If a field is not a number, or infinite. The message counts the fields from 1.
    """
    try:
        numbers = np.array([float(field) for field in fields])
    except ValueError:
        numbers = np.array([_parse(field.strip(), i) for i, field in enumerate(fields, 1)])
    infinite = np.flatnonzero(np.isinf(numbers))
    if infinite.size:
        found = fields[infinite[0]].strip()
        raise DataError(f"value {infinite[0] + 1}, {found}, is infinite.")
    return numbers


def _parse(field: str, index: int) -> float:
    with converting(DataError, f"value {index}, {field[:40]!r}, is not a number", ValueError):
        return float("nan" if field in MISSING else field)
