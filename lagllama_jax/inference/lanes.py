"""Computes the batches of a forecast side by side, one per core of a CPU.

On a CPU, XLA divides each operation among the cores. Small ones run on one core while the others
wait, so that a program takes more than half as long on two cores as on one. Two programs beside
each other keep both cores busy.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from lagllama_jax.inference.memory import BATCH_BYTES, batch_bytes, batch_size, small_batch_size
from lagllama_jax.inference.settings import own_settings
from lagllama_jax.typing import Int

FEWEST_PATHS = 25
"""Number of paths of a series below which they are not divided further, as each part encodes the
context anew."""

COMPILING = threading.Lock()
"""Held while a program is started, so that two threads do not compile the same one."""

Job = TypeVar("Job")
Result = TypeVar("Result")


class Lanes(NamedTuple):
    """How items are divided into batches, and how many of these are computed at once.

    Attributes:
      devices: Devices that share each batch.
      beside: Number of batches that are computed beside one another.
      size: Number of items per batch.
      items: Number of items.
    """

    devices: tuple[jax.Device, ...]
    beside: int
    size: int
    items: int

    @classmethod
    def of(cls, items: int, num_samples: int, bytes_each: int, asked: int | None) -> "Lanes":
        """The division of a forecast.

        All batches that are computed at once need at most `BATCH_BYTES`, or the memory of one.

        Args:
          items: Number of items.
          num_samples: Number of sample paths per series. 0: the forecast is made in one pass.
          bytes_each: Estimated memory per item in bytes.
          asked: Upper bound of the number of items per batch. `None`: chosen by memory.
        """
        devices = devices_for(items)
        within = max(BATCH_BYTES // (bytes_each * (asked or 1)), 1)
        alone = len(devices) == 1 and devices[0].platform == "cpu"
        beside = cores() if alone else 1
        if items > within:
            beside = min(beside, within)
        share = max(-(-items // beside), 1)
        target = batch_bytes(num_samples, devices[0]) // beside
        size = batch_size(share, bytes_each, asked, len(devices), target)
        if alone and asked is None:
            size = small_batch_size(share, num_samples, size)
        return cls(devices, beside, size, items)

    def batches(self) -> list[slice]:
        """The items of each batch."""
        firsts = range(0, self.items, self.size)
        return [slice(first, min(first + self.size, self.items)) for first in firsts]

    def filled(self, batch: slice) -> Int[np.ndarray, "B"]:
        """The items of a batch, filled up with copies of the last item of all."""
        rows = np.arange(batch.start, batch.start + self.size)
        return np.minimum(rows, self.items - 1)

    def parts(self, num_samples: int) -> list[slice]:
        """The parts of equal size into which the paths of each series are divided.

        There is more than one part if there are fewer items than lanes. Parts may overlap.
        """
        free = self.beside // max(self.items, 1)
        parts = max(min(free, num_samples // FEWEST_PATHS), 1)
        size = -(-num_samples // parts)
        firsts = [min(part * size, num_samples - size) for part in range(parts)]
        return [slice(first, first + size) for first in firsts]

    def run(self, compute: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[Result]:
        """Computes jobs in as many threads as there are lanes, and gives the results in order.

        Each job runs under `own_settings`, as the settings of a thread are its own.
        """

        def own(job: Job) -> Result:
            with own_settings():
                return compute(job)

        if self.beside == 1 or len(jobs) == 1:
            yield from map(own, jobs)
            return
        with ThreadPoolExecutor(min(self.beside, len(jobs))) as pool:
            waiting: deque = deque()
            try:
                for job in jobs:
                    waiting.append(pool.submit(own, job))
                    if len(waiting) > self.beside:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()


def call(program: Callable[..., Any], *inputs: Any) -> Any:
    """Runs a jitted program in any thread, and returns its output on the host."""
    with COMPILING:
        output = program(*inputs)
    return jax.tree.map(np.asarray, output)


def cores() -> int:
    """Number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # there is no affinity on macOS and Windows
        return os.cpu_count() or 1


def devices_for(count: int) -> tuple[jax.Device, ...]:
    """The local devices that share `count` items, at most one device per item."""
    return tuple(jax.local_devices())[: max(count, 1)]
