"""Turns tables with one column per time, or per month or hour, to long tables."""

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.errors import DataError, listed
from lagllama_jax.series.columns import ITEM_NAMES, holds_dates, is_text, is_time
from lagllama_jax.series.header import is_value
from lagllama_jax.series.tables import Table
from lagllama_jax.series.time_layouts import MONTHS
from lagllama_jax.series.time_text import as_times

FEWEST = 3  # smallest number of columns that are times
_DAYS = re.compile(r"(?i)year|jahr|date|day|datum|tag")
_NUMBERED = re.compile(r"(?i)(h|hr|hour|he|q|)[\s_]?(\d{1,2})(:00|)")
_MONTHS, _QUARTERS = list(range(1, 13)), [1, 2, 3, 4]
_HOURS = (list(range(24)), list(range(1, 25)))


def turned(table: Table) -> Table:
    """A long table, if most columns of a table are named by times; otherwise the same table.

    The first text column with different cells names the series. Other columns are left out. All
    months, quarters or hours beside a column of years or days are times, too.

    Raises:
      DataError: If no column names the series.
    """
    frame = table.frame
    texts = as_times([str(name) for name in frame])
    given = [name if isinstance(name, pd.Timestamp | pd.Period) else None for name in frame]
    named = {
        name: time if time is not None else text
        for name, time, text in zip(frame, given, texts, strict=True)
        if time is not None or text is not None
    }
    others = [name for name in frame if name not in named]
    if len(named) < FEWEST or len(others) > len(named) or any(_is_date(frame[n]) for n in others):
        return _unrolled(table)
    return _melted(table, named, _labels(table, others, list(named)))


def _is_date(cells: pd.Series) -> bool:
    named = bool(_DAYS.fullmatch(str(cells.name))) and not is_text(cells)
    return is_time(cells.dtype) or holds_dates(cells) or named


def _holds_names(cells: pd.Series) -> bool:
    return is_text(cells) and not cells.dropna().iloc[:1].astype(str).map(is_value).any()


def _labels(table: Table, others: list[Any], times: list[Any]) -> pd.Series:
    """The name of the series of each row: a column with different cells, or all columns of text."""
    frame = table.frame
    if not others and len(frame) == 1:
        return pd.Series(["target"])
    usual = [name for name in others if str(name).lower() in (*ITEM_NAMES, "id")]
    texts = [name for name in others if _holds_names(frame[name])]
    unique = [one for one in (*usual, *texts) if frame[one].is_unique and frame[one].notna().all()]
    used = unique[:1] or texts
    filled = frame[used].astype(object).where(frame[used].notna(), "")
    joined = filled.apply(lambda row: "/".join(cell for cell in map(str, row) if cell), axis=1)
    if not used or not joined.is_unique:
        raise DataError(
            f"The columns of {table.name} are times ({listed(times[:3])}, ...), and none of the "
            "others has a different name in each row. Add a column item_id with their names."
        )
    unused = [name for name in others if name not in used and name not in texts]
    if unused:
        warnings.warn(f"{table.name}: the columns {listed(unused)} are left out.", stacklevel=2)
    return frame[used[0]] if len(used) == 1 else joined


def _melted(table: Table, times: dict[Any, Any], label: Any, day: Any = None) -> Table:
    """The long table.

    Args:
      table: The table.
      times: The time of each column of values.
      label: Name of the series of each row. `None`: there is one series.
      day: Text before the time of each row. `None`: none.
    """
    values = table.frame[list(times)].set_axis(list(times.values()), axis=1)
    long = values.reset_index(drop=True).melt(var_name="timestamp", value_name="target")
    rows = np.tile(np.arange(len(values)), len(times))
    if day is not None:
        long["timestamp"] = day.to_numpy()[rows] + long["timestamp"]
    if label is not None:
        long.insert(0, "item_id", label.to_numpy()[rows])
        long = long.sort_values("item_id", kind="stable")
    return table.with_frame(long.reset_index(drop=True), rows[long.index])


def _unrolled(table: Table) -> Table:
    """A long table, if columns are all months or quarters of years, or all hours of days."""
    frame = table.frame
    parts = {name: part for name in frame if (part := _part(str(name))) is not None}
    dates = [name for name in frame if _DAYS.fullmatch(str(name))]
    found, hourly = sorted(number for _, number in parts.values()), len(parts) == 24
    whole = found in (_QUARTERS, _MONTHS, *_HOURS)
    if len(dates) != 1 or not whole or len({kind for kind, _ in parts.values()}) > 1:
        return table
    day = frame[dates[0]].astype(object).map(str).str.replace(r"\.0$|\s00:00.*", "", regex=True)
    if day.str.fullmatch(r"\d{4}").all() == hourly:
        return table
    texts = [name for name in frame if name not in (*parts, *dates) and _holds_names(frame[name])]
    unused = [name for name in frame if name not in (*parts, *dates, *texts[:1])]
    what = f"parts of the {'days' if hourly else 'years'} in {dates[0]!r}"
    warnings.warn(
        f"{table.name}: the columns {listed(parts)} were read as {what}"
        + (f", and {listed(unused)} left out" if unused else "")
        + ". If they are series, give them other names.",
        stacklevel=2,
    )
    write = " {:02}:00" if hourly else "Q{}" if len(parts) == 4 else "-{:02}"
    times = {name: write.format(number) for name, (_, number) in parts.items()}
    return _melted(table, times, frame[texts[0]] if texts else None, day)


def _part(name: str) -> tuple[str, int] | None:
    """The month, quarter or hour that names a column: how it is written, and which it is."""
    word = name.strip().lower().rstrip(".")
    if word in MONTHS:
        return "month", MONTHS[word]
    numbered = _NUMBERED.fullmatch(word)
    return numbered and (numbered[1] or numbered[3], int(numbered[2]))
