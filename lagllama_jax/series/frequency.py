"""`Frequency`: the step of a regular time grid, which gives its calendar and its time stamps."""

from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lagllama_jax.model import calendar_features as time_features
from lagllama_jax.model.calendar_features import SUBSECOND, Calendar
from lagllama_jax.series.aliases import (
    MONTHS_PER,
    NANOSECONDS,
    Step,
    read_alias,
    read_length,
    read_offset,
    write_alias,
)
from lagllama_jax.typing import Int

if TYPE_CHECKING:
    import pandas as pd

_SEASONS = {"s": 3600, "min": 1440, "h": 24, "D": 1, "B": 5, "W": 1, "M": 12, "Q": 4, "Y": 1}
_SECOND = NANOSECONDS["s"]
_RESOLUTIONS = {"ms": 1, "us": 2, "ns": 3}  # seconds, and units that are longer, have the rank 0


@dataclass(frozen=True)
class Frequency:
    """The step of a regular time grid.

    Attributes:
      unit: `ns`, `us`, `ms`, `s`, `min`, `h`, `D`, `B` (business days), `W`, `M`, `Q` or `Y`.
      step: Number of units between two points.
      anchor: For `W`, the weekday (Monday is 0) on which a week ends. For `Q` and `Y`, the month
        (January is 0), modulo the length of the period, in which a quarter or a year ends.
      stamp: For `M`, `Q` and `Y`, the day of the period that its time stamp gives: `start`, `end`,
        `business start` or `business end`. A series that starts on another day keeps that day.
    """

    unit: str
    step: int = 1
    anchor: int = 0
    stamp: str = "end"

    @classmethod
    def parse(cls, given: Any) -> "Frequency":
        """Parses a frequency.

        Args:
          given: An alias of any version of pandas, such as `h`, `15T`, `W-SUN`, `M`, `QE-DEC` or
            `2YS`, a pandas offset, or a length of time (`pandas.Timedelta`, `datetime.timedelta` or
            `numpy.timedelta64`).

        Raises:
          DataError: If `given` is not a frequency, or its time grid is not regular.

        Examples:
          >>> import pandas as pd
          >>> str(Frequency.parse("15T")), str(Frequency.parse(pd.Timedelta(minutes=15)))
          ('15min', '15min')
          >>> str(Frequency.parse(pd.DateOffset(months=1)))
          'ME'
        """
        if isinstance(given, Frequency):
            return given
        if isinstance(given, timedelta | np.timedelta64):
            return cls(*read_length(given))
        if type(given).__name__ == "DateOffset":
            return cls(*read_offset(given))
        return cls(*read_alias(str(getattr(given, "freqstr", given)).strip()))

    @property
    def alias(self) -> str:
        """The alias in the current spelling of pandas, which `parse` accepts."""
        return write_alias(Step(self.unit, self.step, self.anchor, self.stamp))

    def __str__(self) -> str:
        return self.alias

    @property
    def nanoseconds(self) -> int | None:
        """Length of a step in nanoseconds. `None` for business days, months and longer units."""
        if self.unit == "W":
            return 7 * self.step * NANOSECONDS["D"]
        return self.step * NANOSECONDS[self.unit] if self.unit in NANOSECONDS else None

    @property
    def seconds(self) -> float:
        """Length of a step in seconds. It is infinite if the length varies."""
        return np.inf if self.nanoseconds is None else self.nanoseconds / _SECOND

    @property
    def months(self) -> int | None:
        """Length of a step in months. `None` for units shorter than a month."""
        return self.step * MONTHS_PER[self.unit] if self.unit in MONTHS_PER else None

    @property
    def within_day(self) -> bool:
        """Whether the unit is shorter than a day.

        Such steps are counted in absolute time, and longer ones follow the local calendar.
        """
        return self.unit in NANOSECONDS and self.unit != "D"

    @property
    def season(self) -> int:
        """Default seasonal period in steps, as in GluonTS and GIFT-Eval, such as 24 for hours."""
        season, rest = divmod(_SEASONS.get(self.unit, 1), self.step)
        return season if rest == 0 else 1

    @property
    def cycle(self) -> int:
        """Number of steps after which a series may repeat itself: as `season`, but a week of days.

        >>> Frequency.parse("D").cycle, Frequency.parse("h").cycle
        (7, 24)
        """
        return 7 if (self.unit, self.step) == ("D", 1) else self.season

    def calendar(self, start: Any, ahead: int | Int[np.ndarray, "n"] = 0) -> Calendar:
        """The time grid that begins at `start`, for the calendar features.

        As in the reference implementation, `start` is rounded down to the unit. A daily value thus
        stands for its day, whatever the hour of its time stamp.

        Args:
          start: One or several time stamps. If they have a time zone, its local clock is used.
          ahead: Seconds by which this local clock is ahead of the clock of the grid. The grid is in
            UTC if it has to follow clock changes.
        """
        length = max(NANOSECONDS.get(self.unit, NANOSECONDS["D"]) // _SECOND, 1)
        clock = local_clock(start).astype("datetime64[s]").astype(np.int64)
        seconds = clock // length * length - ahead
        day, second = np.divmod(seconds, time_features.SECONDS_A_DAY)
        unit, step, anchor = self._calendar_unit(day)
        fields = np.broadcast_arrays(unit, step, day, second, anchor, 0)
        return Calendar(*(field.astype(np.int32) for field in fields))

    def _calendar_unit(self, day: np.ndarray) -> tuple[int, int, Any]:
        if self.unit == "W":
            return time_features.WEEK, self.step, self.anchor
        if self.nanoseconds is not None:
            step, points = _ratio(self.nanoseconds)
            return (time_features.SECOND, step, 0) if points == 1 else (SUBSECOND, step, points)
        if self.months is None:
            return time_features.BUSINESS_DAY, self.step, 0
        first: Any = time_features.month_of_day(day)
        last = first + (self.anchor - first) % MONTHS_PER[self.unit]
        return time_features.MONTH, self.months, last % self.months

    def timestamps(self, start: "pd.Timestamp", first: int, count: int) -> "pd.DatetimeIndex":
        """The time stamps of `count` points of a series, the point `first` and those after it.

        Point 0 is at `start`. Steps shorter than a day are counted in absolute time, and longer
        ones on the local calendar. A local time that a clock change skips is moved to the next
        time that exists.
        """
        import pandas as pd

        zone, absolute = start.tz, start.tz is not None and self.within_day
        origin = local_clock(start.tz_convert(None) if absolute else start)
        stamps = pd.DatetimeIndex(self._points(origin, np.arange(first, first + count)))
        if absolute:
            stamps = stamps.tz_localize("UTC").tz_convert(zone)
        elif zone is not None:
            stamps = in_zone(stamps, zone)
        finest: Any = max(start.unit, self.unit, key=lambda unit: _RESOLUTIONS.get(unit, 0))
        try:
            return stamps.as_unit(finest)
        except pd.errors.OutOfBoundsDatetime:
            return stamps

    def _points(self, origin: np.ndarray, index: np.ndarray) -> np.ndarray:
        fine = (self.nanoseconds or 0) % 1000 or origin != origin.astype("datetime64[us]")
        tick, length = ("ns", 1) if fine else ("us", 1000)
        start = origin.astype(f"datetime64[{tick}]")
        if self.nanoseconds is not None:
            return start + (index * (self.nanoseconds // length)).astype(f"timedelta64[{tick}]")
        day = start.astype("datetime64[D]")
        if self.months is None:
            return np.busday_offset(day, index * self.step, roll="forward") + (start - day)
        month = day.astype("datetime64[M]")
        rule = self.stamped_like(day).stamp
        if stamp_day(month, rule) == day:
            return stamp_day(month + index * self.months, rule) + (start - day)
        months = month + index * self.months
        same_day = months.astype("datetime64[D]") + (day - month)
        return np.minimum(same_day, stamp_day(months, "end")) + (start - day)

    def stamped_like(self, days: np.ndarray) -> Self:
        """The same frequency, with the `stamp` that fits all these days, if there is one."""
        if self.months is None:
            return self
        days = np.asarray(days, dtype="datetime64[D]")
        months = days.astype("datetime64[M]")
        rules = (self.stamp, "start", "end", "business start", "business end")
        fits = (rule for rule in rules if (stamp_day(months, rule) == days).all())
        return replace(self, stamp=next(fits, self.stamp))


def _ratio(nanoseconds: int) -> tuple[int, int]:
    """Seconds as a fraction of two numbers whose product has 31 bits, as precise as possible."""
    length = Fraction(nanoseconds, _SECOND)
    return length.limit_denominator(int((2**31 / length) ** 0.5) - 1).as_integer_ratio()


def stamp_day(months: np.ndarray, rule: str) -> np.ndarray:
    """The stamp (datetime64[D]) of each month (datetime64[M]) by a rule of `Frequency.stamp`."""
    starts = rule.endswith("start")
    days = months.astype("datetime64[D]") if starts else (months + 1).astype("datetime64[D]") - 1
    if rule.startswith("business"):
        return np.busday_offset(days, 0, roll="forward" if starts else "backward")
    return days


def local_clock(stamps: Any) -> np.ndarray:
    """Converts time stamps to datetime64 of their local clock, because NumPy has no time zones."""
    if getattr(stamps, "tz", None) is not None:
        stamps = stamps.tz_localize(None)
    if hasattr(stamps, "to_numpy"):
        return np.asarray(stamps.to_numpy())
    return np.asarray(stamps, dtype=None if hasattr(stamps, "dtype") else "datetime64[us]")


def in_zone(stamps: "pd.DatetimeIndex", zone: Any) -> "pd.DatetimeIndex":
    """Local times in a time zone: the earlier one of two, or the next one if there is none."""
    earlier = np.ones(len(stamps), dtype=bool)
    return stamps.tz_localize(zone, ambiguous=earlier, nonexistent="shift_forward")


def absolute_clock(stamps: Any) -> np.ndarray:
    """Converts time stamps to datetime64 in UTC, or of their only clock without a time zone."""
    return local_clock(stamps if stamps.tz is None else stamps.tz_convert(None))
