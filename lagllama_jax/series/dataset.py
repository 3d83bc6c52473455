"""Series with their names and dates: what data frames and arrays are read into."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lagllama_jax.errors import DataError
from lagllama_jax.series.blocks import last_blocks
from lagllama_jax.series.frequency import Frequency
from lagllama_jax.typing import Clock, Float

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SeriesSet:
    """Series on regular grids.

    Attributes:
      item_ids: names, which also decide a series' random numbers.
      values: one 1-D float64 array a series, NaN where missing.
      starts: time stamp of each first value; `None`: no dates.
      frequencies: step of each series; `None`: no dates.
      id_column: name of the column of names, for tables made of a result.
      timestamp_column: name of the column of time stamps.
      labels: the names as the user's table has them, such as whole numbers.
    """

    item_ids: list[str]
    values: list[Float[np.ndarray, "T"]]
    starts: "list[pd.Timestamp] | None" = None
    frequencies: list[Frequency] | None = None
    id_column: Hashable = "item_id"
    timestamp_column: Hashable = "timestamp"
    labels: Sequence[Any] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def frequency(self) -> Frequency | None:
        """The one step of all series.

        Raises:
          DataError: they have several.
        """
        if self.frequencies is None:
            return None
        if len(set(self.frequencies)) > 1:
            names = ", ".join(sorted({frequency.alias for frequency in self.frequencies}))
            raise DataError(f"The series have several frequencies ({names}): split them by it.")
        return self.frequencies[0]

    def take(self, rows: Sequence[int]) -> Self:
        """Some of the series."""
        starts, frequencies, labels = self.starts, self.frequencies, self.labels
        return replace(
            self,
            item_ids=[self.item_ids[row] for row in rows],
            values=[self.values[row] for row in rows],
            starts=None if starts is None else [starts[row] for row in rows],
            frequencies=None if frequencies is None else [frequencies[row] for row in rows],
            labels=None if labels is None else [labels[row] for row in rows],
        )

    def coarsen(self, size: int) -> Self:
        """Means of blocks of `size` points, the last of which ends with the last value."""
        if size == 1:
            return self
        coarse = replace(self, values=[last_blocks(values, size) for values in self.values])
        if self.starts is None or self.frequencies is None:
            return coarse
        grids = list(zip(self.frequencies, self.starts, self.values, strict=True))
        return replace(
            coarse,
            starts=[f.timestamps(start, len(v) % size, 1)[0] for f, start, v in grids],
            frequencies=[replace(f, step=f.step * size) for f, _, _ in grids],
        )

    def timestamps(self, series: int, first: int, count: int) -> "pd.DatetimeIndex":
        """Time stamps of a stretch of one series; point 0 follows the last value, -1 is the last.

        Raises:
          DataError: the series have no dates.
        """
        if self.starts is None or self.frequencies is None:
            raise DataError("These series have no dates: give start and freq.")
        first += len(self.values[series])
        return self.frequencies[series].timestamps(self.starts[series], first, count)

    def clocks(self, past: int, coming: int) -> list[Clock] | None:
        """Local day and second of each series' last `past` points and the `coming` ones.

        For a series shorter than `past` the grid is followed back beyond its start; without dates
        `None`.
        """
        if self.starts is None or self.frequencies is None:
            return None
        grids = zip(self.frequencies, self.starts, self.values, strict=True)
        return [f.clock(start, len(v) - past, past + coming) for f, start, v in grids]
