"""Adds covariates, given as arrays, to a dataset."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lagllama_jax.errors import DataError, listed
from lagllama_jax.series.array_values import is_of_times
from lagllama_jax.series.dataset import Item, SeriesDataset
from lagllama_jax.typing import Float


def with_covariates(dataset: SeriesDataset, past: Any = None, known: Any = None) -> SeriesDataset:
    """Adds covariates, given as arrays, to a dataset.

    Args:
      dataset: The series.
      past: Covariates of the past. A list with one entry per series, or the entry of a single
        series. An entry is a dictionary of names and 1-D arrays, a 2-D array with one row per
        covariate, or a 1-D array. NaN where a value is missing. `None`: there are none.
      known: The same of covariates that are known in the future, whose arrays go on to the end of
        the horizon.

    Raises:
      DataError: If the number of entries or of covariates is wrong, or a value is not a number.
    """
    changes: dict[str, Any] = {}
    for kind, given in (("past", past), ("known", known)):
        if given is None:
            continue
        if getattr(dataset, f"{kind}_covariates") is not None:
            raise DataError(f"The series have {kind} covariates already: give them in one way.")
        entries = _entries(dataset, kind, given)
        tables = [
            _named_rows(item, kind, entry) for item, entry in zip(dataset, entries, strict=True)
        ]
        names = tuple(tables[0])
        for item, table in zip(dataset.item_ids, tables, strict=True):
            if set(table) != set(names):
                raise DataError(
                    f"Series {item!r} has the {kind} covariates {', '.join(table)}, and "
                    f"{dataset.item_ids[0]!r} has {', '.join(names)}: give all series the same."
                )
            lengths = {name: len(values) for name, values in table.items()}
            if len(set(lengths.values())) > 1:
                raise DataError(f"Series {item!r}: lengths of {kind} covariates differ: {lengths}.")
        changes[f"{kind}_names"] = names
        changes[f"{kind}_covariates"] = [np.stack([one[n] for n in names]) for one in tables]
    return replace(dataset, **changes)


def warn_unused(dataset: SeriesDataset, cause: str) -> None:
    """Names the covariates of a dataset in a warning that tells why they are left out."""
    names = (*dataset.past_names, *dataset.known_names)
    if names:
        warnings.warn(f"The covariates {listed(names)} are left out: {cause}.", stacklevel=3)


def _entries(dataset: SeriesDataset, kind: str, given: Any) -> Sequence[Any]:
    """One entry per series."""
    scalars = [np.ndim(part) == 0 and not isinstance(part, Mapping) for part in given]
    listed = isinstance(given, list | tuple) and not all(scalars)
    if len(dataset) == 1 and not listed and getattr(given, "ndim", 1) < 3:
        return [given]
    if isinstance(given, Mapping) or len(given) != len(dataset):
        count = "a dictionary" if isinstance(given, Mapping) else f"{len(given)} entries"
        raise DataError(
            f"{count} of {kind} covariates for {len(dataset)} series: give a list with one entry "
            "per series, each a dictionary of names and arrays."
        )
    return given


def _named_rows(series: Item, kind: str, entry: Any) -> dict[str, Float[np.ndarray, "N"]]:
    """The covariates of one series by name."""
    item, rows = series.item_id, entry
    if hasattr(entry, "columns"):
        rows = {name: entry[name] for name in entry.columns}
    elif not isinstance(entry, Mapping):
        rows = np.asarray(entry)
        rows = {f"{kind}_{n}": row for n, row in enumerate(rows[None] if rows.ndim == 1 else rows)}
    found = {}
    for name, values in rows.items():
        _check_dates(series, f"its {kind} covariate {str(name)!r}", values)
        try:
            if is_of_times(values):
                raise TypeError("it holds dates or durations")
            found[str(name)] = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"Series {item!r}, {kind} covariate {str(name)!r} is not of numbers ({error}): "
                "give text categories as columns of a data frame, to predict_df."
            ) from error
        if found[str(name)].ndim != 1:
            raise DataError(f"Series {item!r}, {kind} covariate {str(name)!r} is not a 1-D array.")
    if not found:
        raise DataError(f"Series {item!r} has no {kind} covariates: leave them out for all series.")
    return found


def _check_dates(series: Item, what: str, values: Any) -> None:
    """Checks that a pandas Series with an index of dates has those of its series."""
    index: Any = getattr(values, "index", None)
    if type(index).__name__ != "DatetimeIndex" or series.start is None or series.frequency is None:
        return
    expected = series.frequency.timestamps(series.start, 0, len(index))
    wrong = np.flatnonzero(index != expected)
    if len(wrong):
        place = int(wrong[0])
        raise DataError(
            f"Series {series.item_id!r}: point {place} is at {expected[place]}, and that of {what} "
            f"at {index[place]}. Give the covariate the dates of the series, as with reindex."
        )
