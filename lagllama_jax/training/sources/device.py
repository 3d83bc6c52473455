"""The input path on the device: the corpus lies there, and windows are drawn inside the steps."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from lagllama_jax.config import DataConfig, ModelConfig, TrainConfig
from lagllama_jax.training.sharding import Rules, batch_sharding, replicated
from lagllama_jax.training.sources.windows import CorpusArrays, Windows
from lagllama_jax.training.state import TrainState
from lagllama_jax.training.step import make_steps, sample_windows, step_keys
from lagllama_jax.typing import Key

MADE_UP = "synthetic"
"""What stands for the data set of made-up windows in messages."""


class DevicePath:
    """Many steps in one dispatch, during which the host does nothing."""

    def __init__(
        self,
        corpus: CorpusArrays,
        dataset_names: tuple[str, ...],
        model: ModelConfig,
        data: DataConfig,
        train: TrainConfig,
        mesh: Mesh,
        rules: Rules,
    ):
        """Args are what `make_steps` takes, the names of the data sets, and the devices.

        Raises:
          ConfigError: the batch does not divide over the mesh.
        """
        self.model, self.data, self.train = model, data, train
        self.names = (*dataset_names, MADE_UP)
        self.corpus = replicated(mesh, corpus)
        self._split = batch_sharding(mesh, rules, train.batch_size)
        self._compiled: dict[int, Callable[..., Any]] = {}

    def advance(
        self, state: TrainState, key: Key, count: int
    ) -> tuple[TrainState, dict[str, np.ndarray]]:
        """`count` steps; the state is donated. Metrics of every step, when they are done."""
        if count not in self._compiled:
            steps = make_steps(
                self.model,
                self.data,
                self.train,
                len(self.names) - 1,
                count,
                place=lambda windows: jax.lax.with_sharding_constraint(windows, self._split),
            )
            self._compiled[count] = jax.jit(steps, donate_argnums=0)
        state, metrics = self._compiled[count](state, self.corpus, key)
        return state, {name: np.asarray(values) for name, values in metrics.items()}

    def close(self) -> None:
        """Nothing runs beside the steps."""

    def windows(self, key: Key, step: int) -> Windows:
        """The windows of a step, drawn again."""
        window_key, _ = step_keys(key, step)
        batch = self.train.batch_size
        return sample_windows(
            self.corpus, window_key, batch, self.model, self.data, len(self.names) - 1
        )

    def datasets(self, key: Key, step: int) -> list[str]:
        """Names of the data sets that a step drew from."""
        return [self.names[i] for i in np.unique(np.asarray(self.windows(key, step).dataset))]
