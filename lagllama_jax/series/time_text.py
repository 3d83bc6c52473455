"""Reads time stamps that are written as text, in every order of day and month that is possible."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lagllama_jax.errors import DataError
from lagllama_jax.series.aliases import NANOSECONDS
from lagllama_jax.series.time_layouts import LAYOUTS, MONTHS, REWRITES
from lagllama_jax.series.time_reading import DAY_FIRST, MONTH_FIRST, YEAR_FIRST, Reading
from lagllama_jax.typing import Bool, Int

EARLIEST, LATEST = 1678, 2261  # years that fit into 64 bits of nanoseconds
ORDERS = {DAY_FIRST: "dmy", MONTH_FIRST: "mdy", YEAR_FIRST: "ymd"}
FEW = 2  # more cells than these that are no dates may have the day before the month
SAMPLE = 20  # number of cells by which a layout is tried
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # number of days of months
_ZONES = dict.fromkeys(("utc", "gmt", "z", "wet"), 0) | {
    "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
    "west": 1, "bst": 1, "cet": 1, "mez": 1, "cest": 2, "mesz": 2, "eet": 2, "eest": 3, "msk": 3,
    "sast": 2, "hkt": 8, "sgt": 8, "jst": 9, "kst": 9, "aest": 10, "aedt": 11, "nzst": 12,
    "nzdt": 13,
}  # fmt: skip
"""Hours that the time of a zone is ahead of UTC."""
_COMPANIONS = {"cst": "cdt", "bst": "gmt"}
"""Names of zones with several meanings, beside which another name tells the meaning."""
_NONE = pa.scalar(None, pa.string())

Fields = dict[str, Any]  # the cells of each part of a layout, as Arrow arrays


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
                readings.append(Reading(name, _stamps(dates, cells), option))
        return readings
    first = Reading("", _stamps(fields, cells))
    if np.sum(first.stamps.isna()) > FEW and {"y", "m", "d"} <= fields.keys():
        turned = fields | {"m": fields["d"], "d": fields["m"]}
        return [first, Reading("year, day and month", _stamps(turned, cells))]
    return [first]


def _numbers(fields: Fields, name: str, default: int = 0) -> Int[np.ndarray, "n"]:
    if name not in fields:
        return np.full(len(next(iter(fields.values()))), default)
    whole = pc.fill_null(fields[name], str(default)).cast(pa.int64())
    return whole.to_numpy(zero_copy_only=False)


def _present(fields: Fields, name: str) -> Bool[np.ndarray, "n"]:
    return np.asarray(pc.is_valid(fields[name]))


def _stamps(fields: Fields, cells: list[str]) -> pd.DatetimeIndex:
    """Time stamps of the parts of a layout, NaT where they are none."""
    year, month, day = (_numbers(fields, name, 1) for name in ("y", "m", "d"))
    good = np.logical_or.reduce([np.asarray(pc.is_valid(part)) for part in fields.values()])
    if "name" in fields:
        place = pc.index_in(fields["name"], pa.array(list(MONTHS))).fill_null(-1)
        month = np.array([*MONTHS.values(), 0])[np.asarray(place)]
    if "q" in fields:
        month = 3 * _numbers(fields, "q") - 2
    if "short" in fields:
        year = _numbers(fields, "short")
        good &= not _are_days(year, month)
    if "next" in fields:  # years such as 2019/20
        good &= (_numbers(fields, "next") - year - 1) % 100 == 0
    year = with_century(year, good)
    days, known = _days(fields, year, month, _numbers(fields, "j", 1) if "j" in fields else day)
    moments, clock = days.astype("datetime64[ns]"), np.ones(len(days), bool)
    if "h" in fields:
        since, clock = _clock(fields)
        moments = moments + since
    moments[~(good & known & clock)] = np.datetime64("NaT")
    return _with_zone(moments, fields, cells) if "h" in fields else pd.DatetimeIndex(moments)


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


def _days(fields: Fields, year: Any, month: Any, day: Any) -> tuple[np.ndarray, np.ndarray]:
    """The days, and whether they exist."""
    good = (year >= EARLIEST) & (year <= LATEST) & (month >= 1) & (month <= 12) & (day >= 1)
    months = np.where(good, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    period = "datetime64[Y]" if "j" in fields else "datetime64[M]"
    good &= days.astype(period) == months.astype(period)
    if "week" in fields:
        week, weekday = _numbers(fields, "week", 1), _numbers(fields, "weekday", 1)
        fourth = days + 3  # the first week has the 4th of January
        days = fourth - (fourth.astype(np.int64) + 3) % 7 + 7 * (week - 1)
        good &= (week >= 1) & ((days + 3).astype("datetime64[Y]") == months.astype("datetime64[Y]"))
        days = days + weekday - 1
    return days, good


def _clock(fields: Fields) -> tuple[np.ndarray, np.ndarray]:
    """The time of day, and whether it exists."""
    hour, minute, second = (_numbers(fields, name) for name in ("h", "min", "s"))
    half = _present(fields, "half")
    known = ~half | ((hour >= 1) & (hour <= 12))
    afternoon = np.asarray(pc.fill_null(pc.equal(fields["half"], "p"), False))
    hour = np.where(half, hour % 12 + 12 * afternoon, hour)
    seconds = hour * 3600 + minute * 60 + second
    known &= (minute < 60) & (second < 61) & (seconds <= 86_400)
    known &= ~_present(fields, "sign") | _present(fields, "min")
    fine = pc.utf8_rpad(pc.fill_null(fields["f"], "0"), 9, "0").cast(pa.int64())
    return (seconds * NANOSECONDS["s"] + np.asarray(fine)).astype("timedelta64[ns]"), known


def _with_zone(moments: np.ndarray, fields: Fields, cells: list[str]) -> pd.DatetimeIndex:
    zones = fields["zone"]
    zoned = (_present(fields, "zone") | _present(fields, "sign")) & ~np.isnat(moments)
    if not zoned.any():
        return pd.DatetimeIndex(moments)
    if not (zoned | np.isnat(moments)).all():
        local = int(np.argmin(zoned | np.isnat(moments)))
        raise mixed_zones(cells[int(np.argmax(zoned))], cells[local])
    place = np.asarray(pc.index_in(zones, pa.array(list(_ZONES))).fill_null(-1))
    names = set(pc.unique(zones).to_pylist())
    vague = [zone for zone, other in _COMPANIONS.items() if other not in names]
    unknown = _present(fields, "zone") & (
        (place < 0) | np.asarray(pc.is_in(zones, pa.array(vague)))
    )
    unknown &= zoned
    if unknown.any():
        raise DataError(
            f"The time zone of {cells[int(np.argmax(unknown))]!r} is unknown or has several "
            "meanings. Write the offset from UTC, as in 2024-01-31 13:00+02:00."
        )
    sign = np.where(np.asarray(pc.fill_null(pc.equal(fields["sign"], "+"), True)), 1, -1)
    minutes = sign * (60 * _numbers(fields, "zh") + _numbers(fields, "zm"))
    minutes = minutes + 60 * np.array([*_ZONES.values(), 0])[place]
    offsets = np.unique(minutes[zoned])
    lengths = (-minutes - 60 * _numbers(fields, "h") - _numbers(fields, "min"))[zoned] % 1440
    if np.abs(offsets).max() > 14 * 60 or (len(offsets) > 1 and np.ptp(lengths) == 0):
        raise DataError(
            f"{cells[int(np.argmax(zoned))]!r} looks like an interval, as the others do. Keep its "
            "beginning or its end."
        )
    stamps = pd.DatetimeIndex(moments - minutes.astype("timedelta64[m]"), tz="UTC")
    if len(offsets) > 1 or offsets[0] == 0:
        return stamps
    from datetime import timedelta, timezone

    return stamps.tz_convert(timezone(timedelta(minutes=int(offsets[0]))))


def mixed_zones(zoned: Any, local: Any) -> DataError:
    """The error for times of which one has a time zone and another one has none."""
    return DataError(f"{str(zoned)!r} has a time zone, and {str(local)!r} has none. Give all one.")


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
