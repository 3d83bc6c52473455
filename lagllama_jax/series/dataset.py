"""`SeriesDataset`: the container of series on the host, which all readers return."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from lagllama_jax.errors import DataError
from lagllama_jax.series.blocks import blocks_around, last_blocks
from lagllama_jax.series.cycles import Cycle
from lagllama_jax.series.frequency import Frequency
from lagllama_jax.typing import Float, Int

if TYPE_CHECKING:
    import pandas as pd

Covariates = list[Float[np.ndarray, "K T"]]
_COLUMNS = ("item_ids", "targets", "starts", "frequencies", "past_covariates", "known_covariates")
"""The columns of a dataset that hold the fields of `Item`, in the order of the fields."""


class Item(NamedTuple):
    """One item of a dataset, which is a group of variates on one regular time grid.

    Attributes:
      item_id: Name of the item.
      target: The variates to forecast, NaN where a value is missing.
      start: Time stamp of the first value, with its time zone. `None`: unknown.
      frequency: Step of the time grid. `None`: unknown.
      past_covariates: Variates that are known up to the end of `target`. `None`: there are none.
      known_covariates: Variates that are known beyond the end of `target`. `None`: there are none.
    """

    item_id: str
    target: Float[np.ndarray, "V T"]
    start: "pd.Timestamp | None" = None
    frequency: Frequency | None = None
    past_covariates: Float[np.ndarray, "Q T"] | None = None
    known_covariates: Float[np.ndarray, "K T_plus_P"] | None = None


class Numbering(NamedTuple):
    """The numbers of the points of series without dates.

    Attributes:
      first: The number of the first point of each series, or its time stamp.
      step: The step between two points, or a calendar that repeats.
    """

    first: Sequence[Any]
    step: Any

    def take(self, rows: Sequence[int]) -> "Numbering":
        """The numbers of the points of the items with the indices `rows`."""
        return Numbering([self.first[row] for row in rows], self.step)

    def at(self, index: int, points: Int[np.ndarray, "n"]) -> Any:
        """The numbers or time stamps of points of an item, which are counted from its first one."""
        if isinstance(self.step, Cycle):
            return self.step.timestamps(self.first[index], points)
        return self.first[index] + self.step * points


@dataclass(frozen=True)
class SeriesDataset:
    """Items on regular time grids, stored as one column per field to suit millions of items.

    `lagllama_jax.series.arrays.read_series` makes a dataset from arrays and data frames.

    Attributes:
      item_ids: Names of the items. They also determine the random numbers of the items.
      targets: The variates to forecast of each item in float64, NaN where a value is missing.
      starts: Time stamp of the first value of each item, or `None` if the item has no dates.
      frequencies: Step of each item, or `None` if the item has no dates.
      past_covariates: Variates of each item that are known up to the end of its target.
      known_covariates: Variates of each item that are known beyond the end of its target.
      target_names: Names of the rows of a target.
      past_names: Names of the rows of `past_covariates`.
      known_names: Names of the rows of `known_covariates`.
      id_column: Name of the column of item names in tables of results.
      timestamp_column: Name of the column of time stamps in tables of results.
      labels: Names of the items as they are in the user's table, such as whole numbers.
      write_times: Function that writes time stamps as they are in the user's table, such as text.
      numbering: Numbers of the points of items without dates. `None`: they are counted from 0.

    Raises:
      DataError: If a column has another length than `targets`, or a target is not two-dimensional
        or has another number of variates than `target_names`.

    Examples:
      >>> import numpy as np
      >>> data = SeriesDataset(["a", "b"], [np.ones((1, 5)), np.array([[1.0, 2.0, np.nan]])])
      >>> data.lengths.tolist(), data.observed_end(1), data.dated
      ([5, 3], 2, False)
      >>> data.take([1])[0].item_id
      'b'
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
    write_times: "Callable[[pd.DatetimeIndex], Any] | None" = None
    numbering: Numbering | None = None

    def __post_init__(self) -> None:
        count = len(self.targets)
        fill = {"starts": [None] * count, "frequencies": [None] * count, "labels": self.item_ids}
        for name, default in fill.items():
            if len(getattr(self, name)) == 0:
                object.__setattr__(self, name, default)
        for name, column in self._columns().items():
            if len(column) != count:
                raise DataError(f"{len(column)} {name} were given for {count} items.")
        variates = len(self.target_names)
        for name, target in zip(self.item_ids, self.targets, strict=True):
            if target.ndim != 2 or len(target) != variates:
                raise DataError(
                    f"Series {name!r} has shape {target.shape}; expected {variates} variates by "
                    "time steps. Write target[None] for one; target_names names several."
                )

    @classmethod
    def of(cls, items: Iterable[Item], **columns: Any) -> Self:
        """Makes a dataset from items with the same variates, and further fields of the dataset."""
        rows = list(items)
        fields: list[Any] = [[row[place] for row in rows] for place in range(len(_COLUMNS))]
        for place in (4, 5):  # the covariates
            fields[place] = [part for part in fields[place] if part is not None] or None
        return cls(*fields, **columns)

    def _columns(self) -> dict[str, Any]:
        """The columns of the dataset that have one entry per item, without absent covariates."""
        columns = {name: getattr(self, name) for name in (*_COLUMNS, "labels")}
        return {name: column for name, column in columns.items() if column is not None}

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> Item:
        columns = [getattr(self, name) for name in _COLUMNS]
        fields: list[Any] = [None if column is None else column[index] for column in columns]
        return Item(*fields)

    def __iter__(self) -> Iterator[Item]:
        return (self[index] for index in range(len(self)))

    @property
    def lengths(self) -> Int[np.ndarray, "n"]:
        """Number of time steps of each item's target, including missing values."""
        return np.array([target.shape[1] for target in self.targets], np.int64)

    def observed_end(self, index: int) -> int:
        """Number of time steps of an item up to the last one with an observed target value."""
        target = self.targets[index]
        return int(np.flatnonzero(~np.isnan(target).all(axis=0)).max(initial=-1)) + 1

    def check_columns(self, names: Iterable[Hashable]) -> None:
        """Checks that the columns of names and times can stand beside columns of a result.

        Args:
          names: Names of the columns of the result.

        Raises:
          DataError: If one of the columns has such a name.
        """
        taken = set(names)
        for column in (self.id_column, self.timestamp_column):
            if column in taken:
                raise DataError(
                    f"The column {str(column)!r} of the input is named like one of the result. "
                    "Give it another name."
                )

    @property
    def dated(self) -> bool:
        """Whether every item has a start and a frequency."""
        return len(self) > 0 and not any(start is None for start in self.starts)

    @property
    def frequency(self) -> Frequency | None:
        """The common step of all items. `None` if there are no items, or an item has no dates.

        Raises:
          DataError: If the items have different steps.
        """
        if not self.dated:
            return None
        if len(set(self.frequencies)) > 1:
            names = ", ".join(sorted({str(frequency) for frequency in self.frequencies}))
            raise DataError(f"The series have several frequencies ({names}): use a call for each.")
        return self.frequencies[0]

    def take(self, rows: Sequence[int]) -> Self:
        """A dataset of the items with the indices `rows`, in this order."""
        columns: dict[str, Any] = self._columns()
        for name, column in columns.items():
            columns[name] = [column[row] for row in rows]
        numbered = self.numbering and self.numbering.take(rows)
        return replace(self, numbering=numbered, **columns)

    def truncate(self, ends: Int[np.ndarray, "n"]) -> Self:
        """Truncates the targets and past covariates to `ends` time steps each, as views.

        Raises:
          DataError: If an end is not between 1 and the length of its item.
        """
        wrong = np.flatnonzero((np.asarray(ends) < 1) | (ends > self.lengths))
        if wrong.size:
            name, length = self.item_ids[wrong[0]], self.lengths[wrong[0]]
            raise DataError(
                f"Series {name!r} has {length} time steps and cannot be cut at {ends[wrong[0]]}."
            )
        cut = lambda part: [row[:, :end] for row, end in zip(part, ends, strict=True)]  # noqa: E731
        past = None if self.past_covariates is None else cut(self.past_covariates)
        return replace(self, targets=cut(self.targets), past_covariates=past)

    def variates(self) -> Self:
        """A dataset with each target variate, named `item/variate`, as an item without covariates.

        A single target variate keeps the name of its item.
        """
        plain = replace(self, past_covariates=None, known_covariates=None)
        plain = replace(plain, past_names=(), known_names=())
        if len(self.target_names) == 1:
            return plain
        rows = np.repeat(np.arange(len(self)), len(self.target_names)).tolist()
        ids = [f"{item}/{name}" for item in self.item_ids for name in self.target_names]
        apart = [row[None] for target in self.targets for row in target]
        repeated = plain.take(rows)
        return replace(repeated, item_ids=ids, targets=apart, labels=ids, target_names=("target",))

    def coarsen(self, size: int, share: float = 0.0) -> Self:
        """Aggregates values, starts and frequencies to blocks of `size` points (`last_blocks`).

        Blocks of the future of known covariates are counted from the end of the target. The mean of
        a block of a target is missing if a smaller part of it than `share` is observed.
        """
        if size == 1:
            return self

        def means(rows: Float[np.ndarray, "V T"], share: float = 0.0) -> Float[np.ndarray, "V t"]:
            return np.stack([last_blocks(row, size, share) for row in rows])

        targets = [means(target, share) for target in self.targets]
        past, known = self.past_covariates, self.known_covariates
        if past is not None:
            past = [means(rows) for rows in past]
        if known is not None:
            pairs = zip(known, self.lengths, strict=True)
            known = [np.stack([blocks_around(row, n, size) for row in rows]) for rows, n in pairs]
        starts, frequencies = list(self.starts), list(self.frequencies)
        for row, item in enumerate(self):
            if item.start is not None and item.frequency is not None:
                skipped = item.target.shape[1] % size
                starts[row] = item.frequency.timestamps(item.start, skipped, 1)[0]
                frequencies[row] = replace(item.frequency, step=item.frequency.step * size)
        return replace(
            self,
            targets=targets,
            starts=starts,
            frequencies=frequencies,
            past_covariates=past,
            known_covariates=known,
        )

    def positions(self, index: int, first: int, count: int) -> Any:
        """The numbers of `count` points of an item without dates, as in `timestamps`."""
        begin = first + self.targets[index].shape[1]
        numbers = np.arange(begin, begin + count)
        if self.numbering is None:
            return numbers
        return self.numbering.at(index, numbers)

    def timestamps(self, index: int, first: int, count: int) -> "pd.DatetimeIndex":
        """The time stamps of `count` points of an item, of which point 0 follows the last value.

        Raises:
          DataError: If the item has no dates.
        """
        start, frequency = self.starts[index], self.frequencies[index]
        if start is None or frequency is None:
            raise DataError("These series have no dates: give start and freq.")
        return frequency.timestamps(start, first + self.targets[index].shape[1], count)
