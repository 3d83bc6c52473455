"""Infers the frequency of time stamps."""

import numpy as np
import pandas as pd

from lagllama_jax.errors import DataError
from lagllama_jax.series.aliases import NANOSECONDS, fixed_step
from lagllama_jax.series.frequency import Frequency, absolute_clock, local_clock, stamp_day
from lagllama_jax.typing import Bool, Int

DAY = NANOSECONDS["D"]
HOUR = NANOSECONDS["h"]


def infer(stamps: pd.DatetimeIndex, series: Int[np.ndarray, "n"] | None = None) -> Frequency:
    """Infers the frequency of time stamps, ascending within each series, which may have gaps.

    Raises:
      DataError: If no series has two time stamps.
    """
    series = np.zeros(len(stamps), np.int64) if series is None else series
    within = series[1:] == series[:-1]
    if not within.any():
        raise DataError(
            "No frequency can be inferred from one time stamp per series: give it, as in freq='h'."
        )
    local = local_clock(stamps)
    steps = np.diff(_nanoseconds(local))[within]
    if (steps % DAY == 0).all():
        return _infer_days(local.astype("datetime64[D]"), within)
    if stamps.tz is not None:
        steps = np.diff(_nanoseconds(absolute_clock(stamps)))[within]
    if steps.min() > DAY // 2 and _is_daily(steps):
        # Two hours later, days do not begin between the two clocks.
        return _infer_days((local + np.timedelta64(2, "h")).astype("datetime64[D]"), within)
    return Frequency(*fixed_step(_fine_step(steps)))


def _is_daily(steps: Int[np.ndarray, "n"]) -> bool:
    """Whether steps are whole days but for the hour of a change of clocks, twice a year."""
    apart = np.abs(steps - np.round(steps / DAY) * DAY)
    changes = (apart > 0).sum()
    whole = np.isin(apart, (0, HOUR)).all()
    return bool(whole and changes <= 1 + steps.sum() / (90 * DAY))


def _infer_days(days: np.ndarray, within: Bool[np.ndarray, "n-1"]) -> Frequency:
    steps = np.diff(days.astype(np.int64))[within]
    monthly = infer_months(days, within) if steps.min() >= 28 else None
    if monthly is not None:
        return monthly
    common = common_step(steps)
    weekdays = (days.astype(np.int64) + 3) % 7
    if common % 7 == 0:
        same = bool((weekdays == weekdays[0]).all())
        return Frequency("W", common // 7, int(weekdays[0]) if same else 6)
    business = np.diff(np.busday_count("1970-01-01", days))[within]
    step = common_step(business)
    # Steps of business days are longer across a weekend. Regular steps are steps of days.
    across = weekdays.max() < 5 and np.ptp(steps) > 0 and (business < steps).any()
    if across and (business == step).mean() > 0.5:
        return Frequency("B", step)
    if common == 1 and weekdays.max() < 5 and (steps == 3).any():
        return Frequency("B")
    return Frequency("D", common)


def infer_months(days: np.ndarray, within: Bool[np.ndarray, "n-1"]) -> Frequency | None:
    """The frequency in months, quarters or years. `None` if the day of the month varies."""
    months = days.astype("datetime64[M]")
    rule = Frequency("M").stamped_like(days).stamp
    day_of_month = days - months.astype("datetime64[D]")
    if (stamp_day(months, rule) != days).any() and (day_of_month != day_of_month[0]).any():
        return None
    step = common_step(np.diff(months.astype(np.int64))[within])
    # A period ends in the month of its end stamp, or in the month before its start stamp.
    ends = int(months[0].astype(np.int64)) - ("start" in rule)
    if step % 12 == 0:
        return Frequency("Y", step // 12, ends % 12, rule)
    return Frequency("Q", 1, ends % 3, rule) if step == 3 else Frequency("M", step, 0, rule)


def common_step(steps: Int[np.ndarray, "n"]) -> int:
    """The greatest common divisor of the steps, or the usual step if few of many equal it."""
    if len(steps) and steps.min() == steps.max() > 0:  # which is told fast
        return int(steps[0])
    values, counts = np.unique(steps[steps > 0], return_counts=True)
    if len(values) == 0:
        return 1
    divisor, usual = int(np.gcd.reduce(values)), int(values[np.argmax(counts)])
    few = counts.sum() < 10 and usual <= 4 * divisor
    frequent = counts[values == divisor].sum() >= 0.2 * counts.sum()
    return divisor if few or frequent else usual


def _fine_step(steps: Int[np.ndarray, "n"]) -> int:
    """The common step in nanoseconds, or the mean step if fractions differ in the last digit."""
    even = (
        steps.min() > 0
        and np.ptp(steps) in (1, 1000, 1_000_000)
        and steps.min() > 5 * np.ptp(steps)
    )
    return round(float(steps.mean())) if even else common_step(steps)


def _nanoseconds(moments: np.ndarray) -> Int[np.ndarray, "n"]:
    return moments.astype("datetime64[ns]").astype(np.int64)
