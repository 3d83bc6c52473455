"""`Table`: a user's table as a pandas data frame, with names of its rows for error messages."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lagllama_jax.errors import DataError
from lagllama_jax.typing import Int

UNNAMED = "Unnamed: {}"
"""Name of a column without a name, by its number, as in pandas."""


@dataclass(frozen=True)
class Table:
    """A data frame, with the names of its rows for error messages.

    Attributes:
      frame: The data frame.
      name: Name of the file, or "the frame".
      line: Function of the number of a row that returns its line in the file. `None`: rows are
        counted from 0.
      separator: Separator of the cells of a file of delimited text.
      parts: The tables that were joined to this one, if it was joined.

    Raises:
      DataError: If the data frame has no rows, or two columns have the same name.
    """

    frame: pd.DataFrame
    name: str = "the frame"
    line: Callable[[int], int] | None = None
    separator: str | None = None
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

    def take(self, rows: Int[np.ndarray, "n"]) -> "Table":
        """A table of some rows, which keep their lines."""
        line = self.line
        lines = None if line is None else lambda row: line(int(rows[row]))
        return replace(self, frame=self.frame.iloc[rows].reset_index(drop=True), line=lines)

    def with_frame(self, frame: pd.DataFrame) -> "Table":
        """The same table with other columns."""
        return replace(self, frame=frame)

    def followed_by(self, after: "Table", frame: pd.DataFrame) -> "Table":
        """A table of the rows of this one and then those of another one, as `frame` holds them."""
        return replace(self, frame=frame, parts=(self, after))
