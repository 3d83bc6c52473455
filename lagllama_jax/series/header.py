"""Finds the line of column names of a table in delimited text."""

import re
import warnings
from collections.abc import Sequence
from typing import NamedTuple

from lagllama_jax.errors import DataError
from lagllama_jax.series.time_text import as_times

_WORDS = (
    r"jan\w*|feb\w*|mar\w*|apr\w*|may|june?|july?|aug\w*|sep\w*|oct\w*|nov\w*|dec\w*|"
    r"mon\w*|tue\w*|wed\w*|thu\w*|fri\w*|sat\w*|sun\w*|utc|gmt|[ecmp][sd]t|ces?t|[ap]m|"
    r"(?<=\d)(?:e|t|z|-?[wmq])(?=[-+]?\d|$)|q(?=[1-4])|z"
)
_VALUE = re.compile(rf"(?i)(?=.*\d)(?:[\W\d_]|{_WORDS})+")


class TextRow(NamedTuple):
    """A row of cells, and the number of lines of the file up to its end."""

    cells: list[str]
    lines: int


class Header(NamedTuple):
    """The column names of a table, and the number of lines of the file up to the data."""

    names: list[str]
    lines: int


def is_value(cell: str) -> bool:
    """Whether a cell is a number or a time rather than a name."""
    return _VALUE.fullmatch(cell.strip()) is not None


def find_header(rows: Sequence[TextRow], name: str) -> Header:
    """Finds the column names of a table by its first rows.

    The names are in the last row before the first row with values in columns of values. Names in
    several rows are joined by `/`. Other rows before them are skipped, with a warning.

    Args:
      rows: The first rows of the file.
      name: Name of the file for error messages.

    Raises:
      DataError: If there are no names, or a name occurs twice.
    """
    rows = [row for row in rows if any(cell.strip() for cell in row.cells)]
    if not rows:
        raise DataError(f"{name} is empty: it should have a line of column names.")
    columns = _value_columns(rows)
    first = next((i for i, row in enumerate(rows) if _is_data(row.cells, columns)), None)
    if first is None:
        width = max(len(row.cells) for row in rows)
        first = 1 + next(i for i, row in enumerate(rows) if len(row.cells) == width)
    elif _holds_times(rows[first].cells, columns):
        first += 1
    elif first == 0:
        raise DataError(
            f"Line {rows[0].lines} of {name} looks like data ({', '.join(rows[0].cells[:4])}), and "
            "there are no column names above it. Add a first line such as item_id,timestamp,target."
        )
    else:
        texts = [
            i
            for i in range(first)
            if not _has_value(rows[i].cells, columns) and len(rows[i].cells) > 1
        ]
        first = max(texts, default=first - 1) + 1
    begin = first - 1
    while begin > 0 and _incomplete(rows[begin:first]) and _fits(rows[begin - 1], rows[begin]):
        begin -= 1
    if begin > 0:
        warnings.warn(
            f"{name}: the column names were found in line {rows[first - 1].lines}. The lines "
            "before them were left out.",
            stacklevel=2,
        )
    names = _joined([row.cells for row in rows[begin:first]])
    _check_names(names, name)
    return Header(names, rows[first - 1].lines)


def _value_columns(rows: Sequence[TextRow]) -> list[int]:
    """The columns in which most of the last cells are values."""
    last = [row.cells for row in rows[len(rows) // 2 :]]
    columns = []
    for column in range(max(map(len, last))):
        filled = [row[column] for row in last if len(row) > column and row[column].strip()]
        if filled and sum(map(is_value, filled)) > 0.5 * len(filled):
            columns.append(column)
    return columns


def _is_data(cells: list[str], columns: list[int]) -> bool:
    """Whether the cell of a row in the first column of values is a value."""
    wide = len(cells) > 1 or columns == [0]
    return wide and _has_value(cells, columns[:1])


def _has_value(cells: list[str], columns: list[int]) -> bool:
    return any(is_value(cells[column]) for column in columns if column < len(cells))


def _holds_times(cells: list[str], columns: list[int]) -> bool:
    """Whether the values of a row are different dates or years, which name columns."""
    filled = [cells[one].strip() for one in columns if one < len(cells) and cells[one].strip()]
    alike = len({cell.isdigit() for cell in filled}) == 1
    return alike and len(set(filled)) == len(filled) > 2 and None not in as_times(filled)


def _incomplete(rows: Sequence[TextRow]) -> bool:
    names = [name for name in _joined([row.cells for row in rows])]
    return "" in names or len(set(names)) < len(names)


def _fits(upper: TextRow, lower: TextRow) -> bool:
    return len(upper.cells) == len(lower.cells) and sum(map(bool, upper.cells)) > 1


def _joined(rows: list[list[str]]) -> list[str]:
    """One name per column. If the last row names leading columns only, it names them alone."""
    *upper, last = [[cell.strip().lstrip("#").strip() for cell in row] for row in rows]
    filled = [bool(cell) for cell in last]
    leading = (
        bool(upper) and filled[0] and filled == sorted(filled, reverse=True) and not filled[-1]
    )
    names = []
    for column, cell in enumerate(last):
        parts = [row[column] for row in upper if row[column]] * (not (leading and cell))
        names.append("/".join([*parts, cell] if cell else parts))
    return names


def _check_names(names: list[str], file: str) -> None:
    for number, name in enumerate(names):
        if name and name in names[:number]:
            raise DataError(f"Column {name!r} occurs twice in {file}: rename or drop one.")
