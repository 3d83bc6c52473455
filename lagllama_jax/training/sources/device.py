"""Windows drawn on the device: the corpus lies there, and nothing is sent between steps."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from lagllama_jax.config import DataConfig, ModelConfig, TrainConfig
from lagllama_jax.model.batch import Batch
from lagllama_jax.training.sharding import Rules, batch_sharding, replicated
from lagllama_jax.training.sources import SYNTHETIC
from lagllama_jax.training.sources.complete import complete, num_synthetic, window_keys
from lagllama_jax.training.sources.windows import CorpusArrays, draw, gather
from lagllama_jax.training.step import step_keys
from lagllama_jax.typing import Array, Int, Key


class DeviceSource:
    """A `BatchSource` that draws windows inside the compiled steps."""

    def __init__(
        self,
        corpus: CorpusArrays,
        names: Sequence[str],
        model: ModelConfig,
        data: DataConfig,
        train: TrainConfig,
        mesh: Mesh,
        rules: Rules,
    ):
        """Places the corpus on every device.

        Raises:
          ConfigError: If the batch does not divide over the mesh.
        """
        self.model, self.data, self.train, self.names = model, data, train, names
        self.corpus = replicated(mesh, corpus)
        self._split = batch_sharding(mesh, rules, train.batch_size)

    def next(self, first: int, count: int) -> CorpusArrays:
        """The corpus, whatever the steps."""
        return self.corpus

    def batch(
        self, feed: CorpusArrays, place: Int[Array, ""], index: Int[Array, ""] | int, key: Key
    ) -> Batch:
        """Real windows drawn from the corpus, then synthetic ones."""
        drawn = sample_batch(feed, key, self.train.batch_size, self.model, self.data)
        return jax.lax.with_sharding_constraint(drawn, self._split)

    def datasets(self, key: Key, step: int) -> list[str]:
        """Names of the data sets that a step drew from."""
        window_key, _ = step_keys(key, step)
        synthetic = num_synthetic(self.train.batch_size, self.data)
        count, drawn = self.train.batch_size - synthetic, []
        for index in range(self.train.accumulate if count else 0):
            of_batch = window_key if self.train.accumulate == 1 else _fold(window_key, index)
            real_key = window_keys(of_batch)[0]
            draws = draw(real_key, self.corpus, count, self.model, self.data)
            drawn.append(np.asarray(self.corpus.dataset[draws.series]))
        numbers = np.unique(np.concatenate(drawn)) if drawn else []
        return [self.names[i] for i in numbers] + [SYNTHETIC] * (synthetic > 0)

    def close(self) -> None:
        """Nothing runs beside the steps."""


def _fold(key: Key, index: int) -> Any:
    return jax.random.fold_in(key, index)


def sample_batch(
    corpus: CorpusArrays, key: Key, size: int, model: ModelConfig, data: DataConfig
) -> Batch:
    """A batch drawn on the device: real windows, then synthetic ones."""
    count, real = size - num_synthetic(size, data), None
    if count:
        draws = draw(window_keys(key)[0], corpus, count, model, data)
        real = gather(corpus, draws, model, data)
    return complete(key, real, size, model, data)
