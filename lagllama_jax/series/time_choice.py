"""Chooses among the readings of a column of times the one that gives a regular grid."""

import re
import warnings
from datetime import timedelta
from typing import Any

import numpy as np

from lagllama_jax.errors import DataError
from lagllama_jax.series import grid
from lagllama_jax.series.frequency import Frequency
from lagllama_jax.series.time_reading import EXCEL, Reading
from lagllama_jax.typing import Int

COUNTED = 1000  # from this number on, numbers of rows are told
_YEAR_NAME = re.compile(
    r"(?i)^column '[^']*(unnamed|year|yr|jahr|date|datum|time|zeit|ann|a\xf1o|ds')"
)


def choose(
    readings: list[Reading],
    codes: Int[np.ndarray, "n"],
    frequency: Frequency | None,
    place: str,
) -> Reading:
    """The only reading with the fewest cells that are none, or the only one on a regular grid.

    Raises:
      DataError: If several readings are on a regular grid, or none is.
    """
    absent = [np.isnat(one.stamps.asi8.view("M8[ns]")).sum() for one in readings]
    fewest = min(absent)
    left: list[Reading] = []
    for one, count in zip(readings, absent, strict=True):
        same = any(one.stamps.equals(other.stamps) for other in left)
        if count == fewest and not same:
            left.append(one)
    if fewest == 0 and len(left) > 1:
        shares = [grid.filled_share(one.stamps, codes, frequency) for one in left]
        regular = [one for one, share in zip(left, shares, strict=True) if share > 0]
        if len(regular) > 1:
            whole = [one for one, share in zip(left, shares, strict=True) if share == 1]
            regular = whole if len(whole) == 1 else regular
        if len(regular) != 1:
            shown = "; or ".join(_shown(one) for one in regular or left)
            raise DataError(
                f"{place} can be read in several ways, {'all' if regular else 'none'} of which "
                f"give a regular grid: {shown}. Tell which is right."
            )
        left = regular
        _tell(f"{place} was read as {left[0].name}, as only that gives a regular grid.")
    counted = left[0].name == "%Y" and not _YEAR_NAME.search(place)
    if left[0].name == EXCEL or counted:
        what = "years" if counted else EXCEL
        _tell(f"{place} was read as {what}. If they only number the rows, give freq=1.")
    return left[0]


def tell_numbers(numbers: Any, place: str) -> None:
    """Warns that large numbers, which could be dates of an unknown kind, number the rows."""
    first = next(iter(numbers))
    if not isinstance(first, timedelta | np.timedelta64) and float(first) >= COUNTED:
        _tell(
            f"{place}: {first} and the other numbers are no known dates. They number the rows, and "
            "no calendar is used. If they are dates, convert them to time stamps."
        )


def _tell(message: str) -> None:
    warnings.warn(message, stacklevel=2)


def _shown(reading: Reading) -> str:
    first = ", ".join(str(stamp) for stamp in reading.stamps[:3])
    return f"{reading.name} as {first}, ... ({reading.option})"
