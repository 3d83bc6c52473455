"""The input path on the host: grain gathers the windows, each process those of its own devices."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from lagllama_jax.config import DataConfig, ModelConfig, TrainConfig
from lagllama_jax.config.base import check
from lagllama_jax.training.sharding import Rules, batch_sharding
from lagllama_jax.training.sources.device import MADE_UP
from lagllama_jax.training.sources.grain_source import WindowSource, batches
from lagllama_jax.training.sources.windows import CorpusArrays, Windows
from lagllama_jax.training.state import TrainState
from lagllama_jax.training.step import complete, made_up, step_keys, update_from
from lagllama_jax.typing import Int, Key


class HostPath:
    """One dispatch a step, while the next batches are gathered."""

    def __init__(
        self,
        corpus: CorpusArrays,
        dataset_names: tuple[str, ...],
        model: ModelConfig,
        data: DataConfig,
        train: TrainConfig,
        mesh: Mesh,
        rules: Rules,
        workers: int = 0,
    ):
        """Args are as for `DevicePath`, the corpus in NumPy's arrays, and grain's processes.

        Raises:
          ConfigError: the batch does not divide over the mesh or the processes.
        """
        self.model, self.data, self.train = model, data, train
        self.names = (*dataset_names, MADE_UP)
        real = train.batch_size - made_up(train.batch_size, data)
        check(real > 0, "Without real windows there is nothing to read: take the device path.")
        self._split = batch_sharding(mesh, rules, train.batch_size)
        self._real = batch_sharding(mesh, rules, real)
        self._source = WindowSource(
            corpus,
            model,
            data,
            real,
            train.steps * train.accumulate,
            train.seed,
            own_rows(self._real, real),
        )
        self._workers = workers
        self._step = jax.jit(self._one_step, donate_argnums=0)
        self._batches: Any = None
        self._position = -1

    def advance(
        self, state: TrainState, key: Key, count: int
    ) -> tuple[TrainState, dict[str, np.ndarray]]:
        """`count` steps; the state is donated. Metrics of every step, when they are done."""
        first = int(state.step)
        if first != self._position:
            self.close()
            batch = first * self.train.accumulate
            self._batches = batches(self._source, batch, self._workers)
        self._position = first + count
        rows = []
        for _ in range(count):
            parts = [self._place(next(self._batches)) for _ in range(self.train.accumulate)]
            windows = jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts)
            state, metrics = self._step(state, windows, key)
            if jax.process_count() > 1:
                jax.block_until_ready(metrics)  # gloo deadlocks on dispatches that nobody awaits
            rows.append(metrics)
        return state, {name: np.array([row[name] for row in rows]) for name in rows[0]}

    def close(self) -> None:
        """Ends the processes that gather."""
        if self._batches is not None:
            self._batches.close()
            self._batches = None

    def datasets(self, key: Key, step: int) -> list[str]:
        """Names of the data sets that a step drew from, on this process."""
        first = step * self.train.accumulate
        drawn = [self._source[first + i].dataset for i in range(self.train.accumulate)]
        names = [self.names[i] for i in np.unique(np.concatenate(drawn))]
        return [*names, MADE_UP] if made_up(self.train.batch_size, self.data) else names

    def _place(self, windows: Windows) -> Windows:
        place = partial(jax.make_array_from_process_local_data, self._real)
        return jax.tree.map(place, windows)

    def _one_step(self, state: TrainState, windows: Windows, key: Key) -> Any:
        window_key, step_key = step_keys(key, state.step)

        def batch_of(index: Any, key: Key) -> Windows:
            real = jax.tree.map(lambda leaf: leaf[index], windows)
            batch, names = self.train.batch_size, len(self.names) - 1
            whole = complete(key, real, batch, self.model, self.data, names)
            return jax.lax.with_sharding_constraint(whole, self._split)

        return update_from(state, batch_of, window_key, step_key, self.model, self.train)


def own_rows(split: NamedSharding, batch: int) -> Int[np.ndarray, "rows"]:
    """The rows of a batch that lie on this process's devices."""
    parts = split.addressable_devices_indices_map((batch,)).values()
    return np.unique(np.concatenate([np.arange(batch)[part] for part in parts if part]))
