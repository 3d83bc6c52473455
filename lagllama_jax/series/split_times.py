"""Joins times that are written in several columns, such as date and hour, or year and month."""

import re
from typing import Any

import pandas as pd

from lagllama_jax.series.columns import TIMESTAMP_NAMES, is_time
from lagllama_jax.series.tables import Table
from lagllama_jax.series.time_layouts import MONTHS

_PARTS = {
    word: part
    for part, words in {
        "year": "year yr jahr",
        "quarter": "quarter qtr quartal",
        "month": "month mo monat",
        "week": "week wk isoweek weeknumber kw woche",
        "day": "day dy tag",
        "yearday": "doy dayofyear yday yearday",
        "hour": "hour hr hh he hourending stunde",
        "minute": "minute",
        "second": "second",
        "date": "date datum daydate settlementdate yyyymmdd deliverydate",
        "clock": "time uhrzeit clock",
        "period": "period settlementperiod",
    }.items()
    for word in words.split()
}
_CLOCK = r"\d{1,2}(?:[:.]\d\d){1,2}(?:[.,]\d+)?(?:\s*[AaPp]\.?[Mm]\.?)?"
_YEARLY = {"quarter": "{}Q{}", "week": "{}-W{:0>2}", "yearday": "{}-{:0>3}", "period": "{}{}"}
"""How a year and a part of it are written."""


def join_times(table: Table) -> Table:
    """Replaces columns of the parts of times by one column `timestamp` of text.

    These are year and month, with or without smaller units, a year and a quarter, a week or a day
    of the year, or a date and a time of day, an hour or the number of a half hour. A table with
    time stamps in one column is unchanged.
    """
    frame = table.frame
    parts = {part: name for name in frame if (part := _part(name)) is not None}
    if any(str(name).lower() in TIMESTAMP_NAMES for name in frame):
        return table
    used = _used(frame, parts)
    if used is None:
        return table
    columns = [_text(frame[parts[part]], part) for part in used]
    if used[0] == "date":
        text = columns[0] + " " + columns[1]
    elif used[1] in _YEARLY:
        write = _YEARLY[used[1]].format
        text = pd.Series(list(map(write, *columns)), frame.index, dtype=object)
    else:
        text = _joined(columns)
    names = [parts[part] for part in used]
    return table.with_frame(frame.drop(columns=names).assign(timestamp=text))


def _part(name: Any) -> str | None:
    return _PARTS.get(re.sub(r"[\W_]", "", str(name)).lower())


def _used(frame: pd.DataFrame, parts: dict[str, Any]) -> list[str] | None:
    """The parts that make the times, of which the first is the date or the year, or `None`."""
    clocks = [part for part in ("clock", "hour", "period") if part in parts]
    if "date" in parts:
        fits = clocks and _is_clock(frame[parts[clocks[0]]]) and _is_date(frame[parts["date"]])
        if clocks == ["period"]:
            fits = fits and 46 <= pd.to_numeric(frame[parts["period"]], errors="coerce").max() <= 50
        return ["date", clocks[0]] if fits else None
    if "year" not in parts or any(is_time(dtype) for dtype in frame.dtypes):
        return None
    if "month" in parts:
        units = ["year", "month", *(unit for unit in ("day", "hour", "minute", "second"))]
        return [unit for unit in units if unit in parts]
    within = [part for part in _YEARLY if part in parts and _is_yearly(frame[parts[part]], part)]
    return ["year", within[0]] if len(within) == 1 else None


def _is_date(cells: pd.Series) -> bool:
    """Whether the cells have no time of day."""
    if is_time(cells.dtype):
        return bool((cells == cells.dt.normalize()).all())
    return not _dates(cells).str.contains(r":|\s\d").any()


def _is_clock(cells: pd.Series) -> bool:
    texts = _digits(cells)
    return len(texts) > 0 and bool(texts.str.fullmatch(rf"{_CLOCK}|\d{{1,6}}").all())


def _is_yearly(cells: pd.Series, part: str) -> bool:
    pattern = r"[MQ]\d{1,2}" if part == "period" else r"(?:Q|W|KW)?\s?\d{1,3}"
    return bool(_digits(cells).str.fullmatch(pattern).all())


def _dates(cells: pd.Series) -> pd.Series:
    """The cells as text, without the midnight that spreadsheets write after dates."""
    return _digits(cells).str.replace(r"[ T]00:00(:00)?$", "", regex=True)


def _digits(cells: pd.Series) -> pd.Series:
    texts = cells.astype(object).where(cells.notna(), "?").map(str)
    return texts.str.strip().str.replace(r"\.0$", "", regex=True)


def _text(cells: pd.Series, part: str) -> pd.Series:
    """The cells of a part as text."""
    if part == "date":
        return cells.dt.strftime("%Y-%m-%d") if is_time(cells.dtype) else _dates(cells)
    texts = _digits(cells)
    if part == "month":
        words = texts.str.lower().str.rstrip(".")
        return words.map(MONTHS).astype(object).where(words.isin([*MONTHS]), texts).map(str)
    if part in ("quarter", "week"):
        return texts.str.extract(r"(\d+)$")[0]
    whole = texts.str.fullmatch(r"\d+").all()
    numbers = pd.to_numeric(texts) if whole else None
    if part == "period" and numbers is not None and 24 < numbers.max() <= 50:
        return (numbers - 1).map(lambda half: f"{half // 2:02}:{30 * (half % 2):02}")
    if part in ("clock", "hour", "period") and numbers is not None:
        width = 2 if numbers.max() <= 24 else 4 if numbers.max() <= 2400 else 6
        return texts.str.zfill(width) + (":00" if width == 2 else "")
    return texts


def _joined(columns: list[pd.Series]) -> pd.Series:
    """ISO 8601 text of the columns from years to seconds."""
    text = columns[0]
    for column, before in zip(columns[1:], ("-", "-", " ", ":", ":"), strict=False):
        text = text + before + column.str.removesuffix(":00").str.zfill(2)
    return text + ":00" if len(columns) == 4 else text
