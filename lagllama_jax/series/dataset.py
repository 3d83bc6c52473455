"""`SeriesDataset`: the one container of series on the host, made by every door."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from lagllama_jax.errors import DataError
from lagllama_jax.series.blocks import last_blocks
from lagllama_jax.series.frequency import Frequency
from lagllama_jax.typing import Clock, Float, Int

if TYPE_CHECKING:
    import pandas as pd

Covariates = list[Float[np.ndarray, "K T"]]


class Item(NamedTuple):
    """One item of a dataset: a group of variates on one regular time grid.

    Attributes:
      item_id: Its name.
      target: The variates to forecast, NaN where a value is missing.
      start: Time stamp of the first value, with its time zone; `None`: unknown.
      frequency: The step; `None`: unknown.
      past_covariates: Variates that are known up to the end of `target`.
      known_covariates: Variates that are known beyond the end of `target` as well.
    """

    item_id: str
    target: Float[np.ndarray, "V T"]
    start: "pd.Timestamp | None" = None
    frequency: Frequency | None = None
    past_covariates: Float[np.ndarray, "Q T"] | None = None
    known_covariates: Float[np.ndarray, "K T_plus_P"] | None = None


@dataclass(frozen=True)
class SeriesDataset:
    """Items on regular time grids; a column per field, so that a million items are cheap.

    Attributes:
      item_ids: Names of the items, which also decide their random numbers.
      targets: The variates to forecast of each item, float64, NaN where a value is missing.
      starts: Time stamp of each item's first value, or `None` where there are no dates.
      frequencies: Step of each item, or `None` where there are no dates.
      past_covariates: Variates of each item that are known up to the end of its target.
      known_covariates: Variates of each item that are known beyond the end of its target too.
      target_names: Names of the rows of a target.
      past_names: Names of the rows of `past_covariates`.
      known_names: Names of the rows of `known_covariates`.
      id_column: Name of the column of item names in tables made of a result.
      timestamp_column: Name of the column of time stamps in these tables.
      labels: The item names as the user's table has them, such as whole numbers.
    """

    item_ids: Sequence[str]
    targets: list[Float[np.ndarray, "V T"]]
    starts: "Sequence[pd.Timestamp | None]" = ()
    frequencies: Sequence[Frequency | None] = ()
    past_covariates: Covariates | None = None
    known_covariates: Covariates | None = None
    target_names: tuple[str, ...] = ("target",)
    past_names: tuple[str, ...] = ()
    known_names: tuple[str, ...] = ()
    id_column: Hashable = "item_id"
    timestamp_column: Hashable = "timestamp"
    labels: Sequence[Any] = field(default=())

    def __post_init__(self) -> None:
        count = len(self.targets)
        fill = {"starts": [None] * count, "frequencies": [None] * count, "labels": self.item_ids}
        for name, default in fill.items():
            if len(getattr(self, name)) == 0:
                object.__setattr__(self, name, default)

    @classmethod
    def of(cls, items: Iterable[Item], **columns: Any) -> Self:
        """A dataset of items that have the same variates."""
        rows = list(items)
        fields = dict(zip(Item._fields, zip(*rows, strict=True), strict=True)) if rows else {}
        past, known = fields.get("past_covariates", ()), fields.get("known_covariates", ())
        return cls(
            list(fields.get("item_id", ())),
            list(fields.get("target", ())),
            list(fields.get("start", ())),
            list(fields.get("frequency", ())),
            None if any(part is None for part in past) else list(past),
            None if any(part is None for part in known) else list(known),
            **columns,
        )

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> Item:
        past, known = self.past_covariates, self.known_covariates
        return Item(
            self.item_ids[index],
            self.targets[index],
            self.starts[index],
            self.frequencies[index],
            None if past is None else past[index],
            None if known is None else known[index],
        )

    def __iter__(self) -> Iterator[Item]:
        return (self[index] for index in range(len(self)))

    @property
    def dated(self) -> bool:
        """Whether every item has a start and a frequency."""
        return len(self) > 0 and not any(start is None for start in self.starts)

    @property
    def frequency(self) -> Frequency | None:
        """The one step of all items.

        Raises:
          DataError: If they have several.
        """
        if not self.dated:
            return None
        if len(set(self.frequencies)) > 1:
            names = ", ".join(sorted({str(frequency) for frequency in self.frequencies}))
            raise DataError(f"The series have several frequencies ({names}): split them by it.")
        return self.frequencies[0]

    @property
    def lengths(self) -> Int[np.ndarray, "n"]:
        """Number of points of each item's target."""
        return np.array([target.shape[1] for target in self.targets], int)

    def truncate(self, ends: Int[np.ndarray, "n"]) -> Self:
        """The first points of each item, as views; known covariates are kept whole."""
        targets = [target[:, :end] for target, end in zip(self.targets, ends, strict=True)]
        past = self.past_covariates
        if past is not None:
            past = [rows[:, :end] for rows, end in zip(past, ends, strict=True)]
        return replace(self, targets=targets, past_covariates=past)

    def take(self, rows: Sequence[int]) -> Self:
        """Some of the items, in the order of `rows`."""
        changes: dict[str, Any] = {}
        names = ("item_ids", "targets", "starts", "frequencies", "labels")
        for name in (*names, "past_covariates", "known_covariates"):
            column = getattr(self, name)
            changes[name] = None if column is None else [column[row] for row in rows]
        return replace(self, **changes)

    def coarsen(self, size: int) -> Self:
        """Means of blocks of `size` points, the last of which ends with the last value."""
        if size == 1:
            return self
        targets = [np.stack([last_blocks(row, size) for row in target]) for target in self.targets]
        starts, frequencies = [], []
        for start, frequency, target in zip(
            self.starts, self.frequencies, self.targets, strict=True
        ):
            if start is not None and frequency is not None:
                start = frequency.timestamps(start, target.shape[1] % size, 1)[0]
                frequency = replace(frequency, step=frequency.step * size)
            starts.append(start)
            frequencies.append(frequency)
        return replace(self, targets=targets, starts=starts, frequencies=frequencies)

    def timestamps(self, index: int, first: int, count: int) -> "pd.DatetimeIndex":
        """Time stamps of a stretch of one item; point 0 follows its last value, -1 is the last.

        Raises:
          DataError: If the item has no dates.
        """
        start, frequency = self.starts[index], self.frequencies[index]
        if start is None or frequency is None:
            raise DataError("These series have no dates: give start and freq.")
        return frequency.timestamps(start, first + self.targets[index].shape[1], count)

    def clocks(self, past: int, coming: int) -> list[Clock] | None:
        """Local day and second of each item's last `past` points and the `coming` ones.

        For an item shorter than `past` the grid is followed back beyond its start; without dates
        `None`.
        """
        if not self.dated:
            return None
        grids = zip(self.frequencies, self.starts, self.targets, strict=True)
        return [f.clock(start, v.shape[1] - past, past + coming) for f, start, v in grids]  # type: ignore[union-attr]
