"""Calendar features of time grids, in integer arithmetic that runs on NumPy and under `jit`.

A `Calendar` is the time grid of a series. `wall_clock` returns the day and the second of its points
on the local clock, and `calendar_features` returns the six calendar features of a token. Training
and forecasting both call these two functions.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lagllama_jax.typing import Float, Int

UNKNOWN, SECOND, BUSINESS_DAY, WEEK, MONTH, SUBSECOND = -1, 0, 1, 2, 3, 4
SECONDS_A_DAY = 86_400
NEUTRAL_DAY = -(2**31)
"""The day number that stands for an unknown date. Its calendar features are all 0."""


class Zones(NamedTuple):
    """The clock changes of time zones, one row per zone. Row 0 stands for no time zone.

    Attributes:
      day: Day of each change in days since 1970-01-01 (UTC), ascending. The first change lies
        before all representable dates, and unused columns at the end lie after all of them. The
        number of columns is a power of two.
      second: Second of that day at which the clock changes.
      ahead: Seconds by which the local clock is ahead of UTC from that change on.
    """

    day: Int[Any, "Z K"]
    second: Int[Any, "Z K"]
    ahead: Int[Any, "Z K"]

    @classmethod
    def none(cls) -> "Zones":
        """The table for series without a time zone."""
        return cls(*np.array([[[NEUTRAL_DAY]], [[0]], [[0]]], np.int32))


class Calendar(NamedTuple):
    """A regular time grid. Each field is an integer, or an int32 array with one entry per series.

    Attributes:
      unit: `SECOND` (also minutes, hours and days), `BUSINESS_DAY`, `WEEK`, `MONTH` (also quarters
        and years), `SUBSECOND`, or `UNKNOWN` (all calendar features are 0).
      step: Number of units between two points. For `SUBSECOND`, it is the number of seconds that
        `anchor` points span.
      day: Day of the first point, in days since 1970-01-01.
      second: Second of that day at the first point.
      anchor: For `WEEK`, the weekday (Monday is 0) on which a week ends. For `MONTH`, the month
        (January is 0), modulo `step`, in which a period ends, such as 11 for years and 2 for
        quarters that end in December. For `SUBSECOND`, see `step`.
      zone: Row of `Zones` that converts the grid from UTC to the local clock. It is 0 for a grid
        that is on the local clock already.
    """

    unit: Any
    step: Any
    day: Any
    second: Any
    anchor: Any
    zone: Any = 0

    @classmethod
    def unknown(cls) -> "Calendar":
        """The grid of a series without dates. Its calendar features are 0, mid-range."""
        return cls(UNKNOWN, 1, 0, 0, 0)

    def column(self) -> "Calendar":
        """Adds an axis to each field, to broadcast against one row of points per series."""
        return Calendar(*(field[:, None] for field in self))


def _module(*arrays: Any) -> Any:
    return jnp if any(isinstance(a, jax.Array) for a in arrays) else np


def civil_from_days(day: Int[Any, "*n"]) -> tuple[Int[Any, "*n"], Int[Any, "*n"], Any]:
    """Converts days since 1970-01-01 to year, month and day in the proleptic Gregorian calendar.

    Years begin in March here: the month is 0 for March and 11 for February. The day of the month
    counts from 0.
    """
    era_day = day + 719_468
    era = era_day // 146_097
    of_era = era_day - era * 146_097
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    return year + era * 400, month, of_year - (153 * month + 2) // 5


def days_from_month(months: Int[Any, "*n"]) -> Int[Any, "*n"]:
    """Days from 1970-01-01 to the first day of a month, given in months since January of year 0."""
    shifted = months - 2
    year, month = shifted // 12, shifted % 12
    era = year // 400
    of_era = year - era * 400
    days = of_era * 365 + of_era // 4 - of_era // 100 + (153 * month + 2) // 5
    return era * 146_097 + days - 719_468


def month_of_day(day: Int[Any, "*n"]) -> Int[Any, "*n"]:
    """Months from January of year 0 to the month of a day, given in days since 1970-01-01."""
    year, month, _ = civil_from_days(day)
    return year * 12 + month + 2


def wall_clock(
    calendar: Calendar, index: Int[Any, "*n"], zones: Zones | None = None
) -> tuple[Any, Any]:
    """Day and second of the day, on the local clock, of the points `index` of a grid.

    For weeks, months, quarters and years, this is second 0 of the last day of the period, as in
    the reference implementation. Unknown grids give `NEUTRAL_DAY`.

    Args:
      calendar: The grid, or one grid per element of `index`.
      index: Numbers of the points. Negative numbers lie before the first point.
      zones: The table that `calendar.zone` refers to. `None`: the clock of the grid itself, which
        is UTC for a grid with a zone.

    Returns:
      The days since 1970-01-01, and the seconds since midnight.
    """
    xp = _module(index, *calendar)
    unit, step, day, second, anchor, zone = (xp.asarray(field) for field in calendar)
    result_day, result_second = _fixed_step(xp, unit, step, day, second, anchor, index)
    result_second = xp.where((unit == WEEK) | (unit == MONTH), 0, result_second)
    ends: dict[int, Callable[[], Any]] = {
        BUSINESS_DAY: lambda: _business_day(day, step * index),
        WEEK: lambda: day + 7 * step * index + (anchor - (day + 3)) % 7,
        MONTH: lambda: _month_end(day, step, anchor, index),
    }
    for kind, last_day in ends.items():
        if xp is jnp or np.any(unit == kind):
            result_day = xp.where(unit == kind, last_day(), result_day)
    if zones is not None and zones.day.shape[1] > 1:
        result_day, result_second = _local(xp, zones, zone, result_day, result_second)
    return xp.where(unit == UNKNOWN, NEUTRAL_DAY, result_day), result_second


def _local(xp: Any, zones: Zones, zone: Any, day: Any, second: Any) -> tuple[Any, Any]:
    """Converts from UTC to the local clock, by bisection for the last change that is not later."""
    changes_day, changes_second, ahead = (xp.asarray(field) for field in zones)
    last, stride = xp.zeros_like(day), changes_day.shape[1] // 2
    while stride:
        later = changes_day[zone, last + stride], changes_second[zone, last + stride]
        reached = (day > later[0]) | ((day == later[0]) & (second >= later[1]))
        last = xp.where(reached, last + stride, last)
        stride //= 2
    local = second + ahead[zone, last]
    return day + local // SECONDS_A_DAY, local % SECONDS_A_DAY


def _fixed_step(
    xp: Any, unit: Any, step: Any, day: Any, second: Any, anchor: Any, index: Any
) -> tuple[Any, Any]:
    """Day and second of points at a fixed step.

    Whole days are split off before the multiplication, because int32 seconds overflow after 68
    years.
    """
    per_step = xp.where(unit == SECOND, step, 1)
    points = xp.maximum(anchor, 1)
    below = index // points * step + index % points * step // points
    steps = xp.where(unit == SECOND, index, xp.where(unit == SUBSECOND, below, 0))
    turns = SECONDS_A_DAY // xp.gcd(per_step, xp.asarray(SECONDS_A_DAY, per_step.dtype))
    whole, rest = steps // turns, steps % turns
    whole_days, step_days = turns * (per_step // SECONDS_A_DAY), per_step % SECONDS_A_DAY
    days = whole * (whole_days + (turns * step_days) // SECONDS_A_DAY)
    days = days + rest * (per_step // SECONDS_A_DAY)
    seconds = second + (rest * step_days) % SECONDS_A_DAY
    days = day + days + (rest * step_days) // SECONDS_A_DAY
    return days + seconds // SECONDS_A_DAY, seconds % SECONDS_A_DAY


def _month_end(day: Any, step: Any, anchor: Any, index: Any) -> Any:
    first = month_of_day(day)
    last = first + (anchor - first) % step + step * index
    return days_from_month(last + 1) - 1


def _business_day(day: Any, steps: Any) -> Any:
    """The day that is `steps` business days after `day`. A weekend counts as the next Monday."""
    weekday = (day + 3) % 7
    weekend = weekday // 5
    monday = day - weekday + 7 * weekend
    offset = weekday * (1 - weekend) + steps
    return monday + 7 * (offset // 5) + offset % 5


def calendar_features(day: Int[Any, "*n"], second: Int[Any, "*n"]) -> Float[Any, "*n 6"]:
    """Six calendar features of each time step, each scaled to [-0.5, 0.5].

    These are second of the minute, minute of the hour, hour of the day, day of the week, day of
    the month and day of the year. As in the reference implementation, series of any frequency have
    the same six. Unknown dates (`NEUTRAL_DAY`) give zeros.

    Args:
      day: Days since 1970-01-01, as `wall_clock` returns them.
      second: Seconds since midnight.
    """
    xp = _module(day, second)
    known = xp.asarray(day) != NEUTRAL_DAY
    day = xp.where(known, day, 0)
    first = days_from_month(month_of_day(day))
    new_year = days_from_month(month_of_day(day) // 12 * 12)
    parts = (
        (second % 60) / 59,
        (second // 60 % 60) / 59,
        (second // 3600) / 23,
        ((day + 3) % 7) / 6,
        (day - first) / 30,
        (day - new_year) / 365,
    )
    features = xp.stack([xp.asarray(part, dtype=xp.float32) for part in parts], axis=-1) - 0.5
    return xp.where(known[..., None], features, 0).astype(xp.float32)
