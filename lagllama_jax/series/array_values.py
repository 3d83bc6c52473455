"""Converts arrays of any library to the values of a series."""

import warnings
from typing import Any

import numpy as np

from lagllama_jax.errors import DataError
from lagllama_jax.typing import Float


def as_floats(name: str, array: Any) -> Float[np.ndarray, "T"]:
    """The values of a series in float64, NaN where one is missing.

    Args:
      name: Name of the series, for error messages.
      array: A 1-D array or list of numbers, of NumPy, JAX, pandas, polars or Python.

    Raises:
      DataError: If there is no value, or one that is not a finite number.
    """
    if is_of_times(array):
        raise DataError(
            f"Series {name!r} is of dates or durations, not of numbers. Give the values, and the "
            "date of the first one as start."
        )
    index: Any = getattr(array, "index", None)
    if not getattr(index, "is_monotonic_increasing", True):
        warnings.warn(
            f"Series {name!r}: its index is not ascending and not used; the values are taken in "
            "their order. If this is wrong, use sort_index().",
            stacklevel=2,
        )
    if isinstance(array, np.ma.MaskedArray):
        array = np.ma.filled(array.astype(np.float64), np.nan)
    try:
        if hasattr(array, "isna"):  # pandas, which has missing values of its own
            values = array.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            cells = array
            if isinstance(array, list | tuple):
                cells = [None if type(cell).__name__ == "NAType" else cell for cell in array]
            values = np.asarray(cells, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"Series {name!r}{_first_text(array)} is not of numbers: {error}"
        ) from error
    if values.ndim != 1:
        raise DataError(f"Series {name!r} is {values.ndim}-D: each must be a 1-D array.")
    if len(values) == 0:
        raise DataError(f"Series {name!r} is empty: drop it.")
    if np.isinf(values).any():
        position = int(np.argmax(np.isinf(values)))
        raise DataError(f"Series {name!r}, position {position} is infinite: put NaN if missing.")
    if np.isnan(values).all():
        raise DataError(f"Series {name!r} has no value at all (only NaN): drop it.")
    return values


def is_of_times(array: Any) -> bool:
    """Whether an array is of dates or durations, which NumPy would convert to numbers."""
    dtype = getattr(array, "dtype", None)
    if dtype is None and isinstance(array, list | tuple):
        dtype = getattr(next(iter(array), None), "dtype", None)
    return getattr(dtype, "kind", "f") in "Mm" or bool(getattr(dtype, "is_temporal", bool)())


def _first_text(array: Any) -> str:
    cells = array if isinstance(array, list | tuple) else np.asarray(array, dtype=object).ravel()
    position = next((i for i, cell in enumerate(cells) if isinstance(cell, str)), None)
    return "" if position is None else f", position {position} ({cells[position]!r}),"
