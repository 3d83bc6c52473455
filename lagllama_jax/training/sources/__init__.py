"""The sources of training batches: drawn on the device, or read on the host by grain."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

import jax
from jax.sharding import NamedSharding

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

    def batch(
        self, feed: Any, place: Int[Array, ""], index: Int[Array, ""] | int, key: Key
    ) -> Batches:
        """Batch `index` of a step. It is a pure function that is called under `jit`.

        Args:
          feed: What `next` returned.
          place: Number of the step in the dispatch.
          index: Number of the batch in the step.
          key: Random key of the batch.
        """
        ...

    def datasets(self, key: Key, step: int) -> list[str]:
        """Names of the datasets from which the windows of a step were drawn."""
        ...

    def close(self) -> None:
        """Ends background threads and processes."""
        ...


def make_batches(
    sizes: tuple[int, int], split: NamedSharding, *make: Callable[[int], Batch]
) -> Batches:
    """A batch of single windows, of groups, or one of each, divided over the devices.

    Args:
      sizes: Numbers of single windows and of groups, one of which is above 0.
      split: How batches are divided.
      *make: Functions that make a batch of some windows, and of some groups.
    """
    made = [
        jax.lax.with_sharding_constraint(one(count), split)
        for one, count in zip(make, sizes, strict=True)
        if count
    ]
    return made[0] if len(made) == 1 else (made[0], made[1])
