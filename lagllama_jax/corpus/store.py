"""`Corpus`: the series of all data sets, one after the other in one array, with offsets."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from lagllama_jax.corpus.folder import load_arrays, save_corpus
from lagllama_jax.corpus.formats.parquet import find_parquet, read_parquet
from lagllama_jax.corpus.items import Items, apart
from lagllama_jax.corpus.layout import check_row, offsets_of, renumber, translate
from lagllama_jax.errors import DataError, converting
from lagllama_jax.model.calendar_features import Calendar, Zones, wall_clock
from lagllama_jax.series.calendar import calendar_of, join_zones
from lagllama_jax.series.covariates import warn_unused
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.standardise import standard_of
from lagllama_jax.typing import Bool, Float, Int


@dataclass(frozen=True)
class Corpus:
    """The series of several data sets, one after the other. Each series is standardised.

    The arrays are in host memory, or they are memory maps of a saved folder. The standardised
    values of series `i` are `values[offsets[i]:offsets[i + 1]]`. `series(i)` returns the values in
    the units of the data set.

    Attributes:
      values: Standardised values `(raw - center) / unit` of all series; NaN where missing.
      offsets: Index of the first value of each series, and the number of all values.
      center: Raw value of each series at which `values` is 0.
      unit: Raw units per unit of `values` for each series; a power of two.
      calendar: Time grid of each series. Its fields are int32 arrays with one entry per series.
      zones: Clock changes of the time zones that `calendar.zone` refers to.
      dataset: Index of the data set of each series in `dataset_names`.
      dataset_names: Names of the data sets. Each has at least one series.
      frequency: Index of the frequency of each series in `frequency_names`.
      frequency_names: Pandas aliases of the frequencies. "" means that it is unknown.
      item_ids: Name of each series, which is unique within its data set.
      items: Which series are variates of one item, for fine-tuning on groups. `None`: each
        series is an item.
    """

    values: Float[np.ndarray, "points"]
    offsets: Int[np.ndarray, "n_plus_1"]
    center: Float[np.ndarray, "n"]
    unit: Float[np.ndarray, "n"]
    calendar: Calendar
    zones: Zones
    dataset: Int[np.ndarray, "n"]
    dataset_names: tuple[str, ...]
    frequency: Int[np.ndarray, "n"]
    frequency_names: tuple[str, ...]
    item_ids: tuple[str, ...]
    items: Items | None = None

    def __len__(self) -> int:
        """Number of series."""
        return len(self.offsets) - 1

    @property
    def points(self) -> int:
        """Number of points of all series together, including missing ones."""
        return int(self.offsets[-1])

    @property
    def observed(self) -> Bool[np.ndarray, "points"]:
        """Whether each point is observed."""
        return ~np.isnan(self.values)

    @property
    def lengths(self) -> Int[np.ndarray, "n"]:
        """Number of points of each series."""
        return np.diff(self.offsets)

    def series(self, index: int) -> Float[np.ndarray, "T"]:
        """The values of one series in the units of its data set, as float64."""
        standardised = self.values[self.offsets[index] : self.offsets[index + 1]]
        return standardised.astype(np.float64) * self.unit[index] + self.center[index]

    def describe(self, index: int) -> str:
        """The name of a series in messages: data set and item."""
        return f"{self.dataset_names[self.dataset[index]]}/{self.item_ids[index]}"

    def _check_unique(self) -> None:
        """Raises `DataError` if two series of one data set have the same name."""
        seen: set[tuple[int, str]] = set()
        for index, key in enumerate(zip(self.dataset.tolist(), self.item_ids, strict=True)):
            if key in seen:
                raise DataError(f"Series {self.describe(index)} occurs twice; names must differ.")
            seen.add(key)

    def dataset_index(self, name: str) -> int:
        """The index of a data set.

        Raises:
          DataError: If there is no data set of that name.
        """
        if name not in self.dataset_names:
            known = ", ".join(self.dataset_names)
            raise DataError(f"The corpus has no data set {name!r}. It has: {known}.")
        return self.dataset_names.index(name)

    def select(self, mask: Bool[np.ndarray, "n"]) -> Self:
        """A copy with only the series for which `mask` is True. Empty data sets are removed.

        Each of its series is an item.

        Raises:
          DataError: If the mask has another length, or selects nothing.
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
            offsets=offsets_of(self.lengths[mask]),
            center=self.center[mask],
            unit=self.unit[mask],
            calendar=Calendar(*(np.asarray(field)[mask] for field in self.calendar)),
            dataset=dataset,
            dataset_names=dataset_names,
            frequency=frequency,
            frequency_names=frequency_names,
            item_ids=tuple(self.item_ids[i] for i in np.flatnonzero(mask)),
            items=None,
        )

    @classmethod
    def concatenate(cls, corpora: Iterable[Self]) -> Self:
        """Joins several corpora. Data sets of the same name are merged. Each series is an item.

        Raises:
          DataError: If there is nothing to join, or merged data sets share an item.
        """
        parts = list(corpora)
        if not parts:
            raise DataError("There are no series to make a corpus of.")
        dataset, dataset_names = translate([(p.dataset, p.dataset_names) for p in parts])
        frequency, frequency_names = translate([(p.frequency, p.frequency_names) for p in parts])
        zones, zone = join_zones([(part.zones, part.calendar.zone) for part in parts])
        grids = [p.calendar._replace(zone=own) for p, own in zip(parts, zone, strict=True)]
        whole = cls(
            values=np.concatenate([part.values for part in parts]),
            offsets=offsets_of(np.concatenate([part.lengths for part in parts])),
            center=np.concatenate([part.center for part in parts]),
            unit=np.concatenate([part.unit for part in parts]),
            calendar=Calendar(*(np.concatenate(fields) for fields in zip(*grids, strict=True))),
            zones=zones,
            dataset=dataset,
            dataset_names=dataset_names,
            frequency=frequency,
            frequency_names=frequency_names,
            item_ids=tuple(item for part in parts for item in part.item_ids),
        )
        if len(dataset_names) < sum(len(part.dataset_names) for part in parts):
            whole._check_unique()
        return whole

    @classmethod
    def pack(cls, dataset: SeriesDataset, name: str = "series", *, together: bool = False) -> Self:
        """Makes a corpus of one data set. Every target variate becomes a series.

        Covariates are left out, and named in a warning. With `together`, they become series as
        well, and `items` tells which ones belong together.

        Raises:
          DataError: If there is no series, one is empty or has an infinite value, or a name occurs
            twice. The message names the series.

        Examples:
          >>> from lagllama_jax.series.arrays import read_arrays
          >>> series = read_arrays([1e9, 1e9 + 20, 1e9 + 10], "2024-01-01", "h")
          >>> corpus = Corpus.pack(series, "meter")
          >>> corpus.describe(0), corpus.series(0).tolist()
          ('meter/0', [1000000000.0, 1000000020.0, 1000000010.0])
        """
        items = None
        if together:
            dataset, items = apart(dataset)
        else:
            warn_unused(dataset, "a model is trained on targets alone")
            dataset = dataset.variates()
        if len(dataset) == 0:
            raise DataError("There are no series to make a corpus of.")
        calendar, zones = calendar_of(dataset)
        aliases = ["" if step is None else step.alias for step in dataset.frequencies]
        frequency_names = tuple(dict.fromkeys(aliases))
        numbers = {alias: number for number, alias in enumerate(frequency_names)}
        offsets = offsets_of(dataset.lengths)
        values = np.empty(offsets[-1], np.float32)
        scales = np.empty((2, len(dataset)))
        for index, target in enumerate(dataset.targets):
            row = np.asarray(target[0], np.float64)
            check_row(row, f"{name}/{dataset.item_ids[index]}")
            standard = standard_of(row)
            scales[:, index] = standard.center, standard.unit
            values[offsets[index] : offsets[index + 1]] = standard.apply(row)
        corpus = cls(
            values=values,
            offsets=offsets,
            center=scales[0],
            unit=scales[1],
            calendar=calendar,
            zones=zones,
            dataset=np.zeros(len(aliases), np.int32),
            dataset_names=(name,),
            frequency=np.array([numbers[alias] for alias in aliases], np.int32),
            frequency_names=frequency_names,
            item_ids=tuple(dataset.item_ids),
            items=items,
        )
        corpus._check_unique()
        return corpus

    @classmethod
    def from_parquet(cls, source: str | Path, exclude: Iterable[str] = ()) -> Self:
        """Reads a Parquet file, or a folder of them. Each file is a data set with the file's name.

        The data sets in `exclude` are left out.

        Raises:
          DataError: If there is no such file, a file has another layout than that of
            `lagllama_jax.corpus.formats.parquet`, or a name in `exclude` does not exist.
        """
        files = {path.stem: path for path in find_parquet(source)}
        for name in sorted(set(exclude)):
            if files.pop(name, None) is None:
                raise DataError(f"{source} has no data set {name} to exclude.")
        return cls.concatenate(cls.pack(read_parquet(path), name) for name, path in files.items())

    @classmethod
    def from_tfds(cls, name: str, data_dir: str | Path | None = None, split: str = "train") -> Self:
        """Reads a data set of the catalogue that was built with `lagllama data build`.

        The splits are those of `lagllama_jax.corpus.tfds.splits`. `data_dir` is the folder of TFDS.
        `None`: its default, `~/tensorflow_datasets`.

        Raises:
          DataError: If it was not built there, or there is no such data set or split.
          MissingExtraError: If TFDS is not installed.
        """
        from lagllama_jax.corpus.tfds.store import DATA_DIR, read_built

        items = read_built(name, split, data_dir or DATA_DIR)
        return cls.pack(SeriesDataset.of(items), name)

    def save(self, folder: str | Path) -> None:
        """Writes the corpus to a folder, and replaces an earlier corpus in it. `load` reads it.

        Which series are variates of one item is not written.

        Raises:
          DataError: If the folder exists and is not a corpus, or cannot be written.
        """
        save_corpus(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path, mmap: bool = True) -> Self:
        """Reads a corpus that `save` wrote.

        With `mmap`, the arrays are memory maps, which use memory only when they are read.

        Raises:
          DataError: If the folder holds no corpus, one of another version, or a damaged one.
        """
        return cls(**load_arrays(Path(folder), mmap))


def mask_period(corpus: Corpus, dataset: str, first: str, last: str) -> Corpus:
    """A copy in which the points of a data set from `first` to `last` are set missing.

    The dates are days, months or years in the local time of each series, such as "2013-03-01",
    "2013-03" or "2013". A month or a year is included to its end.

    Raises:
      DataError: If there is no such data set, a date cannot be read, or no point is in that period.
    """
    number = corpus.dataset_index(dataset)
    with converting(DataError, f"{first!r} to {last!r} is no period", ValueError):
        first_day = np.datetime64(first).astype("datetime64[D]").astype(int)
        after_last = (np.datetime64(last) + 1).astype("datetime64[D]").astype(int)
    values, count = np.array(corpus.values), 0
    for index in np.flatnonzero(corpus.dataset == number):
        begin, end = corpus.offsets[index], corpus.offsets[index + 1]
        calendar = Calendar(*(np.asarray(field)[index] for field in corpus.calendar))
        day, _ = wall_clock(calendar, np.arange(end - begin), corpus.zones)
        hidden = (day >= first_day) & (day < after_last)
        values[begin:end][hidden] = np.nan
        count += int(hidden.sum())
    if count == 0:
        raise DataError(f"Data set {dataset!r} has no point from {first} to {last}.")
    return replace(corpus, values=values)
