"""Windows gathered on the host, from memory or a memory map, by grain.

A batch is an item of grain's source: its windows are gathered by a few array operations, which is
far faster than a transformation per window. Batch number n comes from the seed and n alone, so that
a position in the data is the number of a batch, for any number of hosts and workers.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lagllama_jax.config import check
from lagllama_jax.errors import require
from lagllama_jax.model.batch import Batch
from lagllama_jax.training.recipe import Recipe
from lagllama_jax.training.sharding import Rules, batch_sharding
from lagllama_jax.training.sources import SYNTHETIC
from lagllama_jax.training.sources.complete import complete, num_synthetic
from lagllama_jax.training.sources.windows import CorpusArrays, Draws, draw_on_host, gather
from lagllama_jax.typing import Array, Int, Key

AHEAD = 4
"""Number of batches that are gathered in advance."""


class Map(NamedTuple):
    """A memory map that other processes open for themselves."""

    file: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


class WindowSource:
    """Batches of windows by number, as grain reads them (`grain.RandomAccessDataSource`).

    Attributes:
      corpus: NumPy arrays; `values` may be a memory map.
      model: For the length of a window.
      data: Which windows.
      size: Number of windows in a batch.
      count: Number of batches.
      seed: Decides them all.
      rows: Which windows of a batch are gathered: a process reads its own ones alone.
    """

    def __init__(self, corpus: CorpusArrays, recipe: Recipe):
        """Describes the real windows of every batch of a run."""
        self.corpus, self.model, self.data = corpus, recipe.model, recipe.data
        train = recipe.train
        self.size = train.batch_size - num_synthetic(train.batch_size, recipe.data)
        self.count, self.seed = train.steps * train.accumulate, train.seed
        self.rows: Int[np.ndarray, rows] | slice = slice(None)

    def __len__(self) -> int:
        return self.count

    def draws(self, number: int) -> Draws:
        """What is random about a batch, of which only `rows` are kept."""
        generator = np.random.Generator(np.random.Philox([self.seed, int(number)]))
        draws = draw_on_host(generator, self.corpus, self.size, self.model, self.data)
        return Draws(*(field[self.rows] for field in draws))

    def __getitem__(self, number: Any) -> Batch:
        """This process's rows of a batch."""
        return gather(self.corpus, self.draws(number), self.model, self.data)

    def __getstate__(self) -> dict[str, Any]:
        """For worker processes: a memory map goes by its name, not by its contents."""
        values = _described(self.corpus.values)
        return {**self.__dict__, "corpus": self.corpus._replace(values=values)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        values: Any = self.corpus.values
        if isinstance(values, Map):
            opened: Any = np.memmap(values.file, values.dtype, "r", values.offset, values.shape)
            self.corpus = self.corpus._replace(values=opened)


def _described(values: Any) -> Any:
    """A whole memory map by its name; a part of one, or an array in memory, as it is."""
    base = values
    while isinstance(base.base, np.ndarray):
        base = base.base
    if not isinstance(base, np.memmap) or base.filename is None or base.shape != values.shape:
        return values
    return Map(str(base.filename), base.dtype.str, base.shape, base.offset)


def batches(source: WindowSource, first: int = 0, workers: int = 0) -> Any:
    """An iterator of batches from number `first` on, with grain's `get_state` and `set_state`.

    Args:
      source: The batches.
      first: Number of the first.
      workers: Number of processes that gather; 0: a thread of this one, which is enough for most.

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
    """Grain's workers ask absl for flags, which a program without `absl.app` never parses."""
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()


class GrainSource:
    """A `BatchSource` that reads batches ahead on the host, each process its own devices' rows."""

    def __init__(
        self,
        corpus: CorpusArrays,
        names: Sequence[str],
        recipe: Recipe,
        mesh: Mesh,
        rules: Rules,
        workers: int = 0,
    ):
        """Describes the batches; `corpus` holds NumPy arrays.

        Raises:
          ConfigError: If the batch does not divide over the mesh or the processes, or has no real
            windows.
        """
        self.recipe, self.names = recipe, names
        self._source = WindowSource(corpus, recipe)
        real = self._source.size
        check(real > 0, "Without real windows there is nothing to read: take the device path.")
        self._split = batch_sharding(mesh, rules, recipe.train.batch_size)
        self._source.rows = own_rows(batch_sharding(mesh, rules, real), real)
        self._stacked = NamedSharding(mesh, PartitionSpec(None, None, rules.batch))
        self._batches: Any = None
        self._workers, self._position = workers, -1

    def next(self, first: int, count: int) -> Batch:
        """The real windows of the steps, stacked: `[steps, accumulate, windows, ...]`."""
        each = self.recipe.train.accumulate
        if first != self._position:
            self.close()
            self._batches = batches(self._source, first * each, self._workers)
        self._position = first + count
        read = [next(self._batches) for _ in range(count * each)]
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *read)
        place = partial(jax.make_array_from_process_local_data, self._stacked)
        return jax.tree.map(lambda x: place(x.reshape(count, each, *x.shape[1:])), stacked)

    def batch(
        self, feed: Batch, place: Int[Array, ""], index: Int[Array, ""] | int, key: Key
    ) -> Batch:
        """The real windows that were read, then synthetic ones."""
        real = jax.tree.map(lambda leaf: leaf[place, index], feed)
        recipe = self.recipe
        whole = complete(key, real, recipe.train.batch_size, recipe.model, recipe.data)
        return jax.lax.with_sharding_constraint(whole, self._split)

    def datasets(self, key: Key, step: int) -> list[str]:
        """Names of the data sets that a step drew from, on this process."""
        each = self.recipe.train.accumulate
        drawn = [self._source.draws(step * each + i).series for i in range(each)]
        numbers = np.unique(self._source.corpus.dataset[np.concatenate(drawn)])
        synthetic = num_synthetic(self.recipe.train.batch_size, self.recipe.data) > 0
        return [self.names[i] for i in numbers] + [SYNTHETIC] * synthetic

    def close(self) -> None:
        """Ends the processes that gather."""
        if self._batches is not None:
            self._batches.close()
            self._batches = None


def own_rows(split: NamedSharding, size: int) -> Int[np.ndarray, "rows"]:
    """The rows of a batch that lie on this process's devices."""
    parts = split.addressable_devices_indices_map((size,)).values()
    return np.unique(np.concatenate([np.arange(size)[part] for part in parts if part]))
