"""Computes the time grids and calendar features of many series."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from lagllama_jax.model.calendar_features import (
    NEUTRAL_DAY,
    SECONDS_A_DAY,
    UNKNOWN,
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

FIRST_DAY, LAST_DAY = "1678-01-01", "2262-01-01"  # clock changes are searched between them
NEVER = 2**31 - 1  # a day number after all representable dates


def calendar_of(dataset: "SeriesDataset") -> tuple[Calendar, Zones]:
    """The time grids of a dataset, one entry per item, and the clock changes of its time zones.

    Steps shorter than a day are counted in absolute time, to follow daylight saving time; longer
    ones follow the local calendar. Without dates, a grid is `Calendar.unknown()`.
    """
    # Objects are distinguished by their id, which is fast. The lists keep them alive.
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
    """The grid of one item. A time zone that occurs for the first time is added to `zones`."""
    if start is None or frequency is None:
        return Calendar.unknown()
    zone = NO_ZONE if start.tz is None else _Zone(str(start.tz), start.tz)
    grid = _grid(start, zone, frequency)
    return grid._replace(zone=zones.setdefault(zone, len(zones))) if grid.zone else grid


def clock_features(
    calendar: Calendar, zones: Zones, first: Int[np.ndarray, "n"], count: int
) -> Float[np.ndarray, "n count 6"]:
    """The calendar features of `count` consecutive points of each item, from the point `first` on.

    The grids and the clock changes are those of `calendar_of`. Points are counted from the start of
    the item, and may be before it.
    """
    if (calendar.unit == UNKNOWN).all():
        return np.zeros((len(first), count, 6), np.float32)
    index = np.asarray(first, np.int32)[:, None] + np.arange(count, dtype=np.int32)
    return calendar_features(*wall_clock(calendar.column(), index, zones))


def stack_zones(tables: Sequence[Zones]) -> Zones:
    """Concatenates the rows of several tables of clock changes."""
    if len(tables) == 1:
        return tables[0]
    widest = max(table.day.shape[1] for table in tables)

    def joined(fields: Sequence[Int[np.ndarray, "Z k"]], filling: int) -> Int[np.ndarray, "Z K"]:
        wide = [((0, 0), (0, widest - field.shape[1])) for field in fields]
        rows = [np.pad(*pair, constant_values=filling) for pair in zip(fields, wide, strict=True)]
        return np.concatenate(rows).astype(np.int32)

    return Zones(*map(joined, zip(*tables, strict=True), (NEVER, 0, 0)))


def join_zones(parts: Sequence[tuple[Zones, Int[np.ndarray, "n"]]]) -> tuple[Zones, list[Any]]:
    """Joins the tables of clock changes of several corpora, without repeated rows.

    Returns the joined table, and the zones of the series of each corpus in this table.
    """
    stacked = stack_zones([zones for zones, _ in parts])
    rows = np.stack(stacked, axis=1).reshape(len(stacked.day), -1)
    _, first, same = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    kept = np.sort(first)  # the zone without clock changes remains the first one
    new = np.searchsorted(kept, first[same]).astype(np.int32)
    begins = np.cumsum([0, *(len(zones.day) for zones, _ in parts)])
    joined = [new[begin + zone] for begin, (_, zone) in zip(begins, parts, strict=False)]
    return Zones(*(table[kept] for table in stacked)), joined


@dataclass(frozen=True)
class _Zone:
    """A time zone that is hashed by its name, because some time zone objects cannot be hashed."""

    name: str
    tz: Any = field(compare=False)


NO_ZONE = _Zone("", None)


@lru_cache(maxsize=65_536)
def _grid(start: "pd.Timestamp", zone: _Zone, frequency: Frequency) -> Calendar:
    """The time grid of one item. Its field `zone` is 1 if the grid is in UTC, otherwise 0."""
    changing = zone is not NO_ZONE and frequency.within_day and len(_changes(zone)[0]) > 1
    ahead = 0
    if changing:
        ahead = round((start.tz_localize(None) - start.tz_convert(None)).total_seconds())
    grid = frequency.calendar(start, ahead)._replace(zone=int(changing))
    return Calendar(*(int(part) for part in grid))


@lru_cache(maxsize=1024)
def _changes(zone: _Zone) -> tuple[Any, Any, Any]:
    """Day, second and UTC offset of each clock change of a time zone, as in one row of `Zones`."""
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
