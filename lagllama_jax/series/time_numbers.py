"""Reads times that are written as numbers: dates as digits, seconds since 1970, Excel's days."""

from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.series.time_reading import EXCEL, EXCEL_ORIGIN, Reading
from lagllama_jax.series.time_text import EARLIEST, LATEST, with_century
from lagllama_jax.typing import Bool, Float

_EXCEL_DAYS = (30_000, 60_000)  # 1982 to 2064
_WEEKS = "%G%V"  # is used if the digits are no months, or the column is told to be of weeks
_LAYOUTS = {
    4: ("%Y",),
    6: ("%Y%m", "%y%m%d", "%d%m%y", "%G%V"),
    7: ("%Y%j",),
    8: ("%Y%m%d", "%d%m%Y", "%m%d%Y"),
    10: ("%Y%m%d%H",),
    12: ("%Y%m%d%H%M", "%y%m%d%H%M%S"),
    14: ("%Y%m%d%H%M%S",),
}
"""Formats of dates as digits, by the number of digits."""
_EPOCHS = {"s": (1e8, 5e9), "ms": (1e11, 5e12), "us": (1e14, 5e15), "ns": (1.6e17, 5e18)}
"""Units of the time since 1970, with the range of numbers from 1973 (of nanoseconds, 1975) to 2128.

Smaller numbers than those of nanoseconds are also the present in Windows' file times.
"""
_TIMES = (1900, 2100)  # years of digits that could be the time since 1970
_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


def read_codes(
    values: Float[np.ndarray, "n"], texts: list[str], weekly: bool = False
) -> list[Reading]:
    """The readings of numbers as times under which each number is one. There may be none.

    Args:
      values: The numbers.
      texts: The same numbers as text, which is exact.
      weekly: Whether numbers that could be months or weeks are weeks.
    """
    low, high = values.min(), values.max()
    readings: list[Reading] = []
    if len({len(text) for text in texts}) == 1 and all(map(str.isdigit, texts)):
        readings = [_digits(texts, layout) for layout in _LAYOUTS.get(len(texts[0]), ())]
    partly = [one for one in readings if np.mean(one.stamps.notna()) > 0.5 and len(texts[0]) > 7]
    readings = [one for one in readings if one.stamps.notna().all()]
    weeks = [one for one in readings if one.name == _WEEKS]
    if len(weeks) < len(readings):
        readings = weeks if weekly and weeks else [one for one in readings if one.name != _WEEKS]
    unit: Any
    for unit, (first, last) in _EPOCHS.items():
        if first <= low and high <= last and not readings:
            exact: Any = [int(text) for text in texts] if all(map(str.isdigit, texts)) else values
            stamps = pd.DatetimeIndex(pd.to_datetime(exact, unit=unit))
            readings.append(
                Reading(f"{_UNITS[unit]} since 1970", stamps, f"{unit} since 1970", unit)
            )
    if _EXCEL_DAYS[0] <= low and high <= _EXCEL_DAYS[1]:
        days = pd.to_datetime(values, unit="D", origin=EXCEL_ORIGIN)
        readings.append(Reading(EXCEL, pd.DatetimeIndex(days).round("s"), EXCEL, EXCEL))
    return readings or partly


def _digits(texts: list[str], layout: str) -> Reading:
    """The reading of digits, of which the hour 24 is the first of the next day."""
    hourly, weekly = layout == "%Y%m%d%H", layout == _WEEKS
    days = [text[:8] for text in texts] if hourly else [text + "1" * weekly for text in texts]
    read = layout[:6] if hourly else layout + "%u" * weekly
    stamps = pd.DatetimeIndex(pd.to_datetime(days, format=read, errors="coerce"))
    if "%y" in layout:
        days = _with_centuries(texts, layout.index("%y"), np.asarray(stamps.notna()))
        read = layout.replace("%y", "%Y")
        stamps = pd.DatetimeIndex(pd.to_datetime(days, format=read, errors="coerce"))
    inside = np.ones(len(texts), bool)
    if hourly:
        hours = np.array([int(text[8:]) for text in texts])
        stamps, inside = stamps + pd.to_timedelta(hours, unit="h"), hours <= 24
    first, last = (EARLIEST, LATEST) if len(texts[0]) < 10 else _TIMES
    inside &= (stamps.year >= first) & (stamps.year <= last)
    known = pd.DatetimeIndex(stamps.where(inside))
    return Reading(layout, known, f"date_format={layout!r}", layout)


def _with_centuries(texts: list[str], place: int, good: Bool[np.ndarray, "n"]) -> list[str]:
    """Digits whose year has two digits from a place on, with a year of four digits."""
    end = place + 2
    years = with_century(np.array([int(text[place:end]) for text in texts]), good)
    return [f"{text[:place]}{year}{text[end:]}" for text, year in zip(texts, years, strict=True)]
