"""Reads series from arrays, data frames and datasets."""

import numbers
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from lagllama_jax.errors import DataError, listed
from lagllama_jax.series.array_values import as_floats
from lagllama_jax.series.dataset import Item, SeriesDataset
from lagllama_jax.series.frequency import Frequency
from lagllama_jax.typing import Float

if TYPE_CHECKING:
    import pandas as pd

READING = ("id_column", "timestamp_column", "target", "dayfirst", "date_format", "decimal")
"""Arguments of `read_frame` that name columns or tell how text is read."""
SHORTEST = 8  # a 2-D array of many shorter rows is told to have one series per row


def read_series(
    data: Any,
    start: Any = None,
    freq: Any = None,
    item_ids: Sequence[Any] | None = None,
    **reading: Any,
) -> SeriesDataset:
    """Makes a dataset from arrays or a data frame.

    Data frames, and pandas Series with an index of dates, are read by `read_frame`, and GluonTS
    entries are dictionaries with `target` and `start`. The keys of other dictionaries are the names
    of the series. Other inputs, and inputs with `start`, are read by `read_arrays`, whose arguments
    these are. A `SeriesDataset` is returned as it is.

    Raises:
      DataError: If the series cannot be read. The message names the series and the place in it.

    Examples:
      >>> read_series([[1.0, 2.0], [3.0, None, 5.0]], "2024-01-31", "ME").timestamps(1, 0, 1)[0]
      Timestamp('2024-04-30 00:00:00')
    """
    if isinstance(data, SeriesDataset):
        if any(given is not None for given in (start, freq, item_ids)):
            raise DataError("A SeriesDataset has dates and names: leave out start, freq, item_ids.")
        return data
    if isinstance(data, str | bytes | set | frozenset):
        raise DataError(f"Expected an array or a list of arrays, not {type(data).__name__}.")
    if item_ids is not None:
        item_ids = [item_ids] if isinstance(item_ids, str) else list(item_ids)
        _check_unique(item_ids)
    if isinstance(data, Mapping) and "target" not in data:
        item_ids = list(data) if item_ids is None else item_ids
        data = list(data.values())
    if start is None and hasattr(data, "columns") and item_ids is None:
        return _read_frame(data, freq, **reading)
    given = [name for name, value in reading.items() if value is not None]
    if given:
        raise DataError(f"{', '.join(given)}: only a data frame is read by these options.")
    parts = [data] if _is_dated(data) or isinstance(data, Mapping) else data
    if isinstance(parts, Iterable) and not hasattr(parts, "ndim"):
        parts = list(parts)
        if parts and all(isinstance(part, Mapping) for part in parts):
            return _read_entries(parts, start, freq, item_ids)
    if isinstance(parts, list) and any(map(_is_dated, parts)):
        if start is not None:
            raise DataError("The series have dates, which tell their start: leave out start.")
        return _read_dated(parts, freq, item_ids)
    return read_arrays(parts if isinstance(parts, list) else data, start, freq, item_ids)


def _check_unique(item_ids: Sequence[Any]) -> None:
    names = sorted(map(str, item_ids))
    twice = [name for name, following in pairwise(names) if name == following]
    if twice:
        raise DataError(f"item_ids holds {twice[0]!r} twice: give each series a name of its own.")


def _read_frame(data: Any, freq: Any, **reading: Any) -> SeriesDataset:
    from lagllama_jax.series.dataframe import read_frame

    return read_frame(data, freq=freq, **reading)


def _is_dated(series: Any) -> bool:
    """Whether an object is a pandas Series with an index of dates, or of several levels."""
    index: Any = getattr(series, "index", None)
    if not hasattr(series, "to_frame") or not hasattr(index, "nlevels"):
        return False
    from lagllama_jax.series.columns import is_time_index

    named = index.nlevels > 1 or str(index.name).lower() in ("date", "year", "timestamp")
    return named or is_time_index(index)


def _read_dated(parts: Sequence[Any], freq: Any, item_ids: Sequence[Any] | None) -> SeriesDataset:
    """Makes a dataset from pandas Series with dates, named by themselves or by their positions."""
    import pandas as pd

    if len(parts) == 1 and item_ids is None:
        return _read_frame(parts[0], freq)
    if not all(map(_is_dated, parts)):
        position = next(i for i, part in enumerate(parts) if not _is_dated(part))
        raise DataError(f"Series {position} has no dates, and others have. Give all dates or none.")
    own = [part.name for part in parts]
    unnamed = None in own or len(set(own)) < len(own)
    labels = list(item_ids or (range(len(parts)) if unnamed else own))
    _one_each("item_ids", labels, len(parts))
    frames = [
        pd.DataFrame({"item_id": label, "timestamp": part.index, "target": part.to_numpy()})
        for label, part in zip(labels, parts, strict=True)
    ]
    return _read_frame(pd.concat(frames, ignore_index=True), freq)


def _read_entries(
    entries: Sequence[Mapping[str, Any]], start: Any, freq: Any, item_ids: Sequence[Any] | None
) -> SeriesDataset:
    """Makes a dataset from GluonTS entries, with `target`, and perhaps `start` and `item_id`.

    `start` and `freq` are those of entries that have none.
    """
    items = []
    unused = sorted({key for entry in entries for key in entry if "dynamic" in str(key)})
    if unused:
        warnings.warn(
            f"{listed(unused)} of the entries are left out. Give covariates by past_covariates and "
            "known_covariates.",
            stacklevel=2,
        )
    for position, entry in enumerate(entries):
        name = str(entry.get("item_id", position) if item_ids is None else item_ids[position])
        if "target" not in entry:
            raise DataError(f"Series {name!r} has no 'target'; its keys are {', '.join(entry)}.")
        begin = entry.get("start", start)
        step = entry.get("freq", getattr(begin, "freqstr", freq))
        if (begin is None) != (step is None):
            raise DataError(f"Series {name!r} needs both start and freq, or a start as a Period.")
        items.append(
            Item(
                name,
                as_floats(name, entry["target"])[None],
                None if begin is None else _start(name, begin),
                None if step is None else Frequency.parse(step),
            )
        )
    return SeriesDataset.of(items)


def read_arrays(
    series: Any,
    start: Any = None,
    freq: Any = None,
    item_ids: Sequence[Any] | None = None,
) -> SeriesDataset:
    """Makes a dataset from a 1-D array, a list of 1-D arrays, or a 2-D array of one series per row.

    A list of 2-D arrays, or a 3-D array, holds items with several targets: one row per target.

    Args:
      series: The values. NaN, None and masked entries are missing values.
      start: Time stamp of the first value, one for all series or one per series. Requires `freq`.
      freq: Step between the time stamps, one for all series or one per series, in a form that
        `Frequency.parse` accepts. Requires `start`.
      item_ids: Names of the series. `None`: their positions, from "0".

    Raises:
      DataError: If a series has no values, or one that is not a finite number, or if the number of
        starts, frequencies or names is wrong. The message names the series and the position.
    """
    arrays = _split(series)
    if not arrays:
        raise DataError("No series: there is nothing to forecast.")
    labels = list(range(len(arrays)) if item_ids is None else item_ids)
    _one_each("item_ids", labels, len(arrays))
    names = [str(label) for label in labels]
    targets = [_targets(name, array) for name, array in zip(names, arrays, strict=True)]
    variates = len(targets[0])
    for name, target in zip(names, targets, strict=True):
        if len(target) != variates:
            raise DataError(
                f"Series {name!r} has {len(target)} targets, and {names[0]!r} has {variates}: "
                "forecast items with other numbers of targets in calls of their own."
            )
    fields: dict[str, Any] = {"labels": labels}
    if variates > 1:
        fields["target_names"] = tuple(f"target_{number}" for number in range(variates))
    if (start is None) != (freq is None):
        given, other = ("freq", "start") if start is None else ("start", "freq")
        raise DataError(f"{given} needs {other} too: only both tell the dates. Give both or none.")
    if start is None or freq is None:
        return SeriesDataset(names, targets, **fields)
    frequencies = [Frequency.parse(alias) for alias in _one_each("freq", freq, len(arrays))]
    starts = _one_each("start", start, len(arrays))
    stamps = [_start(*pair) for pair in zip(names, starts, strict=True)]
    for name, stamp, frequency in zip(names, stamps, frequencies, strict=True):
        if frequency.unit == "B" and stamp.weekday() > 4:
            raise DataError(f"Series {name!r}: the start {stamp} is no business day (freq='B').")
    return SeriesDataset(names, targets, stamps, frequencies, **fields)


def _targets(name: str, array: Any) -> Float[np.ndarray, "V T"]:
    """The rows of a 2-D array, or a 1-D array as the only row."""
    if getattr(array, "ndim", 1) != 2 or hasattr(array, "columns") or len(array) == 0:
        return as_floats(name, array)[None]
    return np.stack([as_floats(f"{name}/{number}", row) for number, row in enumerate(array)])


def _split(series: Any) -> list[Any]:
    if hasattr(series, "to_frame") or (hasattr(series, "ndim") and series.ndim == 1):
        return [series]
    if hasattr(series, "columns"):
        raise DataError("This is a data frame: use predict_df, or give its columns as arrays.")
    if hasattr(series, "ndim") and series.ndim not in (2, 3):
        raise DataError(f"Expected 1-D to 3-D values, not {series.ndim}-D: pass a list of series.")
    flat = getattr(series, "ndim", 0) == 2
    if flat and SHORTEST > series.shape[1] < series.shape[0] / 4:
        warnings.warn(
            f"The array was read as {series.shape[0]} series of {series.shape[1]} time steps. If "
            "each column is a series, give its transpose (.T).",
            stacklevel=2,
        )
    try:
        rows = list(series)
    except TypeError as error:
        raise DataError(f"Expected an array or a list of arrays, not {series!r}.") from error
    if any(hasattr(row, "columns") for row in rows):
        raise DataError(
            "Expected series, not data frames: join them to one, with a column item_id."
        )
    one = all(row is None or (not isinstance(row, str) and np.ndim(row) == 0) for row in rows)
    return [rows] if rows and one else rows


def as_timestamp(value: Any, what: str = "the start") -> "pd.Timestamp":
    """Converts text, a date, a period, or anything else that pandas accepts to a time stamp.

    Args:
      value: The value.
      what: What the value is, for messages.

    Raises:
      DataError: If the value is missing, is not a time stamp, or has a day and a month that cannot
        be told apart.
    """
    import pandas as pd

    missing = isinstance(value, float) and np.isnan(value)
    if isinstance(value, numbers.Number) and not missing:
        raise DataError(
            f"{what} {value!r} is a number. Write it as text, such as '2024-01-31', or convert "
            "seconds since 1970 by pd.Timestamp(seconds, unit='s')."
        )
    try:
        stamp = value.start_time if isinstance(value, pd.Period) else pd.Timestamp(value)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{what} {value!r} is no time stamp. Write times as 2024-01-31 or 2024-01-31 "
            "13:00:00 (years 1678 to 2261)."
        ) from error
    if pd.isna(stamp):
        raise DataError(f"{what} is missing.")
    if isinstance(value, str) and _is_vague(value):
        other = stamp.replace(month=stamp.day, day=stamp.month)
        raise DataError(
            f"{what} {value!r} is {stamp.date()} or {other.date()}: write it as one of them."
        )
    return stamp


def _is_vague(text: str) -> bool:
    """Whether a date begins with two different numbers that could be the month."""
    begin = re.match(r"\s*(\d\d?)[-/. ](\d\d?)[-/. ]\d", text)
    both = {int(number) for number in begin.groups()} if begin else set()
    return len(both) == 2 and max(both) <= 12


def _start(name: str, value: Any) -> "pd.Timestamp":
    try:
        return as_timestamp(value)
    except DataError as error:
        raise DataError(f"Series {name!r}: {error}") from error


def _one_each(what: str, given: Any, count: int) -> list[Any]:
    """A list with one entry for each of `count` series, of one for all or one each."""
    if isinstance(given, str) or not hasattr(given, "__len__") or getattr(given, "ndim", 1) == 0:
        return [given] * count
    if len(given) != count:
        raise DataError(f"{len(given)} {what} for {count} series: give one for all or one each.")
    return list(given)
