"""Time zones of time stamps that are written as text."""

import warnings
from datetime import timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lagllama_jax.errors import DataError
from lagllama_jax.series.time_parts import Parts

_ZONES = dict.fromkeys(("utc", "gmt", "z", "wet"), 0) | {
    "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
    "west": 1, "bst": 1, "cet": 1, "mez": 1, "cest": 2, "mesz": 2, "eet": 2, "eest": 3, "msk": 3,
    "sast": 2, "hkt": 8, "sgt": 8, "jst": 9, "kst": 9, "aest": 10, "aedt": 11, "nzst": 12,
    "nzdt": 13,
}  # fmt: skip
"""Hours that the time of a zone is ahead of UTC."""
_COMPANIONS = {"cst": "cdt", "bst": "gmt"}
"""Names of zones with several meanings, beside which another name tells the meaning."""


def with_zone(moments: np.ndarray, fields: Parts, cells: list[str]) -> pd.DatetimeIndex:
    """The time stamps of local times, with the time zones that are written beside them.

    If offsets differ, the time stamps are in UTC. But if all local times have the same time of day,
    these are the days of a local calendar: they keep their dates, without a time zone, and a
    warning tells it.

    Args:
      moments: The local times, NaT where there is none.
      fields: The parts of the text, of which `zone` is a name, and `sign`, `zh` and `zm` an offset.
      cells: The text, for error messages.

    Raises:
      DataError: If a zone is unknown, only some cells have one, or the text is an interval.
    """
    zones = fields["zone"]
    zoned = (fields.present("zone") | fields.present("sign")) & ~np.isnat(moments)
    if not zoned.any():
        return pd.DatetimeIndex(moments)
    if not (zoned | np.isnat(moments)).all():
        local = int(np.argmin(zoned | np.isnat(moments)))
        raise mixed_zones(cells[int(np.argmax(zoned))], cells[local])
    place = np.asarray(pc.index_in(zones, pa.array(list(_ZONES))).fill_null(-1))
    names = set(pc.unique(zones).to_pylist())
    vague = [zone for zone, other in _COMPANIONS.items() if other not in names]
    unknown = fields.present("zone") & ((place < 0) | np.asarray(pc.is_in(zones, pa.array(vague))))
    unknown &= zoned
    if unknown.any():
        raise DataError(
            f"The time zone of {cells[int(np.argmax(unknown))]!r} is unknown or has several "
            "meanings. Write the offset from UTC, as in 2024-01-31 13:00+02:00."
        )
    sign = np.where(np.asarray(pc.fill_null(pc.equal(fields["sign"], "+"), True)), 1, -1)
    minutes = sign * (60 * fields.numbers("zh") + fields.numbers("zm"))
    minutes = minutes + 60 * np.array([*_ZONES.values(), 0])[place]
    offsets = np.unique(minutes[zoned])
    lengths = (-minutes - 60 * fields.numbers("h") - fields.numbers("min"))[zoned] % 1440
    if np.abs(offsets).max() > 14 * 60 or (len(offsets) > 1 and np.ptp(lengths) == 0):
        raise DataError(
            f"{cells[int(np.argmax(zoned))]!r} looks like an interval, as the others do. Keep its "
            "beginning or its end."
        )
    if len(offsets) > 1 and same_time_of_day(moments[zoned]):
        tell_local_days(cells[int(np.argmax(zoned))])
        return pd.DatetimeIndex(moments)
    stamps = pd.DatetimeIndex(moments - minutes.astype("timedelta64[m]"), tz="UTC")
    if len(offsets) > 1 or offsets[0] == 0:
        return stamps
    return stamps.tz_convert(timezone(timedelta(minutes=int(offsets[0]))))


def same_time_of_day(moments: np.ndarray) -> bool:
    """Whether all local times have the same time of day, as those of a local calendar have."""
    clocks = moments - moments.astype("datetime64[D]")
    return bool((clocks == clocks[0]).all())


def tell_local_days(time: Any) -> None:
    """Warns that offsets from UTC are left out."""
    warnings.warn(
        f"The offsets from UTC differ, and the time of day is always that of {str(time)!r}: these "
        "are days of a local calendar. They are read as such, without their offsets.",
        stacklevel=2,
    )


def mixed_zones(zoned: Any, local: Any) -> DataError:
    """The error for times of which one has a time zone and another one has none."""
    return DataError(f"{str(zoned)!r} has a time zone, and {str(local)!r} has none. Give all one.")
