"""Joins times that are written in several columns, such as date and hour, or year and month."""

from typing import Any

import pandas as pd

from lagllama_jax.series.columns import TIMESTAMP_NAMES, is_time
from lagllama_jax.series.tables import Table

_PARTS = {
    "year": "year", "yr": "year", "jahr": "year", "month": "month", "mo": "month", "monat": "month",
    "day": "day", "dy": "day", "tag": "day", "hour": "hour", "hr": "hour", "stunde": "hour",
    "minute": "minute", "second": "second", "date": "date", "datum": "date", "day_date": "date",
    "time": "clock", "uhrzeit": "clock", "clock": "clock",
}  # fmt: skip
_CLOCK = r"\d{1,2}(?:[:.]\d\d){1,2}(?:[.,]\d+)?(?:\s*[AaPp]\.?[Mm]\.?)?"


def join_times(table: Table) -> Table:
    """Replaces columns of the parts of times by one column `timestamp` of text.

    These are year and month, with or without smaller units, or a date and a time of day or an hour.
    A table with time stamps in one column is unchanged.
    """
    frame = table.frame
    parts = {_PARTS[str(name).strip().lower()]: name for name in frame if _is_part(name)}
    if any(str(name).lower() in TIMESTAMP_NAMES for name in frame):
        return table
    clock = next((parts[part] for part in ("clock", "hour") if part in parts), None)
    if "date" in parts and clock is not None and _is_clock(frame[clock]):
        if not _is_date(frame[parts["date"]]):
            return table
        day, used = _day(frame[parts["date"]]), [parts["date"], clock]
        text = day + " " + _clock(frame[clock])
    elif {"year", "month"} <= parts.keys() and "date" not in parts and not _dated(frame):
        units = ["year", "month", *(unit for unit in ("day", "hour", "minute", "second"))]
        used = [parts[unit] for unit in units if unit in parts]
        text = _joined([_digits(frame[name]) for name in used])
    else:
        return table
    return table.with_frame(frame.drop(columns=used).assign(timestamp=text))


def _is_part(name: Any) -> bool:
    return str(name).strip().lower() in _PARTS


def _dated(frame: pd.DataFrame) -> bool:
    return any(is_time(dtype) for dtype in frame.dtypes)


def _is_date(cells: pd.Series) -> bool:
    """Whether the cells have no time of day."""
    if is_time(cells.dtype):
        return bool((cells == cells.dt.normalize()).all())
    return not cells.dropna().astype(str).str.contains(r":|\s\d").any()


def _day(cells: pd.Series) -> pd.Series:
    return cells.dt.strftime("%Y-%m-%d") if is_time(cells.dtype) else cells.astype(object)


def _is_clock(cells: pd.Series) -> bool:
    texts = cells.dropna().astype(str).str.strip()
    return len(texts) > 0 and bool(texts.str.fullmatch(rf"{_CLOCK}|\d{{1,2}}(?:\.0)?").all())


def _clock(cells: pd.Series) -> pd.Series:
    """Times of day as text. Whole numbers are hours."""
    texts = cells.astype(object).map(str).str.strip()
    hours = texts.str.fullmatch(r"\d{1,2}(\.0)?")
    return texts.where(~hours, texts.str.replace(r"\.0$", "", regex=True) + ":00")


def _digits(cells: pd.Series) -> pd.Series:
    texts = cells.astype(object).where(cells.notna(), "?").map(str)
    return texts.str.strip().str.replace(r"\.0$", "", regex=True)


def _joined(columns: list[pd.Series]) -> pd.Series:
    """ISO 8601 text of the columns from years to seconds."""
    text = columns[0]
    for column, before in zip(columns[1:], ("-", "-", " ", ":", ":"), strict=False):
        text = text + before + column.str.zfill(2)
    return text + ":00" if len(columns) == 4 else text
