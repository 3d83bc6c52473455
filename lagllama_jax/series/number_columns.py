"""Reads columns of numbers."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lagllama_jax.errors import DataError, listed
from lagllama_jax.series.columns import is_time
from lagllama_jax.series.number_text import Writing, read_numbers, units
from lagllama_jax.series.tables import Table, quoted, series_name
from lagllama_jax.typing import Float

MARKERS = (-999.0, -999.9, -9999.0, -9999.9, -99999.0)  # which often stand for missing values


def numbers(
    table: Table, column: Any, series: str | np.ndarray, decimal: str | None = None
) -> Float[np.ndarray, "n"]:
    """Reads a column as float64, NaN where a cell is empty.

    Args:
      table: The table.
      column: Name of the column.
      series: Name of the series, or one name per row, for error messages.
      decimal: The decimal mark of text. `None`: the one by which all cells are numbers.

    Raises:
      DataError: If a cell is infinite or not a number. The message names series, column and row.
    """
    cells = table.frame[column]
    if getattr(cells.dtype, "kind", "O") == "m":
        raise DataError(
            f"Column {str(column)!r} of {table.name} holds durations. Convert them to numbers, as "
            "with dt.total_seconds()."
        )
    writing = _writing(table, column, decimal)
    values, bad = _values(cells, writing)
    for wrong, problem in ((bad, "not a number"), (np.isinf(values), "infinite")):
        if wrong.any():
            row = int(np.argmax(wrong))
            raise DataError(
                f"{series_name(series, row)}column {str(column)!r}, {table.row(row)}: "
                f"{quoted(cells.iloc[row])} is {problem}"
                + _remedy(str(column), cells, every=bool((bad | cells.isna()).all()))
            )
    low = np.nanmin(values, initial=0.0)
    if low in MARKERS and values[values > low].min(initial=0.0) > low / 4:
        warnings.warn(
            f"{writing.place}: {low:g} occurs {(values == low).sum()} times. If it stands for a "
            "missing value, leave these cells empty (NaN).",
            stacklevel=2,
        )
    return values


def share_of_numbers(table: Table, column: Any, decimal: str | None = None) -> float:
    """Share of the cells that are numbers, of those that are not empty. The arguments are as above.

    >>> table = Table(pd.DataFrame({"a": ["1,5", "2,25", "x", None]}))
    >>> round(share_of_numbers(table, "a"), 2)
    0.67
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            values, bad = _values(table.frame[column], _writing(table, column, decimal))
        except DataError:  # all are numbers by either decimal mark
            return 1.0
    return float(1 - bad.sum() / max((bad | np.isfinite(values)).sum(), 1))


def _writing(table: Table, column: Any, decimal: str | None) -> Writing:
    place = f"Column {str(column)!r} of {table.name}"
    return Writing(place, decimal, table.separator, table.decimal)


def _remedy(column: str, cells: pd.Series, every: bool) -> str:
    """The end of a message on a cell of a column. `every`: the column has no number at all."""
    found = units(pa.array(cells.dropna().astype(str), pa.string()))
    if found:
        cause = f"units {listed(found)} occur in" if found[1:] else f"unit {found[0]} is in some of"
        return (
            f", as the {cause} the cells. Write all values in one unit, or, if the column names "
            f"the series, give id_column={column!r}."
        )
    if every:
        return (
            ", nor is any other cell of the column. If it names the series, give "
            f"id_column={column!r}. If it is of no use, drop the column, or name those to forecast "
            "with target=."
        )
    return (
        ". Leave the cell empty (NaN) if the value is missing, or drop the column if it is not a "
        "series. A column of names of series is told by id_column=, and the columns to forecast by "
        "target=."
    )


def _values(cells: pd.Series, writing: Writing) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of a column, NaN where there is none, and which of its cells are no numbers."""
    dtype = cells.dtype
    present = cells.notna().to_numpy()
    if isinstance(dtype, pd.CategoricalDtype):
        cells = cells.astype(object)
    if is_time(dtype) or pd.api.types.is_complex_dtype(dtype):
        return np.full(len(cells), np.nan), present
    if pd.api.types.is_numeric_dtype(dtype):
        return cells.to_numpy(dtype=np.float64, na_value=np.nan), np.zeros(len(cells), bool)
    kind = pd.api.types.infer_dtype(cells, skipna=True)
    if kind in ("decimal", "boolean", "integer", "floating", "mixed-integer-float"):
        return cells.astype(object).where(present, np.nan).to_numpy(np.float64), ~present & False
    if isinstance(dtype, pd.ArrowDtype):
        texts = pa.array(cells.array)
    else:
        texts = pa.array(
            [str(cell) if there else None for cell, there in zip(cells, present, strict=True)]
        )
    return read_numbers(texts.cast(pa.string()), writing)
