"""`Study`: treated units and controls, before and after an intervention."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lagllama_jax.causal.columns import names_of, read_columns
from lagllama_jax.causal.interventions import places_of
from lagllama_jax.config import Count, checked
from lagllama_jax.errors import DataError, listed
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float, Int

FEWEST_POINTS = 8
"""Number of points before the intervention without which nothing is estimated."""
SAME = 1e-8
"""Share of the variance of a target that a control leaves open, below which both are one series."""
MOST_MISSING = 0.5
"""Largest share of a control after the intervention that may be missing."""
SHORT = 30
"""With fewer points before the intervention than this, a warning is given."""


@dataclass(frozen=True)
class Study:
    """Treated units and controls, before and after an intervention.

    Each unit may have an intervention of its own. All have as many time steps before and after it.

    Attributes:
      dataset: The past of the treated units, one item per unit. The controls are known covariates,
        through the period after the intervention on the unit.
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
    def interventions(self) -> list[Any]:
        """Time stamp or number of the first time step after the intervention, of each unit."""
        stamps = self.dataset.timestamps if self.dataset.dated else self.dataset.positions
        return [stamps(number, 0, 1)[0] for number in range(len(self.units))]

    @cached_property
    def staggered(self) -> bool:
        """Whether the units have interventions at different times."""
        return len({str(when) for when in self.interventions}) > 1

    @cached_property
    def times(self) -> Any:
        """The time stamps, or the numbers, of all time steps.

        If the units have interventions at different times, they are counted from these: 0 is the
        first time step after the intervention.
        """
        if self.staggered:
            return np.arange(-self.before, self.after)
        arguments = 0, -self.before, self.before + self.after
        return (
            self.dataset.timestamps(*arguments)
            if self.dataset.dated
            else self.dataset.positions(*arguments)
        )

    @property
    def time_name(self) -> str:
        """Name of the column of `times`."""
        return "steps_since" if self.staggered else str(self.dataset.timestamp_column)


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
    places = places_of(read, intervention, units)
    before, after = _lengths(values[: len(units)], first, places, units, prediction_length)
    windows = [slice(place - before, place + after) for place in places]
    for name, row, place in zip(units, values, places, strict=False):
        _check_past(row[place - before : place], name)
    if before < SHORT:
        warnings.warn(
            f"Only {before} time steps are before the intervention: the intervals are wide, and "
            "few false interventions can be tried.",
            stacklevel=2,
        )
    whole = slice(int(places.min()) - before, int(places.max()) + after)
    rows, kept = _complete_controls(values[len(units) :, whole], others, before)
    known = [rows[:, place - places.min() :][:, : before + after] for place in places]
    actual = np.stack([values[u, window][before:] for u, window in enumerate(windows)])
    for name, row, window, controls_of in zip(units, values, windows, known, strict=False):
        _check_copies(row[window], name, controls_of, kept)
    past = [values[u, None, window][:, :before] for u, window in enumerate(windows)]
    return Study(_dataset(read, past, windows, units, (known, kept)), actual)


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


def _lengths(
    targets: Float[np.ndarray, "U T"],
    first: int,
    places: Int[np.ndarray, "U"],
    units: list[str],
    prediction_length: int | None,
) -> tuple[int, int]:
    """The numbers of time steps before and after each intervention, which all units have."""
    last = int(np.flatnonzero(np.isfinite(targets).any(axis=0)).max(initial=-1)) + 1
    latest, earliest = int(places.argmax()), int(places.argmin())
    if places[latest] >= last:
        raise DataError(
            f"The intervention{_whose(places, units, latest)} is after the last value of "
            f"{listed(units)}: there is nothing to compare with."
        )
    before, after = int(places.min()) - first, last - int(places.max())
    if before < FEWEST_POINTS:
        raise DataError(
            f"{max(before, 0)} time steps are before the intervention"
            f"{_whose(places, units, earliest)}, and at least {FEWEST_POINTS} are needed: give "
            "more of the past."
        )
    if prediction_length is None:
        return before, after
    asked = int(checked("prediction_length", prediction_length, Count))
    if asked > after:
        raise DataError(
            f"prediction_length={asked}, and {after} time steps of {listed(units)} are given from "
            f"the intervention{_whose(places, units, latest)} on."
        )
    return before, asked


def _whose(places: Int[np.ndarray, "U"], units: list[str], number: int) -> str:
    return f" on {units[number]!r}" if len(set(places.tolist())) > 1 else ""


def _check_past(past: Float[np.ndarray, "T"], name: str) -> None:
    count = int(np.isfinite(past).sum())
    if count < FEWEST_POINTS:
        raise DataError(
            f"{name!r} has {count} values before the intervention, and at least {FEWEST_POINTS} "
            "are needed."
        )
    if np.nanmin(past) == np.nanmax(past):
        raise DataError(
            f"{name!r} is constant before the intervention: its variation is not known."
        )


def _check_copies(
    unit: Float[np.ndarray, "N"], name: str, controls: Float[np.ndarray, "K N"], names: list[str]
) -> None:
    """Raises `DataError` if a control is the unit, up to a factor and a constant."""
    observed = np.isfinite(unit)
    for control, values in zip(names, controls, strict=True):
        with np.errstate(invalid="ignore"):
            likeness = np.corrcoef(unit[observed], values[observed])[0, 1]
        if 1 - likeness**2 < SAME:
            raise DataError(
                f"The control {control!r} is the target {name!r} itself, up to a factor and a "
                "constant, also after the intervention: whatever the target did, it did too. Leave "
                "it out."
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
        lost, later = (~observed).sum(), (~observed[before:]).sum()
        if later > MOST_MISSING * (len(row) - before):
            raise DataError(
                f"The control {name!r} has no value at {later} of the {len(row) - before} time "
                "steps after the intervention: leave it out, or fill it in."
            )
        if lost:
            warnings.warn(
                f"{lost} missing values of the control {name!r} are interpolated, {later} of them "
                "after the intervention.",
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


def _dataset(
    read: SeriesDataset,
    past: list[Float[np.ndarray, "1 T"]],
    windows: list[slice],
    units: list[str],
    controls: tuple[list[Float[np.ndarray, "K N"]], list[str]],
) -> SeriesDataset:
    """The past of the units, one item per unit, with its own dates."""
    length, (known, names) = read.targets[0].shape[1], controls
    stamps = read.timestamps if read.dated else read.positions
    begins = [stamps(0, window.start - length, 1)[0] for window in windows]
    numbering = read.numbering
    return SeriesDataset(
        units,
        past,
        begins if read.dated else (),
        [read.frequencies[0]] * len(units) if read.dated else (),
        known_covariates=known if names else None,
        known_names=tuple(names),
        numbering=numbering and numbering._replace(first=begins),
        timestamp_column=read.timestamp_column,
    )
