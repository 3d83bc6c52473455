"""The source of batches that are drawn on the device, where the whole corpus is stored."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from lagllama_jax.config import DataConfig, ModelConfig
from lagllama_jax.model.batch import Batch
from lagllama_jax.training.recipe import Recipe
from lagllama_jax.training.sharding import Rules, batch_sharding, replicated
from lagllama_jax.training.sources import SYNTHETIC
from lagllama_jax.training.sources.complete import complete, num_synthetic, window_keys
from lagllama_jax.training.sources.windows import CorpusArrays, draw, gather
from lagllama_jax.training.step import batch_key, step_keys
from lagllama_jax.typing import Array, Int, Key


class DeviceSource:
    """A `BatchSource` that draws windows within the compiled steps."""

    def __init__(
        self,
        corpus: CorpusArrays,
        names: Sequence[str],
        recipe: Recipe,
        mesh: Mesh,
        rules: Rules,
    ):
        """Copies the corpus to every device.

        Args:
          corpus: The corpus as arrays.
          names: Names of its datasets.
          recipe: The windows and the batch size.
          mesh: The devices.
          rules: How batches are split over them.

        Raises:
          ConfigError: If the batch does not divide over the mesh.
        """
        self.recipe, self.names = recipe, names
        self.corpus = replicated(mesh, corpus)
        self._split = batch_sharding(mesh, rules, recipe.train.batch_size)

    def next(self, first: int, count: int) -> CorpusArrays:
        """The corpus, which is the same for all steps."""
        return self.corpus

    def batch(
        self, feed: CorpusArrays, place: Int[Array, ""], index: Int[Array, ""] | int, key: Key
    ) -> Batch:
        """Real windows drawn from the corpus, then synthetic ones."""
        recipe = self.recipe
        drawn = sample_batch(feed, key, recipe.train.batch_size, recipe.model, recipe.data)
        return jax.lax.with_sharding_constraint(drawn, self._split)

    def datasets(self, key: Key, step: int) -> list[str]:
        """Names of the datasets from which the windows of a step were drawn."""
        recipe, train = self.recipe, self.recipe.train
        synthetic = num_synthetic(train.batch_size, recipe.data)
        count, drawn = train.batch_size - synthetic, []
        for index in range(train.accumulate if count else 0):
            real_key = window_keys(batch_key(step_keys(key, step)[0], index, train))[0]
            draws = draw(real_key, self.corpus, count, recipe.model, recipe.data)
            drawn.append(np.asarray(self.corpus.dataset[draws.series]))
        numbers: Any = np.unique(np.concatenate(drawn)) if drawn else []
        return [self.names[i] for i in numbers] + [SYNTHETIC] * (synthetic > 0)

    def close(self) -> None:
        """Does nothing: there are no background threads."""


def sample_batch(
    corpus: CorpusArrays, key: Key, size: int, model: ModelConfig, data: DataConfig
) -> Batch:
    """Draws a batch on the device: real windows, then synthetic ones."""
    count, real = size - num_synthetic(size, data), None
    if count:
        draws = draw(window_keys(key)[0], corpus, count, model, data)
        real = gather(corpus, draws, model, data)
    return complete(key, real, size, model, data)
