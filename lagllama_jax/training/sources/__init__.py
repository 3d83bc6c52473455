"""The sources of training batches: drawn on the device, or read on the host by grain."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import jax
from jax.sharding import NamedSharding

from lagllama_jax.config import DataConfig, ModelConfig
from lagllama_jax.model.batch import Batch
from lagllama_jax.typing import Array, Int, Key

Batches: TypeAlias = Batch | tuple[Batch, Batch]
"""A batch of single windows or of groups, or one of each."""

SYNTHETIC = "synthetic"
"""Name of the dataset of synthetic windows in messages."""


@runtime_checkable
class BatchSource(Protocol):
    """A source of batches. A batch depends only on the number of its step and the key of the run.

    A step uses `accumulate` batches. A dispatch runs several steps in one compiled program: `next`
    gives the arrays on the devices that the program reads, and `batch` makes each batch of them
    within the program.
    """

    def next(self, first: int, count: int) -> Any:
        """The input of the steps `first` to `first + count - 1`, a pytree of arrays."""
        ...

    @property
    def batch(self) -> "MakeBatch":
        """The function that makes a batch within the program."""
        ...

    def datasets(self, key: Key, step: int) -> list[str]:
        """Names of the datasets from which the windows of a step were drawn."""
        ...

    def close(self) -> None:
        """Ends background threads and processes."""
        ...


@dataclass(frozen=True)
class MakeBatch:
    """A pure function that makes a batch of single windows, of groups, or one of each, under `jit`.

    It holds no arrays. Two that do the same are equal, so that runs can share a program.

    Attributes:
      windows: Makes single windows of what `BatchSource.next` returned, the key of the batch, their
        number, the architecture, and the configuration of the windows.
      groups: Makes groups, likewise.
      stacked: Whether the arrays of `BatchSource.next` have a part for each batch of each step.
      model: The architecture.
      data: The configuration of the windows.
      sizes: Numbers of single windows and of groups, one of which is above 0.
      split: How batches are divided over the devices.
    """

    windows: Callable[..., Batch]
    groups: Callable[..., Batch]
    stacked: bool
    model: ModelConfig
    data: DataConfig
    sizes: tuple[int, int]
    split: NamedSharding

    def __call__(
        self, feed: Any, place: Int[Array, ""] | int, index: Int[Array, ""] | int, key: Key
    ) -> Batches:
        """Batch `index` of a step.

        Args:
          feed: What `BatchSource.next` returned.
          place: Number of the step in the dispatch.
          index: Number of the batch in the step.
          key: Random key of the batch.
        """
        if self.stacked:
            feed = jax.tree.map(lambda leaf: leaf[place, index], feed)
        made = [
            jax.lax.with_sharding_constraint(
                make(feed, key, count, self.model, self.data), self.split
            )
            for make, count in zip((self.windows, self.groups), self.sizes, strict=True)
            if count
        ]
        return made[0] if len(made) == 1 else (made[0], made[1])
