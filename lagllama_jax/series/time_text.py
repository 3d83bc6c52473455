"""Reads time stamps that are written as text, in every order of day and month that is possible."""

import re
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lagllama_jax.errors import DataError
from lagllama_jax.series.aliases import NANOSECONDS
from lagllama_jax.typing import Int

EXCEL = "Excel's day numbers"
EXCEL_ORIGIN = pd.Timestamp("1899-12-30")
EARLIEST, LATEST = 1678, 2261  # years that fit into 64 bits of nanoseconds
DAY_FIRST, MONTH_FIRST, YEAR_FIRST = "day-first", "month-first", "year-first"
ORDERS = {DAY_FIRST: "dmy", MONTH_FIRST: "mdy", YEAR_FIRST: "ymd"}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAME = rf"(?P<name>{'|'.join(_MONTHS)})[a-z]*\.?"
_DAY, _YEAR = r"(?P<d>\d{1,2})(?:st|nd|rd|th)?", r"(?P<y>\d{4})"
_DATES = (
    r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?:/\d{4}-\d\d-\d\d)?",
    r"(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.](?P<c>\d{4})",
    r"(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.](?P<c>\d{2})",
    r"(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)",
    rf"(?:[a-z]+,?\s+)?{_DAY}[-\s./]*{_NAME}[-\s,./]*(?P<y>\d{{4}}|\d\d)",
    rf"(?:[a-z]+,?\s+)?{_NAME}[-\s./]*{_DAY}[-\s,./]+{_YEAR}",
    rf"{_NAME}[-\s,./]*{_YEAR}",
    rf"{_NAME}[-\s](?P<short>\d\d)",
    rf"{_YEAR}[-\s./]*{_NAME}(?:[-\s./]*{_DAY})?",
    r"(?P<y>\d{4})-?W(?P<week>\d{1,2})(?:-?(?P<weekday>[1-7]))?",
    r"(?P<y>\d{4})(?:[-/\s]|-?M)(?P<m>\d{1,2})",
    r"(?P<y>\d{4})[-.](?P<j>\d{3})",
    r"(?P<m>\d{1,2})[-/.](?P<y>\d{4})",
    r"(?P<y>\d{4})[-\s]?Q(?P<q>[1-4])",
    r"(?:Q(?P<q>[1-4])|(?P<qq>[1-4])Q)[-\s/]?(?P<y>\d{4})",
    r"(?P<y>\d{4})",
)
_ZONES = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}
_ZONES |= {
    "WET": 0,
    "WEST": 1,
    "CET": 1,
    "CEST": 2,
    "EET": 2,
    "EEST": 3,
    "UTC": 0,
    "GMT": 0,
    "Z": 0,
}
"""Hours that the time of a zone is ahead of UTC, for the names that RFC 2822 and Europe define."""
_CLOCK = (
    r"(?:[\sT,:_]+(?P<h>\d{1,2})(?:[:.h](?P<min>\d\d)(?:[:.](?P<s>\d\d)(?:[.,](?P<f>\d{1,9}))?)?)?h?"
    r"(?:\s*(?P<half>[ap])\.?m\.?)?)?"
)
_ZONE = (
    r"\s*\(?(?P<zone>[A-Z]{1,5}(?=$|[-+\u2212\s)]))?\s*"
    r"(?:(?P<sign>[-+\u2212])(?P<zh>\d{1,2})(?::?(?P<zm>\d\d))?)?\)?"
)
_LAYOUTS = [re.compile(rf"(?i:{date}{_CLOCK}){_ZONE}") for date in _DATES]
_SECOND = 10**9


class Reading(NamedTuple):
    """One way to read time stamps.

    Attributes:
      name: The reading in words, such as `day-first`.
      stamps: The time stamps, NaT where a cell is none.
      option: The option that asks for this reading, such as `dayfirst=True`.
      layout: How the time stamps are written: a format as in `datetime.strftime`, a unit of the
        time since 1970, or Excel's day numbers. Empty: in another way.
    """

    name: str
    stamps: pd.DatetimeIndex
    option: str = "date_format"
    layout: str = ""

    def write(self, stamps: pd.DatetimeIndex) -> Any:
        """Time stamps as numbers or text, as in the user's table."""
        if self.layout == EXCEL:
            return (stamps - EXCEL_ORIGIN) / pd.Timedelta(1, "D")
        if self.layout in NANOSECONDS:
            return stamps.as_unit("ns").asi8 // NANOSECONDS[self.layout]
        return stamps.strftime(self.layout) if self.layout else stamps


def read_texts(cells: list[str]) -> list[Reading]:
    """The readings of time stamps in one layout, of which there are several for `01/02/2024`.

    The text `24:00` is the beginning of the next day. A cell in another layout than most is NaT. If
    all cells have one offset from UTC, it is kept. Several offsets are converted to UTC.

    Raises:
      DataError: If the text has an unknown time zone, some cells have none, or no cell has a date.
    """
    found = _best_layout(cells)
    if found is None:
        return []
    fields = pd.DataFrame([{} if m is None else m.groupdict() for m in found], dtype=object)
    ambiguous = "a" in fields
    readings = []
    for name, order in ORDERS.items() if ambiguous else [("", "")]:
        if name == YEAR_FIRST and fields["c"].str.len().max() == 4:
            continue
        dates = fields.rename(
            columns=dict(zip(("a", "b", "c"), order, strict=True) if order else ())
        )
        option = "date_format" if name == YEAR_FIRST else f"dayfirst={name == DAY_FIRST}"
        readings.append(Reading(name, _stamps(dates, cells), option))
    return readings


def _best_layout(cells: list[str]) -> list[re.Match[str] | None] | None:
    best, most = None, 0
    for layout in _LAYOUTS:
        if sum(layout.fullmatch(cell) is not None for cell in cells[:20]) <= min(most, 19) / 2:
            continue
        found = [layout.fullmatch(cell) for cell in cells]
        count = len(found) - found.count(None)
        if count > most:
            best, most = found, count
        if most == len(cells):
            break
    return best


def _numbers(fields: pd.DataFrame, name: str, default: int) -> Int[np.ndarray, "n"]:
    if name not in fields:
        return np.full(len(fields), default)
    return _filled(fields[name], default).astype(np.int64).to_numpy()


def _filled(column: Any, value: Any) -> Any:
    return column.where(column.notna(), value)


def _stamps(fields: pd.DataFrame, cells: list[str]) -> pd.DatetimeIndex:
    """Time stamps of the fields of a layout, NaT where they are none."""
    year, month, day = (_numbers(fields, name, 1) for name in "ymd")
    if "name" in fields:
        named = fields["name"].str.lower().map(dict(zip(_MONTHS, range(1, 13), strict=True)))
        month = _filled(named, 1).astype(np.int64).to_numpy()
    if "q" in fields:
        month = 3 * _numbers(fields, "q", 0) - 2 + 3 * _numbers(fields, "qq", 0)
    if "short" in fields:  # a year, unless all are days of one month
        year = (
            _numbers(fields, "short", 0)
            if fields["name"].nunique() > 1
            else np.full_like(day, LATEST + 1)
        )
    if "j" in fields:
        day = _numbers(fields, "j", 1)
    year = np.where(year < 100, year + np.where(year < 69, 2000, 1900), year)
    good = fields.notna().any(axis=1).to_numpy() & (year >= EARLIEST) & (year <= LATEST)
    good &= (month >= 1) & (month <= 12) & (day >= 1)
    months = ((np.where(good, year, 1970) - 1970) * 12 + np.where(good, month, 1) - 1).astype(int)
    days = months.astype("datetime64[M]").astype("datetime64[D]") + (day - 1)
    period = "datetime64[Y]" if "j" in fields else "datetime64[M]"
    good &= days.astype(period) == months.astype("datetime64[M]").astype(period)
    if "week" in fields:
        week, weekday = _numbers(fields, "week", 1), _numbers(fields, "weekday", 1)
        fourth = days + 3  # the first week has the 4th of January
        days = fourth - (fourth.astype(np.int64) + 3) % 7 + 7 * (week - 1) + weekday - 1
        good &= (week >= 1) & (week <= 53)
    second, fine, known = _clock(fields)
    moments = days.astype("datetime64[ns]") + (second * _SECOND + fine).astype("timedelta64[ns]")
    moments[~(good & known)] = np.datetime64("NaT")
    return _with_zone(moments, fields, cells)


def _clock(fields: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Second of the day, nanoseconds, and whether the time of day exists."""
    hour, minute, second = (_numbers(fields, name, 0) for name in ("h", "min", "s"))
    half = fields["half"].str.lower()
    known = (half.isna() | ((hour >= 1) & (hour <= 12))).to_numpy()
    hour = np.where(half.notna(), hour % 12 + 12 * (half == "p"), hour)
    seconds = hour * 3600 + minute * 60 + second
    known = known & (minute < 60) & (second < 61) & (seconds <= 86_400)
    fine = _filled(fields["f"], "0").str.ljust(9, "0").astype(np.int64).to_numpy()
    return seconds, fine, known


def _with_zone(moments: np.ndarray, fields: pd.DataFrame, cells: list[str]) -> pd.DatetimeIndex:
    zones = fields["zone"].str.upper()
    zoned = (zones.notna() | fields["sign"].notna()).to_numpy() & ~np.isnat(moments)
    if not zoned.any():
        return pd.DatetimeIndex(moments)
    if not (zoned | np.isnat(moments)).all():
        raise DataError(
            f"{cells[int(np.argmax(zoned))]!r} has a time zone, and "
            f"{cells[int(np.argmin(zoned | np.isnat(moments)))]!r} has none. Give all one."
        )
    unknown = (~zones.isin([*_ZONES]) & zones.notna()).to_numpy() & zoned
    if unknown.any():
        raise DataError(
            f"The time zone of {cells[int(np.argmax(unknown))]!r} is unknown or has several "
            "meanings. Write the offset from UTC, as in 2024-01-31 13:00+02:00."
        )
    sign = np.where(_filled(fields["sign"], "+") == "+", 1, -1)
    minutes = sign * (60 * _numbers(fields, "zh", 0) + _numbers(fields, "zm", 0))
    minutes += 60 * _filled(zones.map(_ZONES), 0).astype(np.int64).to_numpy()
    stamps = pd.DatetimeIndex(moments - minutes.astype("timedelta64[m]"), tz="UTC")
    offsets = np.unique(minutes[zoned])
    if len(offsets) > 1 or offsets[0] == 0:
        return stamps
    from datetime import timedelta, timezone

    return stamps.tz_convert(timezone(timedelta(minutes=int(offsets[0]))))


def has_clock_only(cell: Any) -> bool:
    """Whether text is a time of day without a date."""
    return (
        re.fullmatch(r"(?i)\s*\d{1,2}[:h]\d\d(:\d\d)?([.,]\d+)?(\s*[ap]m)?\s*", str(cell))
        is not None
    )
