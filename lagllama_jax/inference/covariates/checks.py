"""Checks of the covariates of a dataset."""

import logging
import warnings

import numpy as np

from lagllama_jax.errors import DataError, listed
from lagllama_jax.inference.covariates.design import bounds, varies
from lagllama_jax.series.dataset import SeriesDataset

LOG = logging.getLogger("lagllama_jax")


def check_covariates(dataset: SeriesDataset, prediction_length: int) -> None:
    """Checks that covariates have the points of their series, and of a horizon if known.

    Raises:
      DataError: If they have not, or a value is infinite. The message names item and covariate.
    """
    kinds = (
        ("past", dataset.past_covariates, dataset.past_names, 0),
        ("known", dataset.known_covariates, dataset.known_names, prediction_length),
    )
    for kind, rows, names, more in kinds:
        for item, part, length in zip(
            dataset.item_ids, rows or (), dataset.lengths.tolist(), strict=False
        ):
            if part.shape[0] != len(names):
                raise DataError(
                    f"Series {item!r} has {part.shape[0]} {kind} covariates, and {len(names)} are "
                    "named: give every series the same ones."
                )
            needed = length + more
            if part.shape[1] < needed or (kind == "past" and part.shape[1] > needed):
                horizon = f" and {more} of the horizon" if more else ""
                raise DataError(
                    f"Series {item!r}: its {kind} covariates have {part.shape[1]} points; expected "
                    f"{needed} ({length} of the series{horizon})."
                )
            infinite = np.isinf(part)
            if infinite.any():
                row, place = (int(index[0]) for index in np.nonzero(infinite))
                raise DataError(
                    f"Series {item!r}, covariate {names[row]!r}, position {place} is infinite: put "
                    "NaN if it is missing."
                )


def report_network_use(dataset: SeriesDataset) -> None:
    """Tells which covariates the network uses (as information) and warns of the others.

    These are the ones without a value in the past of any series.
    """
    lengths, used = dataset.lengths, []
    for rows, names in (
        (dataset.past_covariates, dataset.past_names),
        (dataset.known_covariates, dataset.known_names),
    ):
        pasts = [part[:, :length] for part, length in zip(rows or (), lengths, strict=False)]
        there = np.any([~np.isnan(part).all(axis=1) for part in pasts], axis=0)
        used += [name for name, some in zip(names, np.atleast_1d(there), strict=False) if some]
    if used:
        LOG.info("Covariates: %s.", listed(used))
    empty = [name for name in (*dataset.past_names, *dataset.known_names) if name not in used]
    if empty:
        warnings.warn(
            f"The covariates {listed(empty)} are not used: they have no value in the past.",
            stacklevel=2,
        )


def _warn_of_far_values(dataset: SeriesDataset, steps: int, used: list[str]) -> None:
    """Warns of values of the horizon that the regression clips, as they are far from the past."""
    found: dict[str, list[str]] = {}
    pairs = zip(dataset.item_ids, dataset.known_covariates or (), dataset.lengths, strict=False)
    for item, part, length in pairs:
        for name, values in zip(dataset.known_names, part, strict=True):
            past, coming = values[:length], values[length : length + steps]
            if name not in used or not varies(past):
                continue
            low, high = bounds(past)
            far = coming[(coming < low) | (coming > high)]
            if far.size:
                least, most = np.nanmin(past), np.nanmax(past)
                where = f"{far[0]:g} in series {item!r} ({least:g} to {most:g} in its past)"
                found.setdefault(name, []).append(where)
    for name, places in found.items():
        more = f", and in {len(places) - 1} other series" if len(places) > 1 else ""
        warnings.warn(
            f"The covariate {name!r} has values far from those of the past, such as {places[0]}"
            f"{more}. They are taken for less extreme ones: check the units and decimal marks.",
            stacklevel=3,
        )


def report_use(dataset: SeriesDataset, steps: int) -> None:
    """Tells which covariates the regression uses (as information) and warns of the others.

    Covariates of the past alone are not used, and neither are those that have one value, or none,
    in the past of every series, or no value in the next `steps` points of any.
    """
    idle, unknown = set(dataset.known_names), set(dataset.known_names)
    for part, length in zip(dataset.known_covariates or (), dataset.lengths, strict=False):
        for name, values in zip(dataset.known_names, part, strict=True):
            if varies(values[:length]):
                idle.discard(name)
            if np.isfinite(values[length : length + steps]).any():
                unknown.discard(name)
    used = [name for name in dataset.known_names if name not in idle | unknown]
    _warn_of_far_values(dataset, steps, used)
    blank = [name for name in dataset.known_names if name in unknown - idle]
    if used:
        LOG.info("Known covariates: %s.", listed(used))
    for names, cause in (
        ([name for name in dataset.known_names if name in idle], "they do not vary in the past"),
        (blank, "they have no value in the horizon"),
        (
            dataset.past_names,
            "their future is not given: only covariates='network' uses a past",
        ),
    ):
        if names:
            warnings.warn(f"The covariates {listed(names)} are not used: {cause}.", stacklevel=2)
