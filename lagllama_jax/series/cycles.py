"""Calendars that repeat without a common step, such as office hours or months of 4, 4, 5 weeks."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lagllama_jax.series.aliases import NANOSECONDS
from lagllama_jax.series.frequency import in_zone, local_clock
from lagllama_jax.series.groups import Groups
from lagllama_jax.typing import Int

DAY = NANOSECONDS["D"]
MONDAY = 4 * DAY  # after the beginning of 1970
QUARTER = 13 * 7 * DAY
FEWEST = 3  # smallest number of repetitions
FEWEST_A_YEAR = 6  # smallest number of time stamps per year
FILLED = 0.75  # smallest share of the time stamps of a calendar that each series has
_LENGTHS = {"day": DAY, "week": 7 * DAY, "13 weeks": QUARTER}
UNITS = (*_LENGTHS, "month", "year", "month by weekdays", "month by last weekdays")
LATE = 27 * DAY  # later times are counted from the end of their month


@dataclass(frozen=True)
class Cycle:
    """Time stamps that are at the same places in each day, week, 13 weeks, month or year.

    Attributes:
      unit: What repeats, one of `UNITS`.
      origin: A time in nanoseconds since 1970: where weeks begin, or on which weekday all are.
      places: The places in nanoseconds since the beginning of a repetition, ascending. Negative
        ones are counted from its end.
    """

    unit: str
    origin: int
    places: Int[np.ndarray, "k"]

    def __str__(self) -> str:
        return f"{len(self.places)} per {self.unit}"

    def positions(self, stamps: pd.DatetimeIndex) -> Int[np.ndarray, "n"]:
        """The numbers of time stamps, which are counted from a fixed time."""
        repetition, place = _split(self.unit, self.origin, stamps)
        return repetition * len(self.places) + _rank(self.places, place)

    def since_start(
        self, stamps: pd.DatetimeIndex, series: Int[np.ndarray, "n"]
    ) -> Int[np.ndarray, "n"]:
        """The numbers of time stamps since the first of their series, whose rows are ascending."""
        return Groups(series).since_first(self.positions(stamps))

    def timestamps(self, start: pd.Timestamp, points: Int[np.ndarray, "n"]) -> pd.DatetimeIndex:
        """The time stamps of points that are counted from `start`."""
        numbers = self.positions(pd.DatetimeIndex([start])) + points
        repetition, rank = np.divmod(numbers, len(self.places))
        place = np.concatenate([self.places[self.places >= 0], self.places[self.places < 0]])[rank]
        begin = _begin(self.unit, self.origin, repetition + (place < 0))
        stamps = pd.DatetimeIndex((begin + place).astype("datetime64[ns]")).as_unit(start.unit)
        return stamps if start.tz is None else in_zone(stamps, start.tz)


def find_cycle(stamps: pd.DatetimeIndex, series: Int[np.ndarray, "n"]) -> Cycle | None:
    """The calendar that the time stamps fill best, with few places; `None` if there is none.

    Args:
      stamps: Time stamps, ascending within each series.
      series: Number of the series of each time stamp.
    """
    found: list[tuple[float, Cycle]] = []
    clock = local_clock(stamps).astype("datetime64[ns]").astype(np.int64)
    groups = Groups(series)
    for unit in UNITS:
        origin = MONDAY if unit == "week" else 0 if unit == "day" else int(clock[0]) // DAY * DAY
        places, counts = np.unique(_split(unit, origin, stamps)[1], return_counts=True)
        few = unit == "year" and len(places) < FEWEST_A_YEAR
        if few or FEWEST * len(places) > len(stamps) or counts.min() < counts.max() / 2:
            continue
        cycle = Cycle(unit, origin, places)
        points = groups.extent(cycle.since_start(stamps, series))
        if (groups.counts >= FILLED * points).all():
            found.append((round(len(stamps) / points.sum(), 2), cycle))
    return max(found, key=lambda one: (one[0], -len(one[1].places)), default=(0, None))[1]


def _rank(places: Int[np.ndarray, "k"], place: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    early = places[places >= 0]
    late = np.searchsorted(places[places < 0], place) + len(early)
    return np.where(place < 0, late, np.searchsorted(early, place))


def _split(
    unit: str, origin: int, stamps: pd.DatetimeIndex
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """The number of the repetition of each time stamp, and its place in nanoseconds."""
    moments = local_clock(stamps).astype("datetime64[ns]")
    clock = moments.astype(np.int64)
    if unit in _LENGTHS:
        return np.divmod(clock - origin, _LENGTHS[unit])
    repetition = moments.astype("datetime64[Y]" if unit == "year" else "datetime64[M]").astype(
        np.int64
    )
    place = clock - _begin(unit, origin, repetition)
    late = place >= LATE if unit == "month" else np.full(len(place), unit.endswith("last weekdays"))
    return repetition, np.where(late, clock - _begin(unit, origin, repetition + 1), place)


def _begin(unit: str, origin: int, repetition: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """Where repetitions begin, in nanoseconds since 1970."""
    if unit in _LENGTHS:
        return origin + repetition * _LENGTHS[unit]
    start = repetition.astype("datetime64[Y]" if unit == "year" else "datetime64[M]")
    days = start.astype("datetime64[D]").astype(np.int64)
    if "weekdays" in unit:  # the first day of the month that is the weekday of the origin
        days = days + (origin // DAY - days) % 7
    return days * DAY
