"""The sources of training batches: drawn on the device, or read on the host by grain."""

from typing import Any, Protocol, TypeAlias, runtime_checkable

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


def batches_of(single: Batch | None, groups: Batch | None) -> Batches:
    """The batch of single windows, that of groups, or both, where they are given.

    Raises:
      ValueError: If neither is given.
    """
    if single is not None and groups is not None:
        return single, groups
    found = groups if single is None else single
    if found is None:
        raise ValueError("A batch has windows, groups, or both.")
    return found
