"""Infers the regular time grid of time stamps, and places the rows of a table on it."""

import contextlib
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

from lagllama_jax.errors import DataError
from lagllama_jax.series.aliases import NANOSECONDS, fixed_step
from lagllama_jax.series.frequency import Frequency, local_clock, stamp_day
from lagllama_jax.typing import Bool, Int

DAY = NANOSECONDS["D"] // 1000  # in microseconds, in which time stamps are compared
HOUR = DAY // 24
FINEST = 2_000_000  # nanoseconds by which rounded fractions of a second differ from their grid
GAP = 30  # number of points that a series of few rows may have besides
SPARSE_POINTS, SPARSE_SHARE = 10_000_000, 50
"""A grid is refused if it exceeds both limits: the total number of points, and points per row."""

Describe = Callable[[int], str]  # describes a row by its series and its place in the table


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
    steps = np.diff(_number(local, "ns"))[within]
    if (steps % NANOSECONDS["D"] == 0).all():
        return _infer_days(local.astype("datetime64[D]"), within)
    if stamps.tz is not None:
        steps = np.diff(_number(_absolute(stamps), "ns"))[within]
    if steps.min() > NANOSECONDS["D"] // 2 and _is_daily(
        steps // 1000
    ):  # two hours later, days do not begin between the two clocks
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
    monthly = _infer_months(days, within) if steps.min() >= 28 else None
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


def _infer_months(days: np.ndarray, within: Bool[np.ndarray, "n-1"]) -> Frequency | None:
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


def place(
    frequency: Frequency,
    stamps: pd.DatetimeIndex,
    series: Int[np.ndarray, "n"],
    describe: Describe,
    inferred: bool = False,
) -> Int[np.ndarray, "n"]:
    """The number of steps from the first row of a series to each of its rows.

    Args:
      frequency: The step.
      stamps: Time stamps, ascending within each series.
      series: Number of the series of each time stamp.
      describe: Function that describes a row for an error message.
      inferred: Whether the frequency was inferred, for the error message.

    Raises:
      DataError: If a row is not on the grid, or the grid is much finer than the rows.
    """
    coordinate, off, unit = _coordinates(frequency, stamps)
    starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]])
    lengths = np.diff(np.r_[starts, len(series)])
    since = coordinate - np.repeat(coordinate[starts], lengths)
    off |= since % unit != 0
    position = since // unit
    if off.any() and frequency.nanoseconds is not None:
        rounded = _rounded(frequency, since, stamps, series, inferred)
        if rounded is not None:
            position, off = rounded, np.zeros(len(off), bool)
    repeated = _repeated(position, series) & ~off
    off |= repeated
    if off.any():
        row = int(np.flatnonzero(off)[0])
        what = "is in the same step as the row before it" if repeated[row] else "is off the grid"
        head = f"Frequency {frequency.alias!r} does not fit"
        if inferred:
            head = f"The time stamps have no common step (the usual one is {frequency.alias!r})"
        raise DataError(
            f"{head}: {describe(row)} {what}. Give the frequency of the data (freq), by which "
            "times near the grid are rounded to it; resample them to a regular grid; or number the "
            "rows, to forecast by position."
        )
    _check_density(frequency, position, starts, describe)
    _check_months(frequency, stamps, position, starts, describe)
    if inferred:
        _check_filled(frequency, position, starts, describe)
    return position


def _coordinates(
    frequency: Frequency, stamps: pd.DatetimeIndex
) -> tuple[Int[np.ndarray, "n"], Bool[np.ndarray, "n"], int]:
    """The coordinates of rows, whether they cannot be on the grid, and the coordinate of a step."""
    local = local_clock(stamps)
    fits = np.zeros(len(local), dtype=bool)
    if frequency.nanoseconds is not None:
        moments = _absolute(stamps) if frequency.within_day else local
        if frequency.nanoseconds % 1000 == 0:
            off = moments != moments.astype("datetime64[us]")
            return _number(moments), off, frequency.nanoseconds // 1000
        return _number(moments, "ns"), fits, frequency.nanoseconds
    if frequency.months is not None:
        return local.astype("datetime64[M]").astype(np.int64), fits, frequency.months
    days = local.astype("datetime64[D]")
    epoch = np.datetime64("1970-01-01", "D")
    return np.busday_count(epoch, days), ~np.is_busday(days), frequency.step


def _repeated(
    position: Int[np.ndarray, "n"], series: Int[np.ndarray, "n"]
) -> Bool[np.ndarray, "n"]:
    """Whether a row is in the same step as the row before it."""
    return np.r_[False, (np.diff(position) == 0) & (series[1:] == series[:-1])]


def _rounded(
    frequency: Frequency,
    since: Int[np.ndarray, "n"],
    stamps: pd.DatetimeIndex,
    series: Int[np.ndarray, "n"],
    inferred: bool,
) -> Int[np.ndarray, "n"] | None:
    """The nearest steps of rows that are near the grid, or their days. `None` if there are none.

    Times are rounded by at most a quarter of a given step. Inferred days are rounded by an hour, as
    days of a local calendar in UTC, and inferred fractions of a second by their last digit.
    """
    nanoseconds = frequency.nanoseconds or 1
    unit = nanoseconds // 1000 if nanoseconds % 1000 == 0 else nanoseconds
    most = unit // 4
    position = np.round(since / unit).astype(np.int64)
    apart = np.abs(since - position * unit)
    if inferred:
        clocks = frequency.unit in ("D", "W") and np.isin(apart, (0, HOUR)).all()
        most = most if clocks else FINEST if unit == nanoseconds else 0
    if not (apart.max() <= most and not _repeated(position, series).any()):
        if inferred or frequency.unit != "D":
            return None
        days = local_clock(stamps).astype("datetime64[D]").astype(np.int64)
        starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]])
        first = np.repeat(days[starts], np.diff(np.r_[starts, len(series)]))
        position = (days - first) // frequency.step
        if _repeated(position, series).any():
            return None
    if unit != nanoseconds or not inferred:
        length = pd.Timedelta(int(apart.max()), "ns" if unit == nanoseconds else "us")
        cause = ", as after a change of clocks" if inferred else ""
        warnings.warn(
            f"Time stamps were rounded to the grid of freq={frequency.alias!r} by up to "
            f"{length}{cause}.",
            stacklevel=2,
        )
    return position


def filled_share(
    stamps: pd.DatetimeIndex, series: Int[np.ndarray, "n"], frequency: Frequency | None = None
) -> float:
    """The share of the points of a regular grid that have rows, or 0 if there is no such grid.

    Args:
      stamps: Time stamp of each row, in any order.
      series: Number of the series of each row.
      frequency: The step. `None`: the one that the time stamps have.
    """
    order = np.lexsort((stamps.asi8, series))
    stamps, series = stamps[order], series[order]
    if ((np.diff(stamps.asi8) == 0) & (np.diff(series) == 0)).any():
        return 0.0
    with contextlib.suppress(DataError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step = infer(stamps, series) if frequency is None else frequency
        position = place(step.stamped_like(local_clock(stamps)), stamps, series, str, inferred=True)
        starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]])
        return len(stamps) / int(_extent(position, starts).sum())
    return 0.0


def _extent(position: Int[np.ndarray, "n"], starts: Int[np.ndarray, "k"]) -> Int[np.ndarray, "k"]:
    """The number of points of each series on its grid."""
    return position[np.r_[starts[1:], len(position)] - 1] + 1


def _check_density(
    frequency: Frequency,
    position: Int[np.ndarray, "n"],
    starts: Int[np.ndarray, "k"],
    describe: Describe,
) -> None:
    """Raises `DataError` if a frequency is much finer than the rows of a series."""
    extent, rows = _extent(position, starts), len(position)
    total, longest = int(extent.sum()), int(starts[np.argmax(extent)])
    if total > SPARSE_POINTS and total > SPARSE_SHARE * rows:
        raise DataError(
            f"{rows} rows would become {total:,} points at frequency {frequency.alias!r}; "
            f"{describe(longest)} begins the longest series. "
            "Give a coarser frequency (freq), or look for a wrong time stamp."
        )
    steps = np.diff(position, prepend=0)
    steps[starts] = 0
    divisors = np.gcd.reduceat(steps, starts)
    sparse = np.flatnonzero((divisors > 1) & (np.diff(starts, append=rows) > 8))
    if len(sparse):
        first = int(sparse[0])
        row = describe(int(starts[first]))
        raise _too_fine(frequency, row, f"at every {divisors[first]}th step")


def _check_months(
    frequency: Frequency,
    stamps: pd.DatetimeIndex,
    position: Int[np.ndarray, "n"],
    starts: Int[np.ndarray, "k"],
    describe: Describe,
) -> None:
    """Raises `DataError` if a frequency of days is given for a series of months or longer."""
    if frequency.unit not in ("D", "B"):
        return
    rows = np.diff(starts, append=len(position))
    sparse = np.flatnonzero((_extent(position, starts) > 15 * rows) & (rows > 8))
    for first, count in zip(starts[sparse].tolist(), rows[sparse].tolist(), strict=True):
        days = local_clock(stamps[first : first + count]).astype("datetime64[D]")
        found = _infer_months(days, np.ones(count - 1, bool))
        if found is not None:
            raise _too_fine(frequency, describe(first), f"in steps of {found.alias!r}")


def _too_fine(frequency: Frequency, row: str, steps: str) -> DataError:
    return DataError(
        f"Frequency {frequency.alias!r} does not fit: {row} begins a series that has a value "
        f"{steps} only. Give the frequency of the data (freq), and forecast series of other "
        "frequencies in calls of their own."
    )


def _check_filled(
    frequency: Frequency,
    position: Int[np.ndarray, "n"],
    starts: Int[np.ndarray, "k"],
    describe: Describe,
) -> None:
    """Raises `DataError` if most points of an inferred grid, or of a long series, have no row."""
    extent, rows = _extent(position, starts), np.diff(starts, append=len(position))
    sparse = extent > 2 * rows + GAP
    if extent.sum() > 2 * rows.sum():
        sparse = extent == extent.max()
    if sparse.any():
        first = int(np.argmax(sparse))
        raise DataError(
            f"The {rows[first]} rows from {describe(int(starts[first]))} on fill "
            f"{rows[first] / extent[first]:.0%} of the inferred grid of steps {frequency.alias!r}. "
            "Look for a wrong time stamp, or, if time steps are missing, give "
            f"freq={frequency.alias!r}."
        )


def _number(moments: np.ndarray, unit: str = "us") -> Int[np.ndarray, "n"]:
    return moments.astype(f"datetime64[{unit}]").astype(np.int64)


def _absolute(stamps: pd.DatetimeIndex) -> np.ndarray:
    return local_clock(stamps if stamps.tz is None else stamps.tz_convert(None))
