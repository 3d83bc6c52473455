"""The corpus: every series of every data set end to end in one array, with offsets."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from lagllama_jax.corpus.layout import (
    check_corpus,
    check_unique,
    offsets_of,
    renumber,
    translate,
)
from lagllama_jax.errors import DataError
from lagllama_jax.model.calendar_features import Calendar, wall_clock
from lagllama_jax.series.calendar import calendars
from lagllama_jax.typing import Bool, Float, Int

if TYPE_CHECKING:
    from lagllama_jax.corpus.formats.record import Record
    from lagllama_jax.series.dataset import SeriesDataset


@dataclass(frozen=True)
class Corpus:
    """Many series of many data sets, laid end to end.

    The arrays may lie in host memory, be memory maps of a saved folder, or (as a pytree made from
    them) on a device. Series `i` is `values[offsets[i]:offsets[i + 1]]`.

    Attributes:
      values: all points, in the units of their data set; NaN where missing, never infinite.
      observed: False where `values` is NaN.
      offsets: where each series begins; one more entry than series, the last is the end.
      calendar: the time grid of each series, its fields int32 arrays with one entry a series.
      dataset: the data set of each series, an index into `dataset_names`.
      dataset_names: names of the data sets, each with at least one series.
      frequency: the frequency of each series, an index into `frequency_names`.
      frequency_names: pandas aliases; "" stands for unknown.
      item_ids: name of each series, unique inside its data set.
    """

    values: Float[np.ndarray, "points"]
    observed: Bool[np.ndarray, "points"]
    offsets: Int[np.ndarray, "n_plus_1"]
    calendar: Calendar
    dataset: Int[np.ndarray, "n"]
    dataset_names: tuple[str, ...]
    frequency: Int[np.ndarray, "n"]
    frequency_names: tuple[str, ...]
    item_ids: tuple[str, ...]

    def __len__(self) -> int:
        """Number of series."""
        return len(self.offsets) - 1

    @property
    def points(self) -> int:
        """Number of points of all series together, missing ones included."""
        return int(self.offsets[-1])

    @property
    def lengths(self) -> Int[np.ndarray, "n"]:
        """Points of each series."""
        return np.diff(self.offsets)

    def series(self, index: int) -> Float[np.ndarray, "T"]:
        """The values of one series, a view."""
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def describe(self, index: int) -> str:
        """Data set and item of one series, for messages."""
        return f"{self.dataset_names[self.dataset[index]]}/{self.item_ids[index]}"

    def dataset_index(self, name: str) -> int:
        """The index of a data set.

        Raises:
          DataError: no data set of that name.
        """
        if name not in self.dataset_names:
            known = ", ".join(self.dataset_names)
            raise DataError(f"The corpus has no data set {name!r}. It has: {known}.")
        return self.dataset_names.index(name)

    def select(self, mask: Bool[np.ndarray, "n"]) -> Self:
        """A copy with only the series where `mask` is True, and only the data sets these are of.

        Raises:
          DataError: the mask has another length, or selects nothing.
        """
        mask = np.asarray(mask, bool)
        if mask.shape != (len(self),):
            raise DataError(f"A mask of shape {mask.shape} cannot select from {len(self)} series.")
        if not mask.any():
            raise DataError("The mask selects no series: the corpus would be empty.")
        kept = np.repeat(mask, self.lengths)
        dataset, dataset_names = renumber(self.dataset[mask], self.dataset_names)
        frequency, frequency_names = renumber(self.frequency[mask], self.frequency_names)
        return replace(
            self,
            values=self.values[kept],
            observed=self.observed[kept],
            offsets=offsets_of(self.lengths[mask]),
            calendar=Calendar(*(np.asarray(field)[mask] for field in self.calendar)),
            dataset=dataset,
            dataset_names=dataset_names,
            frequency=frequency,
            frequency_names=frequency_names,
            item_ids=tuple(self.item_ids[i] for i in np.flatnonzero(mask)),
        )

    @classmethod
    def concatenate(cls, corpora: Iterable[Self]) -> Self:
        """One corpus of several; data sets of the same name are merged.

        Raises:
          DataError: there is nothing to join, or merged data sets share an item.
        """
        parts = list(corpora)
        if not parts:
            raise DataError("There are no series to make a corpus of.")
        dataset, dataset_names = translate([(p.dataset, p.dataset_names) for p in parts])
        frequency, frequency_names = translate([(p.frequency, p.frequency_names) for p in parts])
        grids = zip(*(part.calendar for part in parts), strict=True)
        whole = cls(
            values=np.concatenate([part.values for part in parts]),
            observed=np.concatenate([part.observed for part in parts]),
            offsets=offsets_of(np.concatenate([part.lengths for part in parts])),
            calendar=Calendar(*(np.concatenate(fields) for fields in grids)),
            dataset=dataset,
            dataset_names=dataset_names,
            frequency=frequency,
            frequency_names=frequency_names,
            item_ids=tuple(item for part in parts for item in part.item_ids),
        )
        if len(dataset_names) < sum(len(part.dataset_names) for part in parts):
            check_unique(whole)
        return whole

    @classmethod
    def from_arrays(
        cls,
        name: str,
        values: Float[np.ndarray, "points"],
        lengths: Sequence[int] | Int[np.ndarray, "n"],
        starts: Sequence[object],
        frequencies: Sequence[str | None],
        item_ids: Sequence[str],
    ) -> Self:
        """One data set whose points already lie end to end.

        Args:
          name: of the data set.
          values: all points, NaN where missing.
          lengths: points of each series.
          starts: time of each series' first point: an ISO string, a datetime or a pandas
            Timestamp, or None where it is unknown.
          frequencies: pandas alias of each series, or None where it is unknown.
          item_ids: unique name of each series.

        Raises:
          DataError: an empty series, an infinite value, a start or a frequency that cannot be
            read, or a name that occurs twice; names the series.
        """
        with np.errstate(over="ignore"):
            values = np.asarray(values, np.float32)
        aliases = [frequency or "" for frequency in frequencies]
        frequency_names = tuple(dict.fromkeys(aliases))
        numbers = {alias: number for number, alias in enumerate(frequency_names)}
        corpus = cls(
            values=values,
            observed=~np.isnan(values),
            offsets=offsets_of(np.asarray(lengths, np.int64)),
            calendar=calendars(name, starts, aliases, item_ids),
            dataset=np.zeros(len(aliases), np.int32),
            dataset_names=(name,),
            frequency=np.array([numbers[alias] for alias in aliases], np.int32),
            frequency_names=frequency_names,
            item_ids=tuple(item_ids),
        )
        check_corpus(corpus)
        return corpus

    @classmethod
    def from_series(
        cls,
        series: Sequence[Float[np.ndarray, "T"]],
        starts: Sequence[object] | None = None,
        frequency: str | Sequence[str | None] | None = None,
        item_ids: Sequence[str] | None = None,
        name: str = "series",
    ) -> Self:
        """One data set from arrays of any lengths.

        Args:
          series: one 1-D array each, NaN where missing.
          starts: time of each first point; without them, the corpus has no calendar features.
          frequency: pandas alias of all, or one alias each.
          item_ids: names; by default "0", "1", ...
          name: of the data set.

        Raises:
          DataError: no series, arrays that are not 1-D, or what `from_arrays` refuses.
        """
        arrays = [np.asarray(one) for one in series]
        for index, array in enumerate(arrays):
            if array.ndim != 1 or array.dtype.kind not in "biuf":
                found = f"shape {array.shape} of {array.dtype}"
                raise DataError(f"Series {index} has {found}; expected one dimension of numbers.")
        if not arrays:
            raise DataError("There are no series to make a corpus of.")
        one_alias = frequency is None or isinstance(frequency, str)
        return cls.from_arrays(
            name,
            np.concatenate(arrays),
            [len(array) for array in arrays],
            [None] * len(arrays) if starts is None else starts,
            [frequency] * len(arrays) if one_alias else frequency,  # type: ignore[list-item, arg-type]
            [str(i) for i in range(len(arrays))] if item_ids is None else item_ids,
        )

    @classmethod
    def from_records(cls, records: Iterable["Record"], name: str) -> Self:
        """One data set from what a reader yields."""
        read = list(records)
        return cls.from_series(
            [record.target for record in read],
            [record.start for record in read],
            [record.frequency for record in read],
            [record.item_id for record in read],
            name,
        )

    @classmethod
    def from_dataset(cls, series: "SeriesDataset", name: str = "frame") -> Self:
        """One data set from a data frame, by way of `lagllama_jax.series.dataframe`."""
        aliases = [None if step is None else step.alias for step in series.frequencies]
        values = [target[0] for target in series.targets]
        return cls.from_series(values, series.starts, aliases, series.item_ids, name)

    @classmethod
    def from_parquet(cls, source: str | Path, exclude: Iterable[str] = ()) -> Self:
        """The data sets of a folder of Parquet files (or of one file), each named as its file.

        Args:
          source: folder or file.
          exclude: data sets to leave out.

        Raises:
          DataError: no such file, a file that is not as described in
            `lagllama_jax.corpus.formats.parquet`, or a name in `exclude` that is not there.
        """
        from lagllama_jax.corpus.formats.parquet import find_parquet, read_columns

        files = {path.stem: path for path in find_parquet(source)}
        unknown = set(exclude) - files.keys()
        if unknown:
            raise DataError(f"{source} has no data set {', '.join(sorted(unknown))} to exclude.")
        kept = [path for name, path in files.items() if name not in set(exclude)]
        return cls.concatenate(cls.from_arrays(path.stem, *read_columns(path)) for path in kept)

    @classmethod
    def from_tfds(cls, name: str, data_dir: str | Path | None = None, split: str = "train") -> Self:
        """A data set of `lagllama_jax.corpus.catalogue` that was built with `lagllama data build`.

        Args:
          name: of the data set.
          data_dir: TFDS' folder; by default its own, `~/tensorflow_datasets`.
          split: `train`, `validation` or `test` (`lagllama_jax.corpus.tfds.splits`).

        Raises:
          DataError: it was not built there, or there is no such data set or split.
          MissingExtraError: TFDS is not installed.
        """
        from lagllama_jax.corpus.tfds.store import DATA_DIR, read_built

        return cls.from_records(read_built(name, split, data_dir or DATA_DIR), name)

    def save(self, folder: str | Path) -> None:
        """Writes the corpus to a folder, replacing a corpus that lies there; see `load`."""
        from lagllama_jax.corpus.folder import save_corpus

        save_corpus(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path, mmap: bool = True) -> Self:
        """Reads what `save` wrote, by default as memory maps that take no memory until used."""
        from lagllama_jax.corpus.folder import load_arrays

        return cls(**load_arrays(Path(folder), mmap))


def mask_period(corpus: Corpus, dataset: str, first: str, last: str) -> Corpus:
    """A copy in which a data set's points from `first` to `last`, both included, are missing.

    Args:
      corpus: left as it is.
      dataset: name of the data set.
      first: a day, month or year, as "2013-03-01", "2013-03" or "2013".
      last: likewise; a month or year counts to its end.

    Raises:
      DataError: no such data set, a date that cannot be read, or no point in that period.
    """
    number = corpus.dataset_index(dataset)
    try:
        first_day = np.datetime64(first).astype("datetime64[D]").astype(int)
        last_day = (np.datetime64(last) + 1).astype("datetime64[D]").astype(int) - 1
    except ValueError as error:
        raise DataError(f"{first!r} to {last!r} is no period: {error}.") from error
    values, observed = np.array(corpus.values), np.array(corpus.observed)
    count = 0
    for index in np.flatnonzero(corpus.dataset == number):
        begin, end = corpus.offsets[index], corpus.offsets[index + 1]
        calendar = Calendar(*(np.asarray(field)[index] for field in corpus.calendar))
        day, _ = wall_clock(calendar, np.arange(end - begin))
        hidden = (day >= first_day) & (day <= last_day)
        values[begin:end][hidden], observed[begin:end][hidden] = np.nan, False
        count += int(hidden.sum())
    if count == 0:
        raise DataError(f"Data set {dataset!r} has no point from {first} to {last}.")
    return replace(corpus, values=values, observed=observed)
