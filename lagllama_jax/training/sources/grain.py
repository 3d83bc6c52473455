"""The source of batches that grain reads on the host, from memory or a memory map.

An item of grain's data source is a whole batch, whose windows are gathered by a few array
operations; this is much faster than one transformation per window. Batch n depends only on the seed
and on n, so the position in the data is the number of a batch, for any number of hosts and workers.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lagllama_jax.config import DataConfig, ModelConfig, check
from lagllama_jax.errors import require
from lagllama_jax.model.batch import Batch
from lagllama_jax.training.recipe import Recipe
from lagllama_jax.training.sharding import Rules, batch_sharding
from lagllama_jax.training.sources import SYNTHETIC, MakeBatch
from lagllama_jax.training.sources.complete import complete, complete_groups, num_real
from lagllama_jax.training.sources.groups import (
    GroupDraws,
    batch_sizes,
    draw_groups_on_host,
    gather_groups,
)
from lagllama_jax.training.sources.windows import CorpusArrays, Draws, draw_on_host, gather
from lagllama_jax.typing import Int, Key

AHEAD = 4
"""Number of batches that are read in advance."""
WINDOWS, GROUPS = "windows", "groups"
GROUP_SEED = 1
"""Third part of the seed of groups, whose random numbers are not those of windows."""


class Map(NamedTuple):
    """The description of a memory map, by which another process opens it."""

    file: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


class WindowSource:
    """Batches of real windows by number, for grain (`grain.RandomAccessDataSource`).

    Attributes:
      corpus: The corpus as NumPy arrays; `values` may be a memory map.
      model: The architecture, for the length of a window.
      data: The configuration of the windows.
      size: Number of real windows per batch.
      count: Number of batches.
      seed: Random seed of all batches.
      rows: The windows of each batch to gather. A process gathers only those of its own devices.
    """

    def __init__(self, corpus: CorpusArrays, recipe: Recipe):
        """Makes the source of the real windows of all batches of a run."""
        self.corpus, self.model, self.data = corpus, recipe.model, recipe.data
        train = recipe.train
        self.size = num_real(batch_sizes(train.batch_size, recipe.data).windows, recipe.data)
        self.count, self.seed = train.steps * train.accumulate, train.seed
        self.rows: Int[np.ndarray, rows] | slice = slice(None)

    def __len__(self) -> int:
        return self.count

    def draws(self, number: int) -> Draws:
        """Draws the windows `rows` of a batch."""
        generator = np.random.Generator(np.random.Philox([self.seed, int(number)]))
        draws = draw_on_host(generator, self.corpus, self.size, self.model, self.data)
        return Draws(*(field[self.rows] for field in draws))

    def __getitem__(self, number: Any) -> Batch:
        """The windows `rows` of a batch."""
        return gather(self.corpus, self.draws(number), self.model, self.data)

    def __getstate__(self) -> dict[str, Any]:
        """The state for worker processes. A memory map is sent by its name, not by its contents."""
        values = _described(self.corpus.values)
        return {**self.__dict__, "corpus": self.corpus._replace(values=values)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        values: Any = self.corpus.values
        if isinstance(values, Map):
            opened: Any = np.memmap(values.file, values.dtype, "r", values.offset, values.shape)
            self.corpus = self.corpus._replace(values=opened)


class GroupSource(WindowSource):
    """Batches of real groups by number, for grain."""

    def __init__(self, corpus: CorpusArrays, recipe: Recipe):
        """Makes the source of the real groups of all batches of a run."""
        super().__init__(corpus, recipe)
        sizes = batch_sizes(recipe.train.batch_size, recipe.data)
        self.size = num_real(sizes.groups, recipe.data)

    def group_draws(self, number: int) -> GroupDraws:
        """Draws the groups `rows` of a batch."""
        generator = np.random.Generator(np.random.Philox([self.seed, int(number), GROUP_SEED]))
        draws = draw_groups_on_host(generator, self.corpus, self.size, self.model, self.data)
        return jax.tree.map(lambda field: field[self.rows], draws)

    def draws(self, number: int) -> Draws:
        """Draws the windows of the first targets of the groups `rows` of a batch."""
        return self.group_draws(number).window

    def __getitem__(self, number: Any) -> Batch:
        """The groups `rows` of a batch."""
        return gather_groups(self.corpus, self.group_draws(number), self.model, self.data)


class Together:
    """Batches of several sources by number, for grain.

    Attributes:
      sources: The sources by name.
    """

    def __init__(self, sources: dict[str, WindowSource]):
        """Joins sources of the same length."""
        self.sources = sources

    def __len__(self) -> int:
        return min(map(len, self.sources.values()))

    def __getitem__(self, number: Any) -> dict[str, Batch]:
        """A batch of each source."""
        return {name: source[number] for name, source in self.sources.items()}


def _described(values: Any) -> Any:
    """The description of a whole memory map; any other array unchanged."""
    base = values
    while isinstance(base.base, np.ndarray):
        base = base.base
    if not isinstance(base, np.memmap) or base.filename is None or base.shape != values.shape:
        return values
    return Map(str(base.filename), base.dtype.str, base.shape, base.offset)


def batches(source: WindowSource | Together, first: int = 0, workers: int = 0) -> Any:
    """An iterator over batches, with the methods `get_state` and `set_state` of grain.

    Args:
      source: The batches.
      first: Number of the first batch.
      workers: Number of processes that gather batches. 0: one thread of this process.

    Raises:
      MissingExtraError: If grain is not installed.
    """
    grain = require("grain", "grain")
    dataset = grain.MapDataset.source(source)[first:]
    if workers == 0:
        options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=AHEAD)
        return iter(dataset.to_iter_dataset(options))
    _mark_flags_parsed()
    inline = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=AHEAD)
    return iter(dataset.to_iter_dataset(inline).mp_prefetch(options))


def _mark_flags_parsed() -> None:
    """Marks the flags of absl as parsed, which the worker processes of grain require."""
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()


class GrainSource:
    """A `BatchSource` that reads batches in advance on the host.

    Each process reads only the windows of its own devices.
    """

    def __init__(
        self,
        corpus: CorpusArrays,
        names: Sequence[str],
        recipe: Recipe,
        mesh: Mesh,
        rules: Rules,
        workers: int = 0,
    ):
        """Prepares reading.

        Args:
          corpus: The corpus as NumPy arrays.
          names: Names of its datasets.
          recipe: The windows, the batch size and the seed.
          mesh: The devices.
          rules: How batches are split over them.
          workers: Number of processes that gather batches. 0: a thread.

        Raises:
          ConfigError: If the batch does not divide over the mesh or the processes, or has no real
            windows.
        """
        self.recipe, self.names = recipe, names
        self._sizes = batch_sizes(recipe.train.batch_size, recipe.data)
        split = batch_sharding(mesh, rules, *self._sizes)
        self.batch = MakeBatch(
            completed, completed_groups, True, recipe.model, recipe.data, self._sizes, split
        )
        made = {WINDOWS: WindowSource(corpus, recipe), GROUPS: GroupSource(corpus, recipe)}
        self._sources = {name: source for name, source in made.items() if source.size > 0}
        check(
            bool(self._sources),
            "Without real windows there is nothing to read: take the device path.",
        )
        for source in self._sources.values():
            source.rows = own_rows(batch_sharding(mesh, rules, source.size), source.size)
        self._stacked = NamedSharding(mesh, PartitionSpec(None, None, rules.batch))
        self._batches: Any = None
        self._workers, self._position = workers, -1

    def next(self, first: int, count: int) -> dict[str, Batch]:
        """The real windows and groups of some steps, as arrays `[steps, accumulate, ...]`."""
        each = self.recipe.train.accumulate
        if first != self._position:
            self.close()
            self._batches = batches(Together(self._sources), first * each, self._workers)
        self._position = first + count
        read = [next(self._batches) for _ in range(count * each)]
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *read)
        place = partial(jax.make_array_from_process_local_data, self._stacked)
        return jax.tree.map(lambda x: place(x.reshape(count, each, *x.shape[1:])), stacked)

    def datasets(self, key: Key, step: int) -> list[str]:
        """Names of the datasets from which this process drew the windows of a step."""
        each = self.recipe.train.accumulate
        numbers = range(step * each, (step + 1) * each)
        drawn = [s.draws(n).series for s in self._sources.values() for n in numbers]
        corpus = next(iter(self._sources.values())).corpus
        found = np.unique(corpus.dataset[np.concatenate(drawn)])
        synthetic = sum(s.size for s in self._sources.values()) < sum(self._sizes)
        return [self.names[i] for i in found] + [SYNTHETIC] * synthetic

    def close(self) -> None:
        """Ends the threads and processes that gather batches."""
        if self._batches is not None:
            self._batches.close()
            self._batches = None


def completed(
    read: dict[str, Batch], key: Key, size: int, model: ModelConfig, data: DataConfig
) -> Batch:
    """The real windows that were read, augmented, then synthetic ones."""
    return complete(key, read.get(WINDOWS), size, model, data)


def completed_groups(
    read: dict[str, Batch], key: Key, count: int, model: ModelConfig, data: DataConfig
) -> Batch:
    """The real groups that were read, augmented, then synthetic ones."""
    return complete_groups(key, read.get(GROUPS), count, model, data)


def own_rows(split: NamedSharding, size: int) -> Int[np.ndarray, "rows"]:
    """The rows of a batch that belong to the devices of this process."""
    parts = split.addressable_devices_indices_map((size,)).values()
    return np.unique(np.concatenate([np.arange(size)[part] for part in parts if part]))
