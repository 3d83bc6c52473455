"""One training step, pure: windows to loss to gradients to new weights."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from lagllama_jax.config import DataConfig, ModelConfig, TrainConfig
from lagllama_jax.training.augment import augment
from lagllama_jax.training.loss import targets_loss
from lagllama_jax.training.mixing import flip, mixup, roughen
from lagllama_jax.training.sources.windows import CorpusArrays, Windows, draw, gather
from lagllama_jax.training.state import TrainState, apply_gradients
from lagllama_jax.training.synthetic import synthetic_windows
from lagllama_jax.typing import Array, Float, Int, Key

Metrics = dict[str, Float[Array, "*n"]]


def sample_windows(
    corpus: CorpusArrays,
    key: Key,
    batch: int,
    model: ModelConfig,
    data: DataConfig,
    num_datasets: int,
) -> Windows:
    """A batch drawn on the device: real windows, then made-up ones."""
    real_key, _, _, _ = jax.random.split(key, 4)
    count = batch - made_up(batch, data)
    real = None
    if count:
        real = gather(corpus, draw(real_key, corpus, count, model, data), model, data)
    return complete(key, real, batch, model, data, num_datasets)


def made_up(batch: int, data: DataConfig) -> int:
    """How many windows of a batch are made up."""
    return round(batch * data.synthetic)


def complete(
    key: Key,
    real: Windows | None,
    batch: int,
    model: ModelConfig,
    data: DataConfig,
    num_datasets: int,
) -> Windows:
    """A batch of real windows, augmented, and of made-up ones."""
    _, synthetic_key, flip_key, mix_key = jax.random.split(key, 4)
    parts = []
    if real is not None:
        real = augment(jax.random.fold_in(key, 4), real, data.augmentation)
        real = roughen(jax.random.fold_in(key, 5), real, data.noise)
        parts.append(flip(flip_key, mixup(mix_key, real, data.mixup), data.flip))
    if made_up(batch, data):
        count = made_up(batch, data)
        parts.append(synthetic_windows(synthetic_key, count, model, data, num_datasets))
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)


def update(
    state: TrainState,
    windows: Windows,
    key: Key,
    model: ModelConfig,
    train: TrainConfig,
) -> tuple[TrainState, Metrics]:
    """One optimizer step on one batch."""
    gradient = jax.grad(targets_loss, has_aux=True)
    grads, metrics = gradient(state.parameters, model, train, windows, key)
    metrics |= {"gradient_norm": optax.tree.norm(grads)}
    return apply_gradients(state, grads, train), metrics


def update_from(
    state: TrainState,
    batch_of: Callable[[Any, Key], Windows],
    window_key: Key,
    step_key: Key,
    model: ModelConfig,
    train: TrainConfig,
) -> tuple[TrainState, Metrics]:
    """One optimizer step on the mean gradient of `train.accumulate` batches.

    Args:
      state: before it.
      batch_of: a batch by its number and its key.
      window_key: of the batches.
      step_key: of dropout and random levels.
      model: the architecture.
      train: the optimizer.
    """
    if train.accumulate == 1:
        return update(state, batch_of(0, window_key), step_key, model, train)

    def gradient(index: Int[Array, ""]) -> tuple[Any, Metrics]:
        windows = batch_of(index, jax.random.fold_in(window_key, index))
        part_key = jax.random.fold_in(step_key, index)
        loss = jax.grad(targets_loss, has_aux=True)
        return loss(state.parameters, model, train, windows, part_key)

    def add(total: Any, index: Int[Array, ""]) -> Any:
        part = gradient(index)
        return jax.tree.map(lambda mean, new: mean + new / train.accumulate, total, part), None

    shapes = jax.eval_shape(gradient, jnp.int32(0))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    (grads, metrics), _ = jax.lax.scan(add, zeros, jnp.arange(train.accumulate))
    metrics |= {"gradient_norm": optax.tree.norm(grads)}
    return apply_gradients(state, grads, train), metrics


def step_keys(key: Key, step: Int[Array, ""] | int) -> tuple[Key, Key]:
    """The keys of one step: of its windows, and of dropout and random levels."""
    window_key, step_key = jax.random.split(jax.random.fold_in(key, step))
    return window_key, step_key


def make_steps(
    model: ModelConfig,
    data: DataConfig,
    train: TrainConfig,
    num_datasets: int,
    count: int,
    place: Callable[[Windows], Windows] = lambda windows: windows,
) -> Callable[[TrainState, CorpusArrays, Key], tuple[TrainState, Metrics]]:
    """`count` steps in one call, windows drawn on the device; step n's draws come from n alone.

    `place` may split a batch over a mesh.
    """

    def step(state: TrainState, corpus: CorpusArrays, key: Key) -> Any:
        def batch_of(_: Any, key: Key) -> Windows:
            drawn = sample_windows(corpus, key, train.batch_size, model, data, num_datasets)
            return place(drawn)

        return update_from(state, batch_of, *step_keys(key, state.step), model, train)

    def steps(state: TrainState, corpus: CorpusArrays, key: Key) -> Any:
        return jax.lax.scan(lambda s, _: step(s, corpus, key), state, length=count)

    return steps
