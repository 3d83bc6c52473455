"""`Study`: treated units and controls, before and after an intervention."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.causal.columns import names_of, read_columns
from lagllama_jax.config import Count, checked
from lagllama_jax.errors import DataError, listed
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float

FEWEST_POINTS = 8
"""Number of points before the intervention without which nothing is estimated."""
SHORT = 30
"""With fewer points before the intervention than this, a warning is given."""


@dataclass(frozen=True)
class Study:
    """Treated units and controls, before and after an intervention.

    Attributes:
      dataset: The past of the treated units, one item per unit. The controls are known covariates,
        through the period after the intervention.
      actual: What happened after the intervention; NaN where a value is missing.
    """

    dataset: SeriesDataset
    actual: Float[np.ndarray, "U P"]

    @property
    def units(self) -> list[str]:
        """Names of the treated units."""
        return list(self.dataset.item_ids)

    @property
    def controls(self) -> tuple[str, ...]:
        """Names of the controls."""
        return self.dataset.known_names

    @property
    def before(self) -> int:
        """Number of time steps before the intervention."""
        return int(self.dataset.targets[0].shape[1])

    @property
    def after(self) -> int:
        """Number of time steps after the intervention."""
        return int(self.actual.shape[1])

    @property
    def times(self) -> Any:
        """The time stamps, or the numbers, of all time steps."""
        arguments = 0, -self.before, self.before + self.after
        return (
            self.dataset.timestamps(*arguments)
            if self.dataset.dated
            else self.dataset.positions(*arguments)
        )


def read_study(
    df: Any,
    intervention: Any,
    target: str | Sequence[str],
    controls: str | Sequence[str] | None,
    prediction_length: int | None,
    **reading: Any,
) -> Study:
    """Reads a study from a data frame. The arguments are those of `impact`.

    Raises:
      DataError: If the data cannot be used; names column, time and the remedy.
    """
    units, others = names_of(target), names_of(controls)
    read = read_columns(df, units, others, reading)
    values, first = _values(read, units, others)
    place = _place(read, intervention)
    ends = np.flatnonzero(np.isfinite(values[: len(units)]).any(axis=0))
    last = int(ends.max()) + 1
    if place >= last:
        raise DataError(
            f"The intervention {intervention} is after the last value of {listed(units)}: there is "
            "nothing to compare with."
        )
    if place - first < FEWEST_POINTS:
        raise DataError(
            f"{max(place - first, 0)} time steps are before the intervention {intervention}, and "
            f"at least {FEWEST_POINTS} are needed: give more of the past."
        )
    stop = last
    if prediction_length is not None:
        stop = place + int(checked("prediction_length", prediction_length, Count))
    if stop > last:
        raise DataError(
            f"prediction_length={prediction_length}, and {last - place} time steps of "
            f"{listed(units)} are given from the intervention on."
        )
    _check_past(values[: len(units), first:place], units)
    controls_part = _complete_controls(values[len(units) :, first:stop], others, place - first)
    kept, names = controls_part
    return _assembled(read, values[: len(units)], (first, place, stop), units, (kept, names))


def _values(
    read: SeriesDataset, units: list[str], controls: list[str]
) -> tuple[Float[np.ndarray, "V T"], int]:
    """The values of all columns, and the first step at which all of them have begun."""
    values = read.targets[0].astype(np.float64)
    begins = np.isfinite(values).argmax(axis=1)
    first = int(begins.max(initial=0))
    if first:
        name = [*units, *controls][int(begins.argmax())]
        warnings.warn(
            f"The first {first} time steps are left out, as {name!r} begins after them.",
            stacklevel=2,
        )
    return values, first


def _place(read: SeriesDataset, intervention: Any) -> int:
    """The number of the first time step of the period after the intervention."""
    length = read.targets[0].shape[1]
    if not read.dated:
        numbers = np.asarray(read.positions(0, -length, length))
        try:
            return int(np.searchsorted(numbers, float(intervention)))
        except (TypeError, ValueError) as error:
            raise DataError(
                f"The rows are numbered from {numbers[0]} to {numbers[-1]}, and the intervention "
                f"{intervention!r} is not a number."
            ) from error
    stamps = read.timestamps(0, -length, length)
    try:
        stamp = pd.Timestamp(_year(intervention))
    except (TypeError, ValueError) as error:
        raise DataError(f"The intervention {intervention!r} is not a time stamp.") from error
    if stamps.tz is not None:
        stamp = stamp.tz_localize(stamps.tz) if stamp.tz is None else stamp.tz_convert(stamps.tz)
    elif stamp.tz is not None:
        raise DataError(f"The intervention {intervention} has a zone, and the table has none.")
    return int(stamps.searchsorted(stamp))


def _year(intervention: Any) -> Any:
    """The text of a year that is given as a number. Other numbers would be nanoseconds."""
    if not isinstance(intervention, int | float | np.integer | np.floating):
        return intervention
    if not 1000 <= intervention <= 9999:
        raise ValueError(intervention)
    return str(int(intervention))


def _check_past(past: Float[np.ndarray, "U T"], units: list[str]) -> None:
    for name, row in zip(units, past, strict=True):
        count = int(np.isfinite(row).sum())
        if count < FEWEST_POINTS:
            raise DataError(
                f"{name!r} has {count} values before the intervention, and at least "
                f"{FEWEST_POINTS} are needed."
            )
        if np.nanmin(row) == np.nanmax(row):
            raise DataError(
                f"{name!r} is constant before the intervention: its variation is not known."
            )
    if past.shape[1] < SHORT:
        warnings.warn(
            f"Only {past.shape[1]} time steps are before the intervention: the intervals are wide, "
            "and few false interventions can be tried.",
            stacklevel=2,
        )


def _complete_controls(
    values: Float[np.ndarray, "K N"], names: list[str], before: int
) -> tuple[Float[np.ndarray, "K N"], list[str]]:
    """Controls that vary, with gaps interpolated."""
    rows, kept = [], []
    for name, row in zip(names, values, strict=True):
        observed = np.isfinite(row)
        if not observed[-1]:
            last = int(np.flatnonzero(observed).max(initial=-1)) + 1
            raise DataError(
                f"The control {name!r} ends {len(row) - last} time steps before the end of the "
                "period after the intervention: leave it out, or give a shorter prediction_length."
            )
        if not observed.all():
            warnings.warn(
                f"{(~observed).sum()} missing values of the control {name!r} are interpolated.",
                stacklevel=2,
            )
            places = np.arange(len(row))
            row = np.interp(places, places[observed], row[observed])
        if row[:before].min() == row[:before].max():
            warnings.warn(
                f"The control {name!r} is constant before the intervention, and is not used.",
                stacklevel=2,
            )
            continue
        rows.append(row)
        kept.append(name)
    return np.array(rows).reshape(len(rows), values.shape[1]), kept


def _assembled(
    read: SeriesDataset,
    units: Float[np.ndarray, "U T"],
    bounds: tuple[int, int, int],
    names: list[str],
    controls: tuple[Float[np.ndarray, "K N"], list[str]],
) -> Study:
    first, place, stop = bounds
    length = units.shape[1]
    start = read.timestamps(0, first - length, 1)[0] if read.dated else None
    numbering = read.numbering
    if numbering is not None:
        begin = read.positions(0, first - length, 1)[0]
        numbering = numbering._replace(first=[begin] * len(names))
    rows, kept = controls
    dataset = SeriesDataset(
        names,
        [row[None, first:place] for row in units],
        [start] * len(names) if read.dated else (),
        [read.frequencies[0]] * len(names) if read.dated else (),
        known_covariates=[rows] * len(names) if kept else None,
        known_names=tuple(kept),
        numbering=numbering,
        timestamp_column=read.timestamp_column,
    )
    return Study(dataset, units[:, place:stop])
