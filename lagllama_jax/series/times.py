"""Reads a column of times, under the one reading by which the rows lie on a regular grid."""

import contextlib
import re
import warnings
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lagllama_jax.errors import DataError, converting, naming
from lagllama_jax.series.columns import is_time
from lagllama_jax.series.frequency import Frequency
from lagllama_jax.series.tables import Table, quoted, series_name
from lagllama_jax.series.time_choice import choose, tell_numbers
from lagllama_jax.series.time_numbers import read_codes
from lagllama_jax.series.time_reading import DAY_FIRST, MONTH_FIRST, Reading, written
from lagllama_jax.series.time_text import has_clock_only, read_texts
from lagllama_jax.series.time_zones import mixed_zones, same_time_of_day, tell_local_days
from lagllama_jax.typing import Int

_NUMBER = r"-?\d+(\.\d*)?([eE]\+?\d+)?"
_WEEKLY = re.compile(r"(?i)week|woche|(?<![a-z])(kw|wk)(?![a-z])")
"""Names of columns in which `2024-05` is a week."""
_ISO = r"^\d{4}-\d\d-\d\d([T ]\d\d:|$)|^\d{8}T\d"


@dataclass(frozen=True)
class TimeOptions:
    """How a column of times is read.

    Attributes:
      freq: Step between the times. `None`: inferred.
      dayfirst: Whether `01/02/2024` is the 1st of February. `None`: as gives a regular grid.
      date_format: Format of the times as in `datetime.strptime`. `None`: any usual one.
    """

    freq: Frequency | None = None
    dayfirst: bool | None = None
    date_format: str | None = None


def read_times(
    table: Table,
    column: Any,
    codes: Int[np.ndarray, "n"],
    options: TimeOptions,
    series: np.ndarray | None = None,
) -> Reading | None:
    """Reads a column as time stamps, with their time zone if they have one.

    Text and numbers are read in any usual way. If several are possible, the one under which the
    rows lie on a regular grid is taken, with a warning.

    Args:
      table: The table.
      column: Name of the column.
      codes: Number of the series of each row.
      options: How the column is read.
      series: Name of the series of each row, for error messages.

    Returns:
      The reading, or `None` if the column holds numbers or durations that are no dates.

    Raises:
      DataError: If a cell is no time stamp, or if several readings, or none of them, give a regular
        grid. The message names column and row, and the series if `series` is given.
    """
    cells = table.frame[column]
    if is_time(cells.dtype):
        reading = Reading("", _as_stamps(cells))
    else:
        rows, unique = pd.factorize(cells)
        place = f"Column {str(column)!r} of {table.name}"
        with naming(place):
            weekly = _WEEKLY.search(str(column)) is not None
            distinct = _readings(pd.Series(np.asarray(unique, dtype=object)), options, weekly)
        if not distinct:
            tell_numbers(unique, place)
            return None
        missing: Any = pd.NaT  # for the row -1
        stamps = [one.stamps.take(rows, fill_value=missing) for one in distinct]
        readings = [one._replace(stamps=of) for one, of in zip(distinct, stamps, strict=True)]
        reading = choose(readings, codes, options.freq, place)
    bad = np.asarray(reading.stamps.isna())
    if bad.any():
        row = int(np.argmax(bad))
        where = "" if series is None else series_name(series, row)
        raise DataError(
            f"{where}column {str(column)!r}, {table.row(row)}: "
            + _fault(cells.iloc[row], every=bool(bad.all()))
        )
    return reading


def _fault(cell: Any, every: bool) -> str:
    """What is wrong with a cell, and the remedy. `every`: no cell of the column is a time stamp."""
    if pd.isna(cell):
        return "the cell is empty. Fill in the time stamp, or delete the row."
    if not every and not re.search(r"\d", str(cell)):
        return (
            f"{quoted(cell)} is no time stamp. If the row is no time step, as a total or a note, "
            "delete it."
        )
    return (
        f"{quoted(cell)} is no time stamp. Write times as 2024-01-31 or 2024-01-31 13:00:00 (years "
        "1678 to 2261), or give their format, as in date_format='%d.%m.%Y %H:%M'."
    )


def _as_stamps(cells: pd.Series) -> pd.DatetimeIndex:
    if isinstance(cells.dtype, pd.PeriodDtype):
        cells = cells.dt.to_timestamp()
    if isinstance(cells.dtype, pd.ArrowDtype):
        cells = pd.to_datetime(cells.astype(object))
    return pd.DatetimeIndex(cells)


def read_numbering(table: Table, column: Any, frequency: Frequency | None) -> pd.Index:
    """Reads a column of numbers or durations that are no dates.

    Raises:
      DataError: If a cell is neither, or a frequency of dates is given.
    """
    cells = table.frame[column]
    if frequency is not None:
        raise DataError(
            f"Column {str(column)!r} of {table.name} holds numbers that are no dates, and freq="
            f"{str(frequency)!r} is a step of dates. Give freq=1, or convert them to dates."
        )
    if pd.api.types.is_timedelta64_dtype(cells.dtype):
        return pd.TimedeltaIndex(cells)
    numbers = pd.to_numeric(cells.astype(object), errors="coerce")
    if numbers.dtype == np.int64:
        return pd.Index(numbers)
    values = numbers.to_numpy(np.float64, na_value=np.nan)
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise DataError(
            f"Column {str(column)!r}, {table.row(row)}: {quoted(cells.iloc[row])} is no number."
        )
    whole = (values == np.floor(values)).all() and np.abs(values).max() < 2**53
    return pd.Index(values.astype(np.int64) if whole else values)


def _readings(cells: pd.Series, options: TimeOptions, weekly: bool) -> list[Reading]:
    """The readings of unique cells. None of them: the cells are numbers that are no dates."""
    kind = pd.api.types.infer_dtype(cells, skipna=True)
    if kind in ("timedelta", "timedelta64"):
        return []
    if kind in ("datetime", "datetime64", "date"):
        return [Reading("", _from_objects(cells))]
    if kind == "period":
        return [Reading("", pd.DatetimeIndex([cell.start_time for cell in cells]))]
    texts = cells if kind == "string" else cells.map(_as_text)
    if options.date_format is not None:
        return [_formatted(texts, options.date_format)]
    if texts.iloc[:1].str.fullmatch(_NUMBER).any() and texts.str.fullmatch(_NUMBER).all():
        plain = texts.str.replace(r"\.0*$", "", regex=True)
        return read_codes(plain.astype(np.float64).to_numpy(), plain.tolist(), weekly)
    readings = _from_text(texts, options, weekly)
    return readings or [Reading("", pd.DatetimeIndex([None] * len(texts)))]


def _as_text(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _from_objects(cells: pd.Series) -> pd.DatetimeIndex:
    zones = {cell: getattr(cell, "tzinfo", None) for cell in cells.dropna()}
    zoned = [cell for cell, zone in zones.items() if zone is not None]
    if zoned and len(zoned) < len(zones):
        local = next(cell for cell, zone in zones.items() if zone is None)
        raise mixed_zones(zoned[0], local)
    several = len(set(map(str, zones.values()))) > 1
    if several:
        clocks = cells.map(lambda cell: cell.replace(tzinfo=None), na_action="ignore")
        local = pd.DatetimeIndex(clocks)
        if same_time_of_day(local.dropna().to_numpy()):
            tell_local_days(zoned[0])
            return local
    return pd.DatetimeIndex(pd.to_datetime(cells, errors="coerce", utc=several))


def _by_pandas(texts: pd.Series, layout: str) -> pd.DatetimeIndex | None:
    """The time stamps. `None`: the format is wrong, or several offsets from UTC are written."""
    parsed = None
    # pandas warns of several offsets, and pandas 3 refuses them.
    with warnings.catch_warnings(), contextlib.suppress(ValueError):
        warnings.simplefilter("ignore")
        parsed = pd.to_datetime(texts, format=layout, errors="coerce")
    return None if parsed is None or parsed.dtype == object else pd.DatetimeIndex(parsed)


def _formatted(texts: pd.Series, layout: str) -> Reading:
    """The reading of a format that was given."""
    texts = texts.where(texts.str.contains(r"\d"))  # `now` would be the present for pandas
    stamps = _by_pandas(texts, layout)
    if stamps is None:
        with converting(DataError, f"The format {layout!r} is wrong", ValueError):
            known = pd.to_datetime(texts, format=layout, errors="coerce", utc=True).notna()
            cells = texts.where(known).map(
                lambda text: datetime.strptime(text, layout), na_action="ignore"
            )
        stamps = _from_objects(cells)
    without = stamps.tz is None and "%z" in layout
    return Reading("", stamps, layout="" if without else layout)


def _from_text(texts: pd.Series, options: TimeOptions, weekly: bool) -> list[Reading]:
    usual = pc.match_substring_regex(pa.array(texts, pa.string()), _ISO)
    if len(texts) and pc.all(usual).as_py():  # pandas reads it fast
        parsed = _by_pandas(texts, "ISO8601")
        if parsed is not None and not parsed.hasnans:
            return [written(Reading("", parsed), texts)]
    if texts.iloc[:1].map(has_clock_only).any():
        raise DataError(f"{texts.iloc[0]!r} is a time of day without a date. Add the date.")
    readings = read_texts([text.strip() for text in texts], weekly)
    if options.dayfirst is not None and len(readings) > 1:
        name = DAY_FIRST if options.dayfirst else MONTH_FIRST
        readings = [reading for reading in readings if reading.name == name]
    return [written(reading, texts) for reading in readings]
