"""Draws sample paths: the context is encoded once per series, then one point is drawn per step.

The scale is fitted once, at the start of the forecast, as in training. The context is thus the same
for all samples of a series, and they share its keys and values. The reference implementation
refits the scale at each step (see `checkpoints.torch.parity.decoders`).
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Key as Keys

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.batch import Batch
from lagllama_jax.model.network import LagLlamaNetwork, Paths, bind_head
from lagllama_jax.model.tokens import Context, model_inputs
from lagllama_jax.typing import Array, Float, Int, Parameters, UInt

LARGEST_DRAW = 1e6
"""Draws are clipped to this many scales from loc, so that a path that diverges over hundreds of
steps stays finite."""


class Sampling(NamedTuple):
    """Options of sampling, which are static under `jit`.

    Attributes:
      num_samples: Number of paths per series.
      capacity: Largest number of steps that the buffers hold.
      stratified: Whether the draws of one step cover the distribution evenly across samples.
      nonnegative: Whether draws are clipped at 0 before they are fed back.
    """

    num_samples: int
    capacity: int
    stratified: bool = True
    nonnegative: bool = False


def row_keys(batch: Batch, seed: UInt[Array, ""]) -> Keys[Array, "B"]:
    """One random key per row, from the seeds of the call and the group, and the variate's index."""
    groups, variates = batch.values.shape[:2]
    key = jax.random.key(seed)
    of_group = jax.vmap(lambda number: jax.random.fold_in(key, number))(batch.seed)
    if variates == 1:
        return of_group
    place = jnp.arange(variates)
    fold = jax.vmap(jax.vmap(jax.random.fold_in, (None, 0)), (0, None))
    keys = fold(of_group, place)
    return jnp.where(place == 0, of_group[:, None], keys).reshape(groups * variates)


def draw_values(
    parameters: Parameters,
    config: ModelConfig,
    sampling: Sampling,
    hidden: Float[Array, "B S D"],
    context: Context,
    keys: Keys[Array, "B"],
    step: Int[Array, ""],
) -> Float[Array, "B S"]:
    """Draws one value per hidden state.

    The random numbers of a row depend only on its key and the step.

    Args:
      parameters: The parameters of the model.
      config: The architecture.
      sampling: Options of sampling.
      hidden: Hidden states.
      context: The past of each row.
      keys: Random key of each row.
      step: Number of the step.

    Returns:
      The values, in the units in which the model reads the batch.
    """
    head, scale = bind_head(config, parameters), context.scale

    def sample(hidden: Array, loc: Array, scale: Array, key: Array) -> Array:
        step_key = jax.random.fold_in(key, step)
        return head.sample(hidden, loc, scale, step_key, stratified=sampling.stratified)

    values = jax.vmap(sample)(hidden, *scale, keys)
    reach = LARGEST_DRAW * scale.scale
    values = jnp.clip(values, scale.loc - reach, scale.loc + reach)
    return jnp.maximum(values, -context.level) if sampling.nonnegative else values


def sample_paths(
    parameters: Parameters,
    config: ModelConfig,
    batch: Batch,
    num_steps: Int[Array, ""],
    seed: UInt[Array, ""],
    sampling: Sampling,
) -> Float[Array, "G V S P"]:
    """Draws sample paths of `num_steps` points.

    Args:
      parameters: The parameters of the model.
      config: The architecture, with the context length and attention window of the forecast.
      batch: The series. Their calendar features reach `capacity` points beyond the context.
      num_steps: Number of points to draw. It is traced, so that all horizons share a program.
      seed: Seed of the random numbers.
      sampling: Options of sampling.

    Returns:
      The paths, of length P = `capacity`, in the units in which the model reads the batch. Points
      from number `num_steps` on are 0.
    """
    network = functools.partial(LagLlamaNetwork(config).apply, {"params": parameters})
    start: Any = network(batch, sampling.num_samples, sampling.capacity, method="prefill")
    context, turn, paths = start
    keys = row_keys(batch, seed)

    def advance(paths: Paths, step: Int[Array, ""]) -> Paths:
        extended: Any = network(context, turn, paths, step, method="extend")
        return extended

    def step_on(step: Int[Array, ""], state: tuple[Paths, Array]) -> tuple[Paths, Array]:
        paths, samples = state
        paths = jax.lax.cond(step > 0, lambda p: advance(p, step - 1), lambda p: p, paths)
        values = draw_values(parameters, config, sampling, paths.hidden, context, keys, step)
        known = jnp.ones(values.shape, bool)
        inputs = model_inputs(config, values, known, context.scale, context.level)
        paths = paths._replace(drawn=paths.drawn.at[step].set(inputs))
        return paths, samples.at[step].set(values)

    samples = jnp.zeros_like(paths.drawn)
    samples = jax.lax.fori_loop(0, num_steps, step_on, (paths, samples))[1]
    groups, variates = batch.values.shape[:2]
    return jnp.moveaxis(samples, 0, -1).reshape(
        groups, variates, sampling.num_samples, sampling.capacity
    )
