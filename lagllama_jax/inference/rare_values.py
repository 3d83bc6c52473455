"""Tells of rare values, such as the sales of spare parts, that a forecast leaves out."""

import warnings

import numpy as np

from lagllama_jax.inference.aggregation import points_per_day
from lagllama_jax.inference.differences import LONGEST, closest_lag, repeats
from lagllama_jax.inference.forecast import Forecast
from lagllama_jax.series.frequency import Frequency
from lagllama_jax.typing import Float

RECENT, CYCLES = 256, 14
"""Number of last points that are looked at, and of days or weeks if these are more points."""
USUAL = 0.5
"""Smallest share of the points that have the usual value."""
TIMES = 4
"""Smallest number of times at which the series left that value. A level that only shifted left it
once."""
LEVELS, OUTSIDE = (0.01, 0.99), 0.05
"""An interval, and the largest share of the past outside of it. 2 % are expected."""


def recent(past: Float[np.ndarray, "T"]) -> Float[np.ndarray, "n"]:
    """The last `RECENT` points that are not missing, if they are not too far back."""
    last = past[-8 * RECENT :]
    return last[np.isfinite(last)][-RECENT:]


def usual_value(past: Float[np.ndarray, "T"]) -> float | None:
    """The value that a series mostly has, and leaves now and then. `None`: there is none.

    >>> usual_value(np.array([0.0, 0, 0, 1, 0, 2, 0, 0, 1, 0, 0, 3, 0]))
    0.0
    >>> usual_value(np.array([0.0, 0, 0, 0, 0, 0, 7, 7, 7])) is None
    True
    """
    last = recent(past)
    values, counts = np.unique(last, return_counts=True)
    if not len(last) or counts.max() < USUAL * len(last):
        return None
    apart = last != values[counts.argmax()]
    leaves = int((apart[1:] & ~apart[:-1]).sum())
    return float(values[counts.argmax()]) if leaves >= TIMES else None


def by_place(past: Float[np.ndarray, "T"], cycle: int) -> Float[np.ndarray, "N C"]:
    """The last points, one row per cycle. The first column has the place of the next step."""
    cycles = min(max(RECENT // cycle, CYCLES), len(past) // cycle)
    return past[len(past) - cycles * cycle :].reshape(cycles, cycle)


def share_outside(
    past: Float[np.ndarray, "T"],
    low: Float[np.ndarray, "P"],
    high: Float[np.ndarray, "P"],
    cycle: int,
) -> float:
    """Share of the last points outside of the bounds of the steps at the same place of a cycle.

    Args:
      past: The series, up to the first step.
      low: Lower bounds of the steps.
      high: Upper bounds.
      cycle: Number of points of the cycle. 1: each point is compared with the widest bounds.
    """
    last = by_place(past, cycle)
    places = np.arange(len(low)) % cycle
    lowest, highest = np.full(cycle, np.inf), np.full(cycle, -np.inf)
    np.minimum.at(lowest, places, low)
    np.maximum.at(highest, places, high)
    used = last[:, lowest <= highest]
    outside = (used < lowest[lowest <= highest]) | (used > highest[lowest <= highest])
    seen = np.isfinite(used)
    return float((outside & seen).sum() / max(seen.sum(), 1))


def cycle_of(frequency: Frequency | None) -> int:
    """Number of points of a day, or of the cycle of days or longer steps."""
    if frequency is None:
        return 1
    day = points_per_day(frequency)
    return day if day > 1 else frequency.cycle


def period_of(past: Float[np.ndarray, "T"], frequency: Frequency | None) -> int:
    """The lag at which a series nearly repeats itself, otherwise `cycle_of` its frequency.

    >>> period_of((np.arange(100) % 10 == 0) * 1.0, None)
    10
    """
    lag = closest_lag(past, 1, LONGEST)
    return lag if lag and repeats(past, lag) else cycle_of(frequency)


def warn_of_rare_values(forecast: Forecast) -> None:
    """Warns if a forecast leaves out values that a series has now and then.

    The bundled weights take a value that is mostly there for certain, so that their intervals do
    not contain the others. Rows that have a point mass (`WithPointMasses`) are no such forecasts.
    """
    variates, found, law = len(forecast.dataset.target_names), [], forecast.marginals
    masses = set() if law is None else set(np.flatnonzero(law.has_mass.any(axis=1)).tolist())
    for row, past in enumerate(forecast.past):
        usual = usual_value(past)
        if usual is None or row in masses:
            continue
        low, high = forecast.quantiles(LEVELS, row)[0]
        cycle = period_of(past, forecast.dataset.frequencies[row // variates])
        share = share_outside(past, low, high, cycle)
        if share > OUTSIDE:
            found.append((share, forecast.item_ids[row], usual))
    tell(
        found,
        len(forecast),
        "the forecast leaves the others out: {:.0%} of the last values are outside of its interval "
        "of 98 %. Forecast sums over longer steps, such as weeks.",
    )


def tell(found: list[tuple[float, str, float]], total: int, what: str) -> None:
    """Warns of series with rare values, if any were found.

    Args:
      found: A share, the name and the usual value of each such series.
      total: Number of all series.
      what: What follows from the values, with a place for the largest share.
    """
    if found:
        share, name, usual = max(found)
        warnings.warn(
            f"{len(found)} of {total} series, such as {name!r}, mostly have one value ({usual:g}), "
            f"and {what.format(share)}",
            stacklevel=4,
        )
