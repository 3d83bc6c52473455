"""Places rows that are numbered, or stamped with the time since a start, on a regular grid."""

from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.errors import DataError
from lagllama_jax.series.grid import Describe
from lagllama_jax.series.groups import Groups
from lagllama_jax.series.spacing import common_step
from lagllama_jax.typing import Int


def as_step(freq: Any) -> Any:
    """The step that a frequency gives if it is a number, otherwise `None`."""
    if isinstance(freq, str) and freq.strip().isdigit():
        freq = int(freq)
    number = isinstance(freq, int | float | np.integer | np.floating) and not isinstance(freq, bool)
    if not number:
        return None
    if not freq > 0:
        raise DataError(f"The step of numbered rows must be above 0, and is {freq}.")
    return freq


def place_numbers(
    numbers: pd.Index, codes: Int[np.ndarray, "n"], step: Any, describe: Describe
) -> tuple[Int[np.ndarray, "n"], Any]:
    """The number of steps of each row since the first row of its series, and the step.

    Args:
      numbers: Whole numbers, fractions or durations, ascending within each series.
      codes: Number of the series of each row.
      step: The step. `None`: the common step of the numbers.
      describe: Function that describes a row for an error message.

    Raises:
      DataError: If the numbers have no common step.
    """
    groups = Groups(codes)
    values = (
        numbers.as_unit("ns").asi8
        if isinstance(numbers, pd.TimedeltaIndex)
        else np.asarray(numbers)
    )
    since = groups.since_first(values)
    inferred = step is None
    if step is None:
        step = _step(np.diff(values)[groups.within], since.max())
    elif isinstance(numbers, pd.TimedeltaIndex):
        step = pd.Timedelta(step).value
    position = np.round(since / step).astype(np.int64)
    off = np.abs(since - position * step) > 1e-3 * step
    off |= groups.repeated(position)
    if off.any():
        row = int(np.argmax(off))
        raise DataError(
            f"The rows have no common step ({step}): {describe(row)} is off the grid. Give the "
            "step (freq=1), or number the rows regularly."
        )
    total = int(groups.extent(position).sum())
    if inferred and total > 2 * len(codes):
        raise DataError(
            f"The {len(codes)} rows fill {len(codes) / total:.0%} of the numbers in steps of "
            f"{step} from {describe(0)} on. If they are dates, tell their date_format; if the "
            f"other rows are missing, give freq={step}."
        )
    return position, pd.Timedelta(step, "ns") if isinstance(numbers, pd.TimedeltaIndex) else step


def _step(steps: np.ndarray, longest: Any) -> Any:
    if len(steps) == 0:
        return 1
    if np.issubdtype(steps.dtype, np.integer):
        return common_step(steps)
    usual = np.median(steps[steps <= 1.5 * steps.min()])
    return float(f"{longest / np.round(longest / usual):.12g}")
