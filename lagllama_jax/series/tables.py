"""`Table`: a user's table as a pandas frame, with names of its rows for messages."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lagllama_jax.errors import DataError
from lagllama_jax.typing import Int

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """A frame, and the names of its rows in messages.

    Attributes:
      frame: The rows, with their index.
      name: File name, or "the frame".
      lines: Line in the file of each row. `None`: rows are counted from 0.
    """

    frame: "pd.DataFrame"
    name: str = "the frame"
    lines: Int[np.ndarray, "n"] | None = None

    def row(self, position: int) -> str:
        """The place of a row, such as `line 19 of data.csv`."""
        if self.lines is None:
            return f"row {position} of {self.name}"
        return f"line {self.lines[position]} of {self.name}"


def as_table(data: Any) -> Table:
    """A table from a pandas DataFrame or Series, or a frame with `to_pandas` (polars, Arrow).

    Levels of a named or multiple index become columns. So does an index of dates, under its name or
    as `timestamp`.

    Raises:
      DataError: If it is something else, the table is empty, or two columns have the same name.
    """
    import pandas as pd

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
    return Table(checked(_with_index(data), "the frame"))


def _with_index(frame: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    index = frame.index
    dated = isinstance(index, pd.DatetimeIndex | pd.PeriodIndex)
    if not dated and all(name is None for name in index.names):
        return frame
    names = ["timestamp"] if dated and index.name is None else None
    if not dated and names is None and set(map(str, index.names)) & set(map(str, frame.columns)):
        return frame
    return frame.reset_index(names=names)


def checked(frame: "pd.DataFrame", name: str) -> "pd.DataFrame":
    """Returns the frame.

    Raises:
      DataError: If it is empty, or two columns have the same name.
    """
    if frame.columns.has_duplicates:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"Column {twice!r} occurs twice in {name}: rename or drop one.")
    if len(frame) == 0:
        raise DataError(f"No rows in {name}: there is nothing to forecast.")
    return frame


def like(data: Any, frame: "pd.DataFrame") -> Any:
    """A result as the kind of frame that the user gave: polars, or else pandas."""
    if type(data).__module__.partition(".")[0] != "polars":
        return frame
    import polars

    return polars.from_pandas(frame)
