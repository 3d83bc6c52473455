"""Places time stamps on the regular time grids of their series."""

import contextlib
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

from lagllama_jax.errors import DataError
from lagllama_jax.series.frequency import Frequency, absolute_clock, local_clock
from lagllama_jax.series.groups import Groups
from lagllama_jax.series.spacing import HOUR, infer, infer_months
from lagllama_jax.typing import Bool, Int

FINEST = 2_000_000  # nanoseconds by which rounded fractions of a second differ from their grid
FEW = 8  # number of rows of which the step of a series is not told
GAP = 30  # number of points that a series of few rows may have besides
SPARSE_POINTS, SPARSE_SHARE = 10_000_000, 50
"""A grid is refused if it exceeds both limits: the total number of points, and points per row."""

Describe = Callable[[int], str]  # describes a row by its series and its place in the table


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
    if frequency.months is not None:
        _tell_clocks(frequency, stamps)
    coordinate, off, unit = _coordinates(frequency, stamps)
    groups = Groups(series)
    since = groups.since_first(coordinate)
    off |= since % unit != 0
    position = since // unit
    if off.any() and frequency.nanoseconds is not None:
        rounded = _rounded(frequency, since, stamps, groups, inferred)
        if rounded is not None:
            position, off = rounded, np.zeros(len(off), bool)
    repeated = groups.repeated(position) & ~off
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
    _check_density(frequency, position, groups, describe)
    _check_months(frequency, stamps, groups, groups.extent(position), describe)
    if inferred:
        _check_filled(frequency, groups, groups.extent(position), describe)
    return position


def _coordinates(
    frequency: Frequency, stamps: pd.DatetimeIndex
) -> tuple[Int[np.ndarray, "n"], Bool[np.ndarray, "n"], int]:
    """The coordinates of rows, whether they cannot be on the grid, and the coordinate of a step."""
    local = local_clock(stamps)
    fits = np.zeros(len(local), dtype=bool)
    if frequency.nanoseconds is not None:
        moments = absolute_clock(stamps) if frequency.within_day else local
        if frequency.nanoseconds % 1000 == 0:
            off = moments != moments.astype("datetime64[us]")
            return _number(moments), off, frequency.nanoseconds // 1000
        return _number(moments, "ns"), fits, frequency.nanoseconds
    if frequency.months is not None:
        return local.astype("datetime64[M]").astype(np.int64), fits, frequency.months
    days = local.astype("datetime64[D]")
    epoch = np.datetime64("1970-01-01", "D")
    return np.busday_count(epoch, days), ~np.is_busday(days), frequency.step


def _tell_clocks(frequency: Frequency, stamps: pd.DatetimeIndex) -> None:
    """Warns if times of day differ, as those of months of a local calendar in UTC."""
    local = local_clock(stamps)
    clocks = local - local.astype("datetime64[D]")
    other = np.flatnonzero(clocks != clocks[0])
    if len(other):
        warnings.warn(
            f"The times of day of freq={frequency.alias!r} differ, as in {stamps[0]} and "
            f"{stamps[other[0]]}; forecasts have the first one of their series. If these are days "
            "of a local calendar in UTC, convert them to its zone (tz_convert).",
            stacklevel=2,
        )


def _rounded(
    frequency: Frequency,
    since: Int[np.ndarray, "n"],
    stamps: pd.DatetimeIndex,
    groups: Groups,
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
        clocks = frequency.unit in ("D", "W") and np.isin(apart, (0, HOUR // 1000)).all()
        most = most if clocks else FINEST if unit == nanoseconds else 0
    if not (apart.max() <= most and not groups.repeated(position).any()):
        if inferred or frequency.unit != "D":
            return None
        days = local_clock(stamps).astype("datetime64[D]").astype(np.int64)
        position = groups.since_first(days) // frequency.step
        if groups.repeated(position).any():
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
    groups = Groups(series)
    if groups.repeated(stamps.asi8).any():
        return 0.0
    with contextlib.suppress(DataError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step = infer(stamps, series) if frequency is None else frequency
        position = place(step.stamped_like(local_clock(stamps)), stamps, series, str, inferred=True)
        return len(stamps) / int(groups.extent(position).sum())
    return 0.0


def _check_density(
    frequency: Frequency,
    position: Int[np.ndarray, "n"],
    groups: Groups,
    describe: Describe,
) -> None:
    """Raises `DataError` if a frequency is much finer than the rows of a series."""
    extent, rows = groups.extent(position), len(position)
    total, longest = int(extent.sum()), int(groups.first[np.argmax(extent)])
    if total > SPARSE_POINTS and total > SPARSE_SHARE * rows:
        raise DataError(
            f"{rows} rows would become {total:,} points at frequency {frequency.alias!r}; "
            f"{describe(longest)} begins the longest series. "
            "Give a coarser frequency (freq), or look for a wrong time stamp."
        )
    steps = np.diff(position, prepend=0)
    steps[groups.first] = 0
    divisors = np.gcd.reduceat(steps, groups.first)
    sparse = np.flatnonzero((divisors > 1) & (groups.counts > FEW))
    if len(sparse):
        first = int(sparse[0])
        row = describe(int(groups.first[first]))
        raise _too_fine(frequency, row, f"at every {divisors[first]}th step")


def _check_months(
    frequency: Frequency,
    stamps: pd.DatetimeIndex,
    groups: Groups,
    extent: Int[np.ndarray, "k"],
    describe: Describe,
) -> None:
    """Raises `DataError` if a frequency of days is given for a series of months or longer."""
    if frequency.unit not in ("D", "B"):
        return
    sparse = (extent > 15 * groups.counts) & (groups.counts > FEW)
    for first, count in zip(groups.first[sparse].tolist(), groups.counts[sparse], strict=True):
        days = local_clock(stamps[first : first + count]).astype("datetime64[D]")
        found = infer_months(days, np.ones(count - 1, bool))
        if found is not None:
            raise _too_fine(frequency, describe(first), f"in steps of {found.alias!r}")


def _too_fine(frequency: Frequency, row: str, steps: str) -> DataError:
    return DataError(
        f"Frequency {frequency.alias!r} does not fit: {row} begins a series that has a value "
        f"{steps} only. Give the frequency of the data (freq), and forecast series of other "
        "frequencies in calls of their own."
    )


def _check_filled(
    frequency: Frequency, groups: Groups, extent: Int[np.ndarray, "k"], describe: Describe
) -> None:
    """Raises `DataError` if most points of an inferred grid, or of a long series, have no row."""
    rows = groups.counts
    sparse = extent > 2 * rows + GAP
    if extent.sum() > 2 * rows.sum():
        sparse = extent == extent.max()
    if sparse.any():
        first = int(np.argmax(sparse))
        raise DataError(
            f"The {rows[first]} rows from {describe(int(groups.first[first]))} on fill "
            f"{rows[first] / extent[first]:.0%} of the inferred grid of steps {frequency.alias!r}. "
            "Look for a wrong time stamp, or, if time steps are missing, give "
            f"freq={frequency.alias!r}."
        )


def _number(moments: np.ndarray, unit: str = "us") -> Int[np.ndarray, "n"]:
    return moments.astype(f"datetime64[{unit}]").astype(np.int64)
