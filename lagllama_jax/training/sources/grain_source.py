"""The input path on the host: batches of windows, gathered from memory or a memory map, by grain.

A batch is an item of the source: its windows are gathered by a few array operations, which is far
faster than a transformation for each window. Batch number n comes from the seed and n alone, so
that a position in the data is the number of a batch, for any number of hosts and workers.
"""

from typing import Any, NamedTuple

import numpy as np

from lagllama_jax.config import DataConfig, ModelConfig
from lagllama_jax.errors import require
from lagllama_jax.training.sources.windows import CorpusArrays, Windows, draw_on_host, gather
from lagllama_jax.typing import Int


class Map(NamedTuple):
    """A memory map that other processes open for themselves."""

    file: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


class WindowSource:
    """Batches of windows by number, as grain reads them (`grain.RandomAccessDataSource`)."""

    def __init__(
        self,
        corpus: CorpusArrays,
        model: ModelConfig,
        data: DataConfig,
        batch: int,
        count: int,
        seed: int,
        rows: Int[np.ndarray, "rows"] | slice = slice(None),  # noqa: B008
    ):
        """Describes the batches.

        Args:
          corpus: NumPy arrays; `values` may be a memory map.
          model: for the length of a window.
          data: which windows.
          batch: windows in a batch.
          count: batches there are.
          seed: decides them all.
          rows: which of a batch are gathered: a process reads its own ones alone.
        """
        self.corpus, self.model, self.data = corpus, model, data
        self.batch, self.count, self.seed, self.rows = batch, count, seed, rows

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: Any) -> Windows:
        """This process's rows of a batch."""
        generator = np.random.Generator(np.random.Philox([self.seed, int(number)]))
        draws = draw_on_host(generator, self.corpus, self.batch, self.model, self.data)
        own = type(draws)(*(field[self.rows] for field in draws))
        return gather(self.corpus, own, self.model, self.data)

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


def batches(source: WindowSource, first: int = 0, workers: int = 0, ahead: int = 4) -> Any:
    """An iterator of batches from number `first` on, with grain's `get_state` and `set_state`.

    Args:
      source: the batches.
      first: number of the first.
      workers: processes that gather; 0: a thread of this one, which is enough for most.
      ahead: batches that are gathered in advance.

    Raises:
      MissingExtraError: grain is not installed.
    """
    grain = require("grain", "grain")
    dataset = grain.MapDataset.source(source)[first:]
    if workers == 0:
        options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=ahead)
        return iter(dataset.to_iter_dataset(options))
    _mark_flags_parsed()
    inline = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=ahead)
    return iter(dataset.to_iter_dataset(inline).mp_prefetch(options))


def _mark_flags_parsed() -> None:
    """Grain's workers ask absl for flags, which a program without `absl.app` never parses."""
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
