"""The source of batches that are drawn on the device, where the whole corpus is stored."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.sharding import Mesh

from lagllama_jax.config import DataConfig, ModelConfig
from lagllama_jax.model.batch import Batch
from lagllama_jax.training.recipe import Recipe
from lagllama_jax.training.sharding import Rules, batch_sharding, replicated
from lagllama_jax.training.sources import SYNTHETIC, MakeBatch
from lagllama_jax.training.sources.complete import (
    complete,
    complete_groups,
    group_keys,
    num_real,
    window_keys,
)
from lagllama_jax.training.sources.groups import batch_sizes, draw_groups, gather_groups
from lagllama_jax.training.sources.windows import CorpusArrays, draw, gather
from lagllama_jax.training.step import batch_key, step_keys
from lagllama_jax.typing import Key


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
          DataError: If the processes of the run have different corpora.
        """
        self.recipe, self.names = recipe, names
        self.corpus = replicated(mesh, corpus)
        model, data = recipe.model, recipe.data
        self._sizes = batch_sizes(recipe.train.batch_size, data)
        split = batch_sharding(mesh, rules, *self._sizes)
        self.batch = MakeBatch(sample_batch, sample_groups, False, model, data, self._sizes, split)

    def next(self, first: int, count: int) -> CorpusArrays:
        """The corpus, which is the same for all steps."""
        return self.corpus

    def datasets(self, key: Key, step: int) -> list[str]:
        """Names of the datasets from which the windows of a step were drawn."""
        recipe, train = self.recipe, self.recipe.train
        model, data = recipe.model, recipe.data
        count, real_groups = (num_real(size, data) for size in self._sizes)
        drawn = []
        for index in range(train.accumulate):
            part_key = batch_key(step_keys(key, step)[0], index, train)
            if count:
                drawn.append(draw(window_keys(part_key)[0], self.corpus, count, model, data).series)
            if real_groups:
                real_key = group_keys(part_key).real
                found = draw_groups(real_key, self.corpus, real_groups, model, data)
                drawn.append(found.window.series)
        series: Any = np.concatenate([np.asarray(part) for part in drawn]) if drawn else []
        numbers: Any = np.unique(np.asarray(self.corpus.dataset)[series]) if drawn else []
        synthetic = count + real_groups < sum(self._sizes)
        return [self.names[i] for i in numbers] + [SYNTHETIC] * synthetic

    def close(self) -> None:
        """Does nothing: there are no background threads."""


def sample_batch(
    corpus: CorpusArrays, key: Key, size: int, model: ModelConfig, data: DataConfig
) -> Batch:
    """Draws a batch on the device: real windows, then synthetic ones."""
    count, real = num_real(size, data), None
    if count:
        draws = draw(window_keys(key)[0], corpus, count, model, data)
        real = gather(corpus, draws, model, data)
    return complete(key, real, size, model, data)


def sample_groups(
    corpus: CorpusArrays, key: Key, count: int, model: ModelConfig, data: DataConfig
) -> Batch:
    """Draws a batch of groups on the device: real groups, then synthetic ones."""
    real_count, real = num_real(count, data), None
    if real_count:
        draws = draw_groups(group_keys(key).real, corpus, real_count, model, data)
        real = gather_groups(corpus, draws, model, data)
    return complete_groups(key, real, count, model, data)
