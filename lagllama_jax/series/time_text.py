"""Reads time stamps that are written as text, in every order of day and month that is possible."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lagllama_jax.series.aliases import NANOSECONDS
from lagllama_jax.series.time_layouts import LAYOUTS, MONTHS, REWRITES
from lagllama_jax.series.time_parts import Parts
from lagllama_jax.series.time_reading import DAY_FIRST, MONTH_FIRST, YEAR_FIRST, Reading
from lagllama_jax.series.time_zones import with_zone
from lagllama_jax.typing import Bool, Int

EARLIEST, LATEST = 1678, 2261  # years that fit into 64 bits of nanoseconds
ORDERS = {DAY_FIRST: "dmy", MONTH_FIRST: "mdy", YEAR_FIRST: "ymd"}
FEW = 2  # more cells than these that are no dates may have the day before the month
SAMPLE = 20  # number of cells by which a layout is tried
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # number of days of months
_NONE = pa.scalar(None, pa.string())


def read_texts(cells: list[str], weekly: bool = False) -> list[Reading]:
    """The readings of time stamps in one layout, of which there are several for `01/02/2024`.

    The text `24:00` is the beginning of the next day. A cell in another layout than most is NaT. If
    all cells have one offset from UTC, it is kept. Several offsets are converted to UTC.

    Args:
      cells: The text.
      weekly: Whether numbers beside a year that could be months or weeks are weeks.

    Raises:
      DataError: If the text has an unknown time zone, some cells have none, or no cell has a date.
    """
    texts = _plain(pa.array(cells, pa.string()))
    readings: list[Reading] = []
    for layout in sorted(LAYOUTS, key=lambda one: weekly and "<week>" not in one):
        sample = pc.match_substring_regex(texts[:SAMPLE], layout)
        if (pc.sum(sample).as_py() or 0) > len(sample) / 2:
            readings += _readings(pc.extract_regex(texts, layout), cells)
            if any(not one.stamps.hasnans for one in readings):
                break
    return readings


def _plain(texts: Any) -> Any:
    """Text in lower case without accents, with the date before the time of day."""
    texts = pc.utf8_lower(pc.utf8_trim_whitespace(texts))
    if pc.any(pc.invert(pc.string_is_ascii(texts))).as_py():
        texts = pc.replace_substring_regex(pc.utf8_normalize(texts, "NFKD"), r"\p{Mn}", "")
    for pattern, replacement in REWRITES:
        if pc.any(pc.match_substring_regex(texts[:SAMPLE], pattern)).as_py():
            texts = pc.replace_substring_regex(texts, pattern, replacement)
    return texts


def _readings(found: Any, cells: list[str]) -> list[Reading]:
    """The readings of cells, given the parts of each of them."""
    names = [found.type.field(place).name for place in range(found.type.num_fields)]
    fields = dict(zip(names, found.flatten(), strict=True))
    fields = {name: pc.if_else(pc.equal(part, ""), _NONE, part) for name, part in fields.items()}
    if "a" in fields:
        readings = []
        for name, order in ORDERS.items():
            if name != YEAR_FIRST or (pc.max(pc.utf8_length(fields["c"])).as_py() or 0) < 4:
                dates = fields | dict(zip(order, (fields[part] for part in "abc"), strict=True))
                option = "date_format" if name == YEAR_FIRST else f"dayfirst={name == DAY_FIRST}"
                readings.append(Reading(name, _stamps(Parts(dates), cells), option))
        return readings
    first = Reading("", _stamps(Parts(fields), cells))
    if np.sum(first.stamps.isna()) > FEW and {"y", "m", "d"} <= fields.keys():
        turned = fields | {"m": fields["d"], "d": fields["m"]}
        return [first, Reading("year, day and month", _stamps(Parts(turned), cells))]
    return [first]


def _stamps(fields: Parts, cells: list[str]) -> pd.DatetimeIndex:
    """Time stamps of the parts of a layout, NaT where they are none."""
    year, month, day = (fields.numbers(name, 1) for name in ("y", "m", "d"))
    good = np.logical_or.reduce([np.asarray(pc.is_valid(part)) for part in fields.values()])
    if "name" in fields:
        place = pc.index_in(fields["name"], pa.array(list(MONTHS))).fill_null(-1)
        month = np.array([*MONTHS.values(), 0])[np.asarray(place)]
    if "q" in fields:
        month = 3 * fields.numbers("q") - 2
    if "short" in fields:
        year = fields.numbers("short")
        good &= not _are_days(year, month)
    if "next" in fields:  # years such as 2019/20
        good &= (fields.numbers("next") - year - 1) % 100 == 0
    year = with_century(year, good)
    days, known = _days(fields, year, month, fields.numbers("j", 1) if "j" in fields else day)
    moments, clock = days.astype("datetime64[ns]"), np.ones(len(days), bool)
    if "h" in fields:
        since, clock = _clock(fields)
        moments = moments + since
    moments[~(good & known & clock)] = np.datetime64("NaT")
    return with_zone(moments, fields, cells) if "h" in fields else pd.DatetimeIndex(moments)


def with_century(year: Int[np.ndarray, "n"], good: Bool[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """The years, of which those of two digits get the centuries under which they are closest.

    If centuries are equally close, the years are 1969 to 2068, as in POSIX.
    """
    short = np.unique(year[good & (year < 100)])
    if len(short) == 0:
        return year
    firsts = [69, *short.tolist()]  # of the 1900s
    spans = [np.ptp(short + np.where(short < first, 2000, 1900)) for first in firsts]
    first = firsts[int(np.argmin(spans))]
    return np.where(year < 100, year + np.where(year < first, 2000, 1900), year)


def _are_days(numbers: Int[np.ndarray, "n"], month: Int[np.ndarray, "n"]) -> bool:
    """Whether numbers beside the names of months rather are days than years."""
    together = np.mean(month[1:] == month[:-1]) >= 0.5 if len(month) > 1 else False
    fits = (numbers >= 1) & (numbers <= np.array([99, *_LONGEST])[month])
    return bool(together or (fits.all() and numbers.max() >= 29))


def _days(fields: Parts, year: Any, month: Any, day: Any) -> tuple[np.ndarray, np.ndarray]:
    """The days, and whether they exist."""
    good = (year >= EARLIEST) & (year <= LATEST) & (month >= 1) & (month <= 12) & (day >= 1)
    months = np.where(good, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    period = "datetime64[Y]" if "j" in fields else "datetime64[M]"
    good &= days.astype(period) == months.astype(period)
    if "week" in fields:
        week, weekday = fields.numbers("week", 1), fields.numbers("weekday", 1)
        fourth = days + 3  # the first week has the 4th of January
        days = fourth - (fourth.astype(np.int64) + 3) % 7 + 7 * (week - 1)
        good &= (week >= 1) & ((days + 3).astype("datetime64[Y]") == months.astype("datetime64[Y]"))
        days = days + weekday - 1
    return days, good


def _clock(fields: Parts) -> tuple[np.ndarray, np.ndarray]:
    """The time of day, and whether it exists."""
    hour, minute, second = (fields.numbers(name) for name in ("h", "min", "s"))
    half = fields.present("half")
    known = ~half | ((hour >= 1) & (hour <= 12))
    afternoon = np.asarray(pc.fill_null(pc.equal(fields["half"], "p"), False))
    hour = np.where(half, hour % 12 + 12 * afternoon, hour)
    seconds = hour * 3600 + minute * 60 + second
    known &= (minute < 60) & (second < 61) & (seconds <= 86_400)
    known &= ~fields.present("sign") | fields.present("min")
    fine = pc.utf8_rpad(pc.fill_null(fields["f"], "0"), 9, "0").cast(pa.int64())
    return (seconds * NANOSECONDS["s"] + np.asarray(fine)).astype("timedelta64[ns]"), known


def as_times(names: list[str]) -> list[str | None]:
    """The names of columns that are dates, months, quarters or years, such as `X2020`, as times.

    Other names are `None`.
    """
    texts = [re.sub(r"^X(?=\d)|\s*\[.*\]$", "", name.strip()) for name in names]
    dated = [text for text in texts if re.search(r"\d", text) and not text.isdigit()]
    none: Any = []
    best = min((one.stamps.isna() for one in read_texts(dated)), key=np.sum, default=none)
    known = {text for text, bad in zip(dated, best, strict=False) if not bad}
    known |= {text for text in texts if re.fullmatch(r"(18|19|20|21)\d\d", text)}
    return [text if text in known else None for text in texts]


def has_clock_only(cell: Any) -> bool:
    """Whether text is a time of day without a date."""
    clock = r"(?i)\s*\d{1,2}[:h]\d\d(:\d\d)?([.,]\d+)?(\s*[ap]m)?\s*"
    return re.fullmatch(clock, str(cell)) is not None
