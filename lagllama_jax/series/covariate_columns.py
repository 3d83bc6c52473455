"""Reads the columns of covariates: numbers, booleans, and categories as one column per level."""

import warnings
from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.errors import DataError, listed
from lagllama_jax.series.columns import is_text, is_time
from lagllama_jax.series.number_columns import numbers, share_of_numbers
from lagllama_jax.series.tables import Table
from lagllama_jax.typing import Bool, Float

MOST_LEVELS = 16
"""Number of levels of a category that have a column of their own: those that occur most often."""
OTHER = "other"
MOSTLY_NUMBERS = 0.5
"""If more cells than this are numbers, the others are errors and not levels of a category."""


def read_covariate(
    table: Table,
    column: Any,
    series: str | np.ndarray,
    past: Bool[np.ndarray, "n"],
    decimal: str | None = None,
) -> dict[str, Float[np.ndarray, "n"]]:
    """Reads a column of covariates as one or several variates.

    Numbers and booleans are one variate, NaN where a cell is empty. A category, which is a column
    of text other than numbers, has one variate per level, 1 where the cell has this level and 0
    elsewhere, so that no order is implied. Levels beyond the `MOST_LEVELS` most frequent ones of
    the past, and levels that do not occur in the past, share the variate `other`.

    Args:
      table: The table.
      column: Name of the column.
      series: Name of the series, or one name per row, for error messages.
      past: Which rows belong to the past.
      decimal: Decimal mark of numbers in text, as in `number_columns.numbers`.

    Raises:
      DataError: If a cell is infinite, or the column holds time stamps.
    """
    cells = table.frame[column]
    if is_time(cells.dtype):
        raise DataError(
            f"Column {str(column)!r} of {table.name} holds time stamps, which are no covariate. "
            "Drop it, or convert it to numbers, such as days since then."
        )
    values = read_values(table, column, series, decimal)
    if values is not None:
        return {str(column): values}
    _warn_of_new_levels(table, column, past)
    return _levels(str(column), cells, past)


def read_values(
    table: Table, column: Any, series: str | np.ndarray, decimal: str | None = None
) -> Float[np.ndarray, "n"] | None:
    """The numbers or booleans of a column. `None`: it is a category or holds time stamps.

    Raises:
      DataError: If a cell is infinite, or most cells are numbers and one is not.
    """
    cells = table.frame[column]
    if isinstance(cells.dtype, pd.CategoricalDtype) or is_time(cells.dtype):
        return None
    try:
        return numbers(table, column, series, decimal)
    except DataError:
        if not is_text(cells) or share_of_numbers(table, column, decimal) > MOSTLY_NUMBERS:
            raise
        return None


def _warn_of_new_levels(table: Table, column: Any, past: Bool[np.ndarray, "n"]) -> None:
    """Warns of cells of the future whose level does not occur in the past."""
    texts = table.frame[column].dropna().astype(object).map(str)
    before = past[table.frame[column].notna().to_numpy()]
    levels, coming = texts[before].unique().tolist(), texts[~before]
    strange = coming[~coming.isin(levels)]
    if not len(strange) or not levels:
        return
    warnings.warn(
        f"Column {str(column)!r} of {table.name}: {listed(strange.unique().tolist())} "
        f"({len(strange)} of {len(coming)} cells of the future) do not occur in the past, which "
        f"has {listed(levels)}. They share the covariate '{column}={OTHER}', of which the past "
        "tells nothing. If they are known, write both alike.",
        stacklevel=2,
    )


def _levels(
    name: str, cells: pd.Series, past: Bool[np.ndarray, "n"]
) -> dict[str, Float[np.ndarray, "n"]]:
    cells = cells.astype(object)
    known = cells[past].dropna().map(str).value_counts()
    # The most frequent levels first; equally frequent ones in the order of their names.
    ranked = sorted(known.index, key=lambda level: (-known[level], level))
    kept = sorted(ranked[:MOST_LEVELS])
    texts = cells.map(str).where(cells.notna())
    found = {f"{name}={level}": (texts == level).to_numpy(np.float64) for level in kept}
    rest = (texts.notna() & ~texts.isin(kept)).to_numpy(np.float64)
    return found | ({f"{name}={OTHER}": rest} if rest.any() else {})
