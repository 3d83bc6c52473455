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
from lagllama_jax.inference.dependence import coupled_ranks, couples, coupling
from lagllama_jax.model.batch import Batch
from lagllama_jax.model.heads.draws import SamplePart
from lagllama_jax.model.network import LagLlamaNetwork, Paths, bind_head
from lagllama_jax.model.tokens import Context, model_inputs
from lagllama_jax.typing import Array, Float, Int, Parameters, UInt

LARGEST_DRAW = 1e6
"""Draws are clipped to this many scales from loc, so that a path that diverges over hundreds of
steps stays finite."""


class Sampling(NamedTuple):
    """Options of sampling, which are static under `jit`.

    Attributes:
      num_samples: Number of paths per variate.
      capacity: Largest number of steps that the buffers hold.
      stratified: Whether the draws of one step cover the distribution evenly across samples.
      nonnegative: Whether draws are clipped at 0 before they are fed back.
      drawn: Number of variates of each group whose paths are drawn (`LagLlamaNetwork.prefill`).
        `None`: all.
      part: Number of the paths of each variate that one call draws. `None`: all.
    """

    num_samples: int
    capacity: int
    stratified: bool = True
    nonnegative: bool = False
    drawn: int | None = None
    part: int | None = None


def row_keys(seeds: UInt[Array, "*rows"], seed: UInt[Array, ""]) -> Keys[Array, "B"]:
    """One random key per row, from the seeds of the call and of the variates."""
    key = jax.random.key(seed)
    return jax.vmap(lambda number: jax.random.fold_in(key, number))(seeds.ravel())


def draw_values(
    parameters: Parameters,
    config: ModelConfig,
    sampling: Sampling,
    hidden: Float[Array, "B S D"],
    context: Context,
    step_keys: Keys[Array, "B"],
    first: Int[Array, ""] | int = 0,
    coupling: Float[Array, "G V V"] | None = None,
) -> Float[Array, "B S"]:
    """Draws one value per hidden state.

    The random numbers of a row depend only on its key, and with coupling on those of its group.

    Args:
      parameters: The parameters of the model.
      config: The architecture.
      sampling: Options of sampling.
      hidden: Hidden states.
      context: The past of each row.
      step_keys: Random key of each row at this step.
      first: As in `sample_paths`.
      coupling: As `dependence.coupling` returns it. `None`: the rows are independent.

    Returns:
      The values, in the units in which the model reads the batch.
    """
    head, scale = bind_head(config, parameters), context.scale

    part, ranks = None, None
    if sampling.part is not None:
        part = SamplePart(jnp.asarray(first), sampling.num_samples)
    if coupling is not None:
        ranks = coupled_ranks(coupling, step_keys, sampling.num_samples)
        ranks = ranks if part is None else part.of(ranks, hidden.shape[1])

    def sample(
        hidden: Array, loc: Array, scale: Array, key: Array, ranks: Array | None = None
    ) -> Array:
        order: dict[str, Any] = {} if ranks is None else {"ranks": ranks}
        order |= {} if part is None else {"part": part}
        return head.sample(hidden, loc, scale, key, stratified=sampling.stratified, **order)

    values = jax.vmap(sample)(hidden, *scale, step_keys, *([] if ranks is None else [ranks]))
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
    first: Int[Array, ""] | int = 0,
) -> Float[Array, "G D S P"]:
    """Draws sample paths of `num_steps` points.

    The paths of the variates of a group are drawn together, with the dependence of the errors of
    one-step forecasts in the context (`dependence.coupling`).

    Args:
      parameters: The parameters of the model.
      config: The architecture, with the context length and attention window of the forecast.
      batch: The series. Their calendar features reach `capacity` points beyond the context.
      num_steps: Number of points to draw. It is traced, so that all horizons share a program.
      seed: Seed of the random numbers.
      sampling: Options of sampling.
      first: Number of the first path, if only a part of them is drawn (`Sampling.part`). Each path
        is the same in any part, up to rounding.

    Returns:
      The paths of the D drawn variates, of length P = `capacity`, in the units in which the model
      reads the batch. Points from number `num_steps` on are 0.
    """
    groups, variates = batch.values.shape[:2]
    count, capacity = sampling.drawn or variates, sampling.capacity
    samples_each = sampling.part or sampling.num_samples
    network = functools.partial(LagLlamaNetwork(config).apply, {"params": parameters})
    start: Any = network(batch, samples_each, capacity, count, method="prefill")
    context, turn, paths = start
    keys = row_keys(batch.seed if count == variates else batch.seed[:, :count], seed)
    coupled = coupling(parameters, config, batch, count) if couples(config, count) else None

    def advance(paths: Paths, step: Int[Array, ""]) -> Paths:
        extended: Any = network(context, turn, paths, step, method="extend")
        return extended

    def draw(step: Int[Array, ""], state: tuple[Paths, Array]) -> tuple[Paths, Array]:
        paths, samples = state
        step_keys = jax.vmap(lambda key: jax.random.fold_in(key, step))(keys)
        values = draw_values(
            parameters, config, sampling, paths.hidden, context, step_keys, first, coupled
        )
        known = jnp.ones(values.shape, bool)
        inputs = model_inputs(config, values, known, context.scale, context.level)
        paths = paths._replace(drawn=paths.drawn.at[step].set(inputs))
        return paths, samples.at[step].set(values)

    def step_on(step: Int[Array, ""], state: tuple[Paths, Array]) -> tuple[Paths, Array]:
        paths, samples = state
        return draw(step, (advance(paths, step - 1), samples))

    begun = draw(jnp.int32(0), (paths, jnp.zeros_like(paths.drawn)))
    samples = jax.lax.fori_loop(1, num_steps, step_on, begun)[1]
    return jnp.moveaxis(samples, 0, -1).reshape(groups, count, samples_each, capacity)
