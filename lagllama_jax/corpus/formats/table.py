"""Files with a row a time and a column a series, on their regular grid of time."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from lagllama_jax.corpus.formats.numbers import parse_floats
from lagllama_jax.corpus.formats.record import Record
from lagllama_jax.errors import DataError
from lagllama_jax.series.grid import infer, place
from lagllama_jax.typing import Float, Int

NO_TIMES = ""
"""The time format of a file without times: its rows are the grid."""


@dataclass
class Table:
    """Rows as they are read from one file.

    Attributes:
      name: of the file.
      columns: name of each series.
      time_format: as in `strptime`, "ISO8601", or `NO_TIMES`.
      lines: number of each row's line.
      times: text of each row's time.
      values: all rows end to end.
    """

    name: str
    columns: Sequence[str]
    time_format: str = "ISO8601"
    lines: list[int] = field(default_factory=list)
    times: list[str] = field(default_factory=list)
    values: array = field(default_factory=lambda: array("f"))

    def __post_init__(self) -> None:
        doubles = [name for name in self.columns if self.columns.count(name) > 1]
        if doubles:
            raise DataError(f"{self.name}: column {doubles[0]!r} occurs twice.")

    def add(self, line: int, time: str, fields: Sequence[str]) -> None:
        """Adds one row, whose time is "" where the file has none.

        Raises:
          DataError: another number of fields than columns, or one that is no number.
        """
        place = f"{self.name}, line {line}"
        if len(fields) != len(self.columns):
            raise DataError(f"{place}: {len(fields)} values, expected {len(self.columns)}.")
        self.values.extend(parse_floats(fields, place))
        self.lines.append(line)
        self.times.append(time)

    def records(self, prefix: str = "") -> Iterator[Record]:
        """One series a column, NaN where a time of the grid has no row.

        Raises:
          DataError: no rows, a time that cannot be read, that does not come after the one
            before, or that is off the grid; names the line.
        """
        rows = self._rows()
        if self.time_format == NO_TIMES:
            start, frequency, positions = None, None, np.arange(len(rows))
        else:
            start, frequency, positions = self._grid()
        values = np.full((positions[-1] + 1, len(self.columns)), np.nan, np.float32)
        values[positions] = rows
        for index, column in enumerate(self.columns):
            target = np.ascontiguousarray(values[:, index])
            yield Record(f"{prefix}{column}", start, frequency, target)

    def _rows(self) -> Float[np.ndarray, "T V"]:
        if not self.lines:
            raise DataError(f"{self.name} has no rows.")
        rows = np.frombuffer(self.values, np.float32).reshape(len(self.lines), -1)
        infinite = np.argwhere(np.isinf(rows))
        if len(infinite):
            row, column = infinite[0]
            raise DataError(
                f"{self._place(row)}: the value of {self.columns[column]} is infinite in float32."
            )
        return rows

    def _grid(self) -> tuple[str, str | None, Int[np.ndarray, "T"]]:
        import pandas as pd

        try:
            stamps = pd.to_datetime(self.times, format=self.time_format, errors="coerce")
        except ValueError as error:
            raise DataError(f"{self.name}: the times cannot be read: {error}.") from error
        if stamps.hasnans:
            row = int(np.flatnonzero(stamps.isna())[0])
            raise DataError(f"{self._place(row)}: {self.times[row]!r} is no time.")
        late = np.flatnonzero(np.diff(stamps.asi8) <= 0) + 1
        if late.size:
            row = int(late[0])
            raise DataError(
                f"{self._place(row)}: {self.times[row]} does not come after the time before it. "
                "Sort the rows, and average those of the same time."
            )
        start = stamps[0].isoformat()
        if len(stamps) == 1:
            return start, None, np.zeros(1, np.int64)
        frequency = infer(stamps)
        one_series = np.zeros(len(stamps), np.int64)
        return start, frequency.alias, place(frequency, stamps, one_series, self._place)

    def _place(self, row: int) -> str:
        return f"{self.name}, line {self.lines[row]}"
