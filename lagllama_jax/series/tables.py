"""`Table`: a user's table as a pandas data frame, with names of its rows for error messages."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.errors import DataError
from lagllama_jax.typing import Int


@dataclass(frozen=True)
class Table:
    """A data frame, with the names of its rows for error messages.

    Attributes:
      frame: The data frame.
      name: Name of the file, or "the frame".
      lines: Line number of each row in the file. `None`: rows are counted from 0.

    Raises:
      DataError: If the data frame has no rows, or two columns have the same name.
    """

    frame: pd.DataFrame
    name: str = "the frame"
    lines: Int[np.ndarray, "n"] | None = None

    def __post_init__(self) -> None:
        columns = self.frame.columns
        if columns.has_duplicates:
            twice = columns[columns.duplicated()][0]
            raise DataError(f"Column {twice!r} occurs twice in {self.name}: rename or drop one.")
        if len(self.frame) == 0:
            raise DataError(f"No rows in {self.name}: there is nothing to forecast.")

    def row(self, position: int) -> str:
        """Describes the place of a row, such as `line 19 of data.csv`."""
        if self.lines is None:
            return f"row {position} of {self.name}"
        return f"line {self.lines[position]} of {self.name}"


def as_table(data: Any) -> Table:
    """Makes a table from a pandas DataFrame or Series, or from a polars or Arrow data frame.

    The levels of a named index become columns. An index of dates without a name becomes the column
    `timestamp`.

    Raises:
      DataError: If `data` is something else, has no rows, or has two columns of the same name.
    """
    if isinstance(data, Table):
        return data
    if hasattr(data, "collect") and not hasattr(data, "to_pandas"):
        data = data.collect()
    if not isinstance(data, pd.DataFrame | pd.Series) and hasattr(data, "to_pandas"):
        data = data.to_pandas()
    if isinstance(data, pd.Series):
        data = data.to_frame("target" if data.name is None else data.name)
    if not isinstance(data, pd.DataFrame):
        raise DataError(f"Expected a data frame, not {type(data).__name__}.")
    return Table(_with_index(data))


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    index = frame.index
    dated = isinstance(index, pd.DatetimeIndex | pd.PeriodIndex)
    if not dated and all(name is None for name in index.names):
        return frame
    names = ["timestamp"] if dated and index.name is None else None
    if not dated and set(map(str, index.names)) & set(map(str, frame.columns)):
        return frame
    return frame.reset_index(names=names)


def like(data: Any, frame: pd.DataFrame) -> Any:
    """Converts a result to polars if the user's `data` is from polars, otherwise returns it."""
    if type(data).__module__.partition(".")[0] != "polars":
        return frame
    import polars

    return polars.from_pandas(frame)
