"""Where in the data the interventions on the treated units are."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.errors import DataError, listed
from lagllama_jax.series.arrays import as_timestamp
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Int


def places_of(read: SeriesDataset, intervention: Any, units: list[str]) -> Int[np.ndarray, "U"]:
    """The number of the first time step after the intervention, for each unit.

    Args:
      read: An item with all columns.
      intervention: Time stamp or number, or those of all units by their names.
      units: Names of the units.

    Raises:
      DataError: If an intervention cannot be read, or those of the units are not complete.
    """
    if not isinstance(intervention, Mapping | pd.Series):
        return np.full(len(units), _place(read, intervention))
    given = {str(name): when for name, when in intervention.items()}
    missing = [name for name in units if name not in given]
    unknown = [name for name in given if name not in units]
    if missing:
        raise DataError(
            f"No intervention is given for the units {listed(missing)}: give one for each, or name "
            "units without one as controls."
        )
    if unknown:
        raise DataError(
            f"Interventions are given for {listed(unknown)}, which are not among the units "
            f"{listed(units)}: leave them out, or name them as target."
        )
    return np.array([_place(read, given[name]) for name in units])


def _place(read: SeriesDataset, intervention: Any) -> int:
    """The number of the first time step of the period after the intervention."""
    length = read.targets[0].shape[1]
    if not read.dated:
        numbers = np.asarray(read.positions(0, -length, length))
        try:
            place = int(np.searchsorted(numbers, float(intervention)))
            return _told(place, numbers, float(intervention))
        except (TypeError, ValueError) as error:
            raise DataError(
                f"The rows are numbered from {numbers[0]} to {numbers[-1]}, and the intervention "
                f"{intervention!r} is not a number."
            ) from error
    stamps = read.timestamps(0, -length, length)
    stamp = as_timestamp(_year(intervention), "the intervention")
    if stamps.tz is not None:
        stamp = stamp.tz_localize(stamps.tz) if stamp.tz is None else stamp.tz_convert(stamps.tz)
    elif stamp.tz is not None:
        raise DataError(f"The intervention {intervention} has a zone, and the table has none.")
    return _told(int(stamps.searchsorted(stamp)), stamps, stamp)


def _told(place: int, times: Any, when: Any) -> int:
    """`place`, with a warning if the intervention is between the row of that number and another."""
    if not 0 < place < len(times) or times[place] == when or _begins(times[place - 1], when):
        return place
    warnings.warn(
        f"The intervention {when} is between two rows. The first one after it is {times[place]}, "
        f"and {times[place - 1]} counts as before it. If that row was changed in part, name it as "
        "the intervention.",
        stacklevel=2,
    )
    return place


def _begins(before: Any, when: Any) -> bool:
    """Whether a period begins at a time, if the row before it is named by its last day."""
    if not isinstance(before, pd.Timestamp):
        return False
    return before.is_month_end and before.normalize() + pd.Timedelta(days=1) == when


def _year(intervention: Any) -> Any:
    """The text of a year that is given as a number. Other numbers would be nanoseconds."""
    number = isinstance(intervention, int | float | np.integer | np.floating)
    return str(int(intervention)) if number and 1000 <= intervention <= 9999 else intervention
