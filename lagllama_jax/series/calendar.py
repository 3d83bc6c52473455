"""The time grids of many series, and their calendar features."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from lagllama_jax.model.calendar_features import (
    NEUTRAL_DAY,
    SECONDS_A_DAY,
    Calendar,
    Zones,
    calendar_features,
    wall_clock,
)
from lagllama_jax.series.frequency import Frequency, local_clock
from lagllama_jax.typing import Float, Int

if TYPE_CHECKING:
    import pandas as pd

    from lagllama_jax.series.dataset import SeriesDataset

FIRST_DAY, LAST_DAY = "1678-01-01", "2262-01-01"
"""Clock changes are known between these days."""
NEVER = 2**31 - 1
"""A day after all time."""


def calendar_of(dataset: "SeriesDataset") -> tuple[Calendar, Zones]:
    """The time grids of a dataset, one entry per item, and the clock changes of its time zones.

    Steps within a day are counted in absolute time, so that the local clock follows the changes to
    and from summer time; longer steps follow the local calendar. Items without dates are unknown.
    """
    # Objects are told apart by their id, which is fast; the lists keep them alive meanwhile.
    starts, frequencies = list(dataset.starts), list(dataset.frequencies)
    keys = list(zip(map(id, starts), map(id, frequencies), strict=True))
    grids = dict(zip(keys, zip(starts, frequencies, strict=True), strict=True))
    zones: dict[_Zone, int] = {NO_ZONE: 0}
    rows = np.array([_row(*grid, zones) for grid in grids.values()], np.int32).reshape(-1, 6)
    place = {key: number for number, key in enumerate(grids)}
    calendar = Calendar(*np.ascontiguousarray(rows[[place[key] for key in keys]].T))
    tables = [Zones(*(part[None] for part in _changes(zone))) for zone in zones if zone.tz]
    return calendar, stack_zones([Zones.none(), *tables])


def _row(
    start: "pd.Timestamp | None", frequency: Frequency | None, zones: "dict[_Zone, int]"
) -> Calendar:
    """The grid of one item; numbers the zones as they come."""
    if start is None or frequency is None:
        return Calendar.unknown()
    zone = NO_ZONE if start.tz is None else _Zone(str(start.tz), start.tz)
    grid = _grid(start, zone, frequency)
    return grid._replace(zone=zones.setdefault(zone, len(zones))) if grid.zone else grid


def clock_features(
    calendar: Calendar, zones: Zones, first: Int[np.ndarray, "n"], count: int
) -> Float[np.ndarray, "n count 6"]:
    """The calendar features of `count` consecutive points of each item.

    Args:
      calendar: One entry per item, as `calendar_of` gives it.
      zones: As `calendar_of` gives it.
      first: Number of the first of these points, counted from the item's start; may be negative.
      count: Points per item.
    """
    index = np.asarray(first, np.int32)[:, None] + np.arange(count, dtype=np.int32)
    return calendar_features(*wall_clock(calendar.column(), index, zones))


def stack_zones(tables: Sequence[Zones]) -> Zones:
    """One table of the rows of several, in order."""
    widest = max(table.day.shape[1] for table in tables)

    def padded(name: str, filling: int) -> Int[np.ndarray, "Z K"]:
        rows = [getattr(table, name) for table in tables]
        wide = [((0, 0), (0, widest - part.shape[1])) for part in rows]
        parts = [np.pad(r, w, constant_values=filling) for r, w in zip(rows, wide, strict=True)]
        return np.concatenate(parts).astype(np.int32)

    return Zones(padded("day", NEVER), padded("second", 0), padded("ahead", 0))


def join_zones(parts: Sequence[tuple[Zones, Int[np.ndarray, "n"]]]) -> tuple[Zones, list[Any]]:
    """One table for several corpora, without repeated rows, and the zones of their series in it."""
    stacked = stack_zones([zones for zones, _ in parts])
    rows = np.stack(stacked, axis=1).reshape(len(stacked.day), -1)
    place = {row.tobytes(): number for number, row in reversed(list(enumerate(rows)))}
    kept = sorted(place.values())
    new = np.array([kept.index(place[row.tobytes()]) for row in rows], np.int32)
    begins = np.cumsum([0, *(len(zones.day) for zones, _ in parts)])
    joined = [new[begin + zone] for begin, (_, zone) in zip(begins, parts, strict=False)]
    return Zones(*(table[kept] for table in stacked)), joined


@dataclass(frozen=True)
class _Zone:
    """A time zone by its name, since not every kind of zone object can be hashed."""

    name: str
    tz: Any = field(compare=False)


NO_ZONE = _Zone("", None)


@lru_cache(maxsize=65_536)
def _grid(start: "pd.Timestamp", zone: _Zone, frequency: Frequency) -> Calendar:
    """The grid of one item; `zone` is 1 if it is in UTC.

    The zone is an argument of its own because time stamps of one moment in two zones are equal.
    """
    changing = zone is not NO_ZONE and frequency.within_day and len(_changes(zone)[0]) > 1
    ahead = 0
    if changing:
        ahead = round((start.tz_localize(None) - start.tz_convert(None)).total_seconds())
    grid = frequency.calendar(start, ahead)._replace(zone=int(changing))
    return Calendar(*(int(part) for part in grid))


@lru_cache(maxsize=1024)
def _changes(zone: _Zone) -> tuple[Any, Any, Any]:
    """Day, second and offset of each clock change of a zone, as in one row of `Zones`."""
    import pandas as pd

    def ahead(seconds: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
        utc = pd.DatetimeIndex(seconds.astype("datetime64[s]"), tz="UTC")
        local = local_clock(utc.tz_convert(zone.tz)).astype("datetime64[s]")
        return local.astype(np.int64) - seconds

    days = np.arange(FIRST_DAY, LAST_DAY, dtype="datetime64[D]").astype("datetime64[s]")
    probes = days.astype(np.int64)
    offsets = ahead(probes)
    before = np.flatnonzero(np.diff(offsets))
    low, high, after = probes[before], probes[before + 1], offsets[before + 1]
    while (high - low > 1).any():
        middle = (low + high) // 2
        passed = ahead(middle) == after
        low, high = np.where(passed, low, middle), np.where(passed, middle, high)
    day, second = np.divmod(high, SECONDS_A_DAY)
    unused = (1 << len(high).bit_length()) - 1 - len(high)
    return (
        np.r_[NEUTRAL_DAY, day, np.full(unused, NEVER)].astype(np.int32),
        np.r_[0, second, np.zeros(unused)].astype(np.int32),
        np.r_[offsets[0], after, np.zeros(unused)].astype(np.int32),
    )
