"""`Table`: a user's table as a pandas data frame, with names of its rows for error messages."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.errors import DataError
from lagllama_jax.typing import Int

UNNAMED = "Unnamed: {}"
"""Name of a column without a name, by its number, as in pandas."""
LONGEST = 60  # number of characters of a cell that an error message shows


@dataclass(frozen=True)
class Table:
    """A data frame, with the names of its rows for error messages.

    Attributes:
      frame: The data frame.
      name: Name of the file, or "the frame".
      line: Function of the number of a row that returns its line in the file. `None`: rows are
        counted from 0.
      separator: Separator of the cells of a file of delimited text.
      decimal: Decimal mark of such a file (`decimal_mark`).
      parts: The tables that were joined to this one, if it was joined.

    Raises:
      DataError: If the data frame has no rows, or two columns have the same name.
    """

    frame: pd.DataFrame
    name: str = "the frame"
    line: Callable[[int], int] | None = None
    separator: str | None = None
    decimal: str | None = None
    parts: "tuple[Table, ...]" = ()

    def __post_init__(self) -> None:
        columns = self.frame.columns
        if columns.has_duplicates:
            twice = columns[columns.duplicated()][0]
            raise DataError(f"Column {twice!r} occurs twice in {self.name}: rename or drop one.")
        if len(self.frame) == 0:
            raise DataError(f"No rows in {self.name}: there is nothing to forecast.")

    def row(self, position: int) -> str:
        """Describes the place of a row, such as `line 19 of data.csv`."""
        for part in self.parts:
            if position < len(part.frame):
                return part.row(position)
            position -= len(part.frame)
        if self.line is None:
            return f"row {position} of {self.name}"
        return f"line {self.line(position)} of {self.name}"

    def with_frame(self, frame: pd.DataFrame, rows: Int[np.ndarray, "n"] | None = None) -> "Table":
        """The same table with another frame.

        Args:
          frame: The frame.
          rows: Number in this table of each row of the frame. `None`: the rows are the same.
        """
        line = self.line
        if line is None or rows is None:
            return replace(self, frame=frame)
        return replace(self, frame=frame, line=lambda row: line(int(rows[row])))

    def followed_by(self, after: "Table", frame: pd.DataFrame) -> "Table":
        """A table of the rows of this one and then those of another one, as `frame` holds them."""
        return replace(self, frame=frame, parts=(self, after))


def decimal_mark(frame: pd.DataFrame) -> str | None:
    """The decimal mark of a table of text, if its first cells with decimals have only one.

    >>> decimal_mark(pd.DataFrame({"a": ["1.850", "1.781"], "b": ["-0,2", "12,7"]}))
    ','
    """
    cells = set(map(str, frame.iloc[:200, :50].to_numpy(dtype=object).ravel()))
    marked = r"-?[\d{1}]*\d\{0}(\d\d?|\d{{4,}})"
    patterns = {marks[0]: re.compile(marked.format(*marks)) for marks in (".,", ",.")}
    found = [mark for mark, one in patterns.items() if any(map(one.fullmatch, cells))]
    return found.pop() if len(found) == 1 else None


def quoted(cell: Any) -> str:
    """A cell in quotation marks for an error message, of which only the beginning if it is long."""
    text = str(cell)
    return repr(text if len(text) <= LONGEST else f"{text[:LONGEST]}...")


def series_name(series: str | np.ndarray, row: int) -> str:
    """The name of the series of a row, for the beginning of an error message."""
    return f"Series {str(series if isinstance(series, str) else series[row])!r}, "
