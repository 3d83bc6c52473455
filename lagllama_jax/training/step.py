"""Training steps as pure functions: from batches to gradients to new weights."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from lagllama_jax.config import TrainConfig
from lagllama_jax.training.loss import targets_loss
from lagllama_jax.training.recipe import Recipe
from lagllama_jax.training.sources import Batches, MakeBatch
from lagllama_jax.training.state import TrainState, apply_gradients
from lagllama_jax.typing import Array, Float, Int, Key

Metrics = dict[str, Float[Array, "*n"]]

BatchOf = Callable[[Int[Array, ""] | int, Key], Batches]
"""A function that returns a batch of a step, from its number in the step and its key."""


KEPT = 4
"""Number of compiled programs that a process keeps, each for one recipe and arrays of one size."""


def step_keys(key: Key, step: Int[Array, ""] | int) -> tuple[Key, Key]:
    """The keys of one step: one for its windows, one for dropout and random quantile levels."""
    window_key, step_key = jax.random.split(jax.random.fold_in(key, step))
    return window_key, step_key


def batch_key(window_key: Key, index: Int[Array, ""] | int, train: TrainConfig) -> Key:
    """The key of one batch of a step, from the key of the step."""
    return window_key if train.accumulate == 1 else jax.random.fold_in(window_key, index)


def update(
    state: TrainState, batch_of: BatchOf, key: Key, recipe: Recipe, rate: Float[Array, ""] | float
) -> tuple[TrainState, Metrics]:
    """Applies one optimizer step with the mean gradient of `accumulate` batches.

    Args:
      state: State before the step.
      batch_of: Gives the batches of the step.
      key: Random key of the run; the random numbers depend on it and on the number of the step.
      recipe: The architecture, the objective and the optimizer.
      rate: Learning rate of the step.

    Returns:
      The new state, and the metrics of `targets_loss` and `gradient_norm`.
    """
    train = recipe.train
    window_key, step_key = step_keys(key, state.step)

    def gradient(index: Int[Array, ""] | int) -> Any:
        batch = batch_of(index, batch_key(window_key, index, train))
        loss = jax.grad(targets_loss, has_aux=True)
        return loss(state.parameters, recipe, batch, batch_key(step_key, index, train))

    if train.accumulate == 1:
        grads, metrics = gradient(0)
    else:

        def add(total: Any, index: Int[Array, ""]) -> Any:
            part = gradient(index)
            return jax.tree.map(lambda mean, new: mean + new / train.accumulate, total, part), None

        shapes = jax.eval_shape(gradient, 0)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        (grads, metrics), _ = jax.lax.scan(add, zeros, jnp.arange(train.accumulate))
    metrics |= {"gradient_norm": optax.tree.norm(grads)}
    return apply_gradients(state, grads, train, rate), metrics


Steps = Callable[[TrainState, Any, Key, Any], tuple[TrainState, Metrics]]
"""A function of the state, what `BatchSource.next` returned, the random key of the run, and the
learning rate of each step. It returns the new state, and the metrics of each step."""


def make_steps(batch: MakeBatch, recipe: Recipe) -> Steps:
    """Makes a function that runs several steps in one call, as many as it is given learning rates.

    Args:
      batch: The function `batch` of a `BatchSource`.
      recipe: The architecture, the objective and the optimizer.
    """

    def steps(state: TrainState, feed: Any, key: Key, rates: Float[Array, "n"]) -> Any:
        def step(state: TrainState, turn: tuple[Int[Array, ""], Float[Array, ""]]) -> Any:
            place, rate = turn
            batch_of = lambda index, key: batch(feed, place, index, key)  # noqa: E731
            return update(state, batch_of, key, recipe, rate)

        return jax.lax.scan(step, state, (jnp.arange(len(rates)), rates))

    return steps


def shapes_of(tree: Any) -> tuple[Any, ...]:
    """The structure, the shapes and the data types of arrays: what a program is compiled for."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, *((leaf.shape, leaf.dtype) for leaf in leaves)


@functools.lru_cache(maxsize=KEPT)
def compiled_steps(batch: MakeBatch, recipe: Recipe, shapes: tuple[Any, ...]) -> Steps:
    """As `make_steps`, compiled. The state is donated.

    Runs share a program if they make batches in the same way, and `recipe.program` and the shapes
    of their arrays are equal.

    Args:
      batch: As for `make_steps`.
      recipe: `Recipe.program` of the run.
      shapes: `shapes_of` what `BatchSource.next` returned, and of the learning rates. Programs for
        other shapes are kept and forgotten on their own.
    """
    return jax.jit(make_steps(batch, recipe), donate_argnums=0)
