"""Where training windows come from: drawn on the device, or gathered on the host by grain."""

from typing import Any, Protocol, runtime_checkable

from lagllama_jax.model.batch import Batch
from lagllama_jax.typing import Array, Int, Key

SYNTHETIC = "synthetic"
"""What stands for the data set of synthetic windows in messages."""


@runtime_checkable
class BatchSource(Protocol):
    """Batches by the number of their step: from it and the run's key alone.

    A step takes `accumulate` batches. What a dispatch of several steps reads is a pytree of arrays
    on the devices; inside the compiled steps it gives every batch.
    """

    def next(self, first: int, count: int) -> Any:
        """What the steps `first` to `first + count - 1` read."""
        ...

    def batch(
        self, feed: Any, place: Int[Array, ""], index: Int[Array, ""] | int, key: Key
    ) -> Batch:
        """Batch `index` of the step at `place` in a dispatch; pure, called under `jit`."""
        ...

    def datasets(self, key: Key, step: int) -> list[str]:
        """Names of the data sets that a step drew from."""
        ...

    def close(self) -> None:
        """Ends what runs beside the steps."""
        ...
