"""The time grids of many series, from their starts and frequencies."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from lagllama_jax.errors import DataError
from lagllama_jax.model.calendar_features import Calendar
from lagllama_jax.series.frequency import Frequency


def calendars(
    name: str, starts: Sequence[object], frequencies: Sequence[str], item_ids: Sequence[str]
) -> Calendar:
    """One `Calendar` with an int32 array a field; series without start or frequency are unknown.

    Args:
      name: of the data set, for messages.
      starts: time of each first point, or None.
      frequencies: pandas alias of each series, or "".
      item_ids: names of the series, for messages.

    Raises:
      DataError: a start or a frequency that cannot be read; names the series.
    """
    grids = []
    for start, frequency, item_id in zip(starts, frequencies, item_ids, strict=True):
        try:
            grids.append(_calendar(start, frequency))
        except ValueError as error:
            raise DataError(f"Series {name}/{item_id}: {error}") from error
    return Calendar(*(np.array(field, np.int32) for field in zip(*grids, strict=True)))


@lru_cache(maxsize=65_536)
def _calendar(start: object, frequency: str) -> Calendar:
    import pandas as pd

    if start is None or not frequency:
        return Calendar.unknown()
    try:
        stamp = pd.Timestamp(start)  # type: ignore[arg-type]
    except ValueError as error:
        raise DataError(f"the start {start!r} is no time between 1678 and 2261.") from error
    if pd.isna(stamp):
        raise DataError("the start is missing (NaT).")
    if stamp.tzinfo is not None:
        stamp = stamp.tz_localize(None)
    return Frequency.parse(frequency).calendar(stamp)
