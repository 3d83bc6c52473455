"""Completes batches: augments their real windows or groups and adds synthetic ones."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lagllama_jax.config import DataConfig, ModelConfig
from lagllama_jax.model.batch import Batch
from lagllama_jax.training.augment import augment
from lagllama_jax.training.hints import add_hints
from lagllama_jax.training.mixing import flip, mixup, roughen, shift
from lagllama_jax.training.synthetic import synthetic_windows
from lagllama_jax.training.synthetic_groups import synthetic_groups
from lagllama_jax.typing import Key


def num_synthetic(batch: int, data: DataConfig) -> int:
    """Number of windows of a batch that are synthetic."""
    return round(batch * data.synthetic)


def num_real(batch: int, data: DataConfig) -> int:
    """Number of windows of a batch that are real."""
    return batch - num_synthetic(batch, data)


def window_keys(key: Key) -> tuple[Key, Key, Key, Key]:
    """The keys of a batch: for its real windows, its synthetic windows, flipping and mixing."""
    real, synthetic, flipped, mixed = jax.random.split(key, 4)
    return real, synthetic, flipped, mixed


def complete(
    key: Key, real: Batch | None, size: int, model: ModelConfig, data: DataConfig
) -> Batch:
    """A batch of `size` windows: the augmented real ones, then synthetic ones.

    Args:
      key: Random key of the batch.
      real: The real windows. `None`: there are none.
      size: Number of windows of the batch.
      model: The architecture, for the lengths of a window.
      data: Shares of the augmentations and of synthetic windows.
    """
    _, synthetic_key, flip_key, mix_key = window_keys(key)
    parts = []
    if real is not None:
        real = augment(jax.random.fold_in(key, 4), real, data.augmentation)
        real = roughen(jax.random.fold_in(key, 5), real, data.noise)
        parts.append(flip(flip_key, mixup(mix_key, real, data.mixup), data.flip))
    count = num_synthetic(size, data)
    if count:
        parts.append(synthetic_windows(synthetic_key, count, model, data))
    whole = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)
    return shift(jax.random.fold_in(key, 6), whole, data.shift)


class GroupKeys(NamedTuple):
    """The keys of the groups of a batch, one per random choice."""

    real: Key
    synthetic: Key
    rough: Key
    flipped: Key
    shifted: Key
    hint: Key


def group_keys(key: Key) -> GroupKeys:
    """The keys of the groups of a batch, from the key of the batch."""
    return GroupKeys(*jax.random.split(jax.random.fold_in(key, 7), len(GroupKeys._fields)))


def complete_groups(
    key: Key, real: Batch | None, count: int, model: ModelConfig, data: DataConfig
) -> Batch:
    """A batch of `count` groups: the augmented real ones, then synthetic ones, and their hints.

    Args:
      key: Random key of the batch.
      real: The real groups. `None`: there are none.
      count: Number of groups of the batch.
      model: The architecture, for the lengths of a window.
      data: Shares of the augmentations, of synthetic windows and of hints.
    """
    keys, parts = group_keys(key), []
    if real is not None:
        parts.append(flip(keys.flipped, roughen(keys.rough, real, data.noise), data.flip))
    synthetic = num_synthetic(count, data)
    if synthetic:
        parts.append(synthetic_groups(keys.synthetic, synthetic, model, data))
    whole = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)
    shifted = shift(keys.shifted, whole, data.shift)
    return add_hints(keys.hint, shifted, data.hinted, data.hint_alone)
