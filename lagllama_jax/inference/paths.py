"""Sample paths: the context read once a series, then one token a step for all samples together.

The scale is fit once, at the forecast's start, the way the model is trained (the reference refits
it at every step: `reference_decode`). The context is then the same for all samples of a series,
and they share its keys and values.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Key as Keys

from lagllama_jax.config import ModelConfig
from lagllama_jax.inference.batch import Past
from lagllama_jax.model.kv_cache import KVCache, ring_slots, start_cache
from lagllama_jax.model.network import bind_head
from lagllama_jax.model.rope import Turn, turns
from lagllama_jax.model.scalers import Scale, fit_scale
from lagllama_jax.model.tokens import assemble, model_inputs, scale_features, tokens
from lagllama_jax.model.transformer import Transformer
from lagllama_jax.typing import Array, Bool, Float, Int, Parameters, UInt

LARGEST_DRAW = 1e6
"""Draws further than this many scales from loc are pulled back to it: a path that runs away over
hundreds of steps stays finite."""


class Drawing(NamedTuple):
    """How paths are drawn; static under `jit`.

    Attributes:
      num_samples: paths a series.
      capacity: most steps that the buffers hold.
      stratified: draws of one step cover the distribution evenly across samples.
      nonnegative: clip draws at 0 before they are fed back.
    """

    num_samples: int
    capacity: int
    stratified: bool = True
    nonnegative: bool = False


class Series(NamedTuple):
    """What stays the same while a batch is decoded."""

    inputs: Float[Array, "B U"]
    observed: Bool[Array, "B U"]
    scale: Scale
    scale_part: Float[Array, "B E"]
    time_features: Float[Array, "B P 6"]
    turns: Turn
    keys: Keys[Array, "B"]


class Paths(NamedTuple):
    """What grows: drawn values, the same as model inputs, caches, and the last hidden states."""

    samples: Float[Array, "P B S"]
    inputs: Float[Array, "P B S"]
    hidden: Float[Array, "B S D"]
    caches: list[KVCache]


def series_keys(seed: UInt[Array, ""], identity: UInt[Array, "B"]) -> Keys[Array, "B"]:
    """One key a series, whatever its neighbours."""
    return jax.vmap(lambda number: jax.random.fold_in(jax.random.key(seed), number))(identity)


def prefill(
    parameters: Parameters,
    config: ModelConfig,
    past: Past,
    drawing: Drawing,
    seed: UInt[Array, ""],
) -> tuple[Series, Paths]:
    """Reads the context once a series; the paths are empty but for the hidden states of its end."""
    scale = fit_scale(past.values, past.observed, config.scaling, config.safe_scaling)
    context = past.time_features[:, : config.context_length]
    features = tokens(config, past.values, past.observed, scale, context)
    outputs: Any = Transformer(config).apply(
        {"params": parameters}, features, config.window, method="prefill"
    )
    hidden, prefix = outputs
    series = Series(
        model_inputs(config, past.values, past.observed, scale),
        past.observed,
        scale,
        scale_features(config, scale),
        past.time_features[:, config.context_length :],
        turns(config, config.context_length + jnp.arange(drawing.capacity), config.window),
        series_keys(seed, past.identity),
    )
    batch, samples = past.values.shape[0], drawing.num_samples
    slots = ring_slots(config.window, drawing.capacity)
    empty = jnp.zeros((drawing.capacity, batch, samples), past.values.dtype)
    last = jnp.broadcast_to(hidden[:, -1:], (batch, samples, config.width))
    caches = [start_cache(key, value, samples, slots) for key, value in prefix]
    return series, Paths(empty, empty, last, caches)


def draw_values(
    parameters: Parameters,
    config: ModelConfig,
    drawing: Drawing,
    hidden: Float[Array, "B S D"],
    scale: Scale,
    keys: Keys[Array, "B"],
    step: Int[Array, ""],
) -> Float[Array, "B S"]:
    """Draws one value for each hidden state, in the series' units.

    The random numbers of a series and step come from its key and the step alone.
    """
    head = bind_head(config, parameters)

    def sample(hidden: Array, loc: Array, scale: Array, key: Array) -> Array:
        step_key = jax.random.fold_in(key, step)
        return head.sample(hidden, loc, scale, step_key, stratified=drawing.stratified)

    values = jax.vmap(sample)(hidden, *scale, keys)
    reach = LARGEST_DRAW * scale.scale
    values = jnp.clip(values, scale.loc - reach, scale.loc + reach)
    return jnp.maximum(values, 0) if drawing.nonnegative else values


def draw(
    parameters: Parameters,
    config: ModelConfig,
    drawing: Drawing,
    series: Series,
    paths: Paths,
    step: Int[Array, ""],
) -> Paths:
    """Draws the values of `step` from the last hidden states and appends them to the paths."""
    values = draw_values(parameters, config, drawing, paths.hidden, series.scale, series.keys, step)
    return feed(config, series, paths, values, step)


def feed(
    config: ModelConfig,
    series: Series,
    paths: Paths,
    values: Float[Array, "B S"],
    step: Int[Array, ""],
) -> Paths:
    """Appends the values of `step` to the paths."""
    inputs = model_inputs(config, values, jnp.ones(values.shape, bool), series.scale)
    return paths._replace(
        samples=paths.samples.at[step].set(values), inputs=paths.inputs.at[step].set(inputs)
    )


def own_tokens(
    config: ModelConfig, series: Series, paths: Paths, step: Int[Array, ""]
) -> Float[Array, "B S F"]:
    """Tokens of own point `step`: lags that reach before the forecast are shared by all samples."""
    length = series.inputs.shape[1]
    index = step - jnp.asarray(config.lags)
    own = index >= 0
    past = jnp.minimum(index, -1) + length
    drawn = jnp.moveaxis(paths.inputs[jnp.maximum(index, 0)], 0, -1)
    lagged = jnp.where(own, drawn, series.inputs[:, None, past])
    rows = lagged.shape[:2]
    scale_part = jnp.broadcast_to(series.scale_part[:, None], (*rows, series.scale_part.shape[-1]))
    calendar = jnp.broadcast_to(series.time_features[:, None, step], (*rows, 6))
    flags = lagged
    if config.observed_features:
        seen = (own | series.observed[:, None, past]).astype(lagged.dtype)
        flags = jnp.broadcast_to(seen, lagged.shape)
    return assemble(config, lagged, scale_part, calendar, flags)


def advance(
    parameters: Parameters,
    config: ModelConfig,
    series: Series,
    paths: Paths,
    step: Int[Array, ""],
) -> Paths:
    """Reads own point `step`: hidden states of the next point, and its keys and values."""
    outputs: Any = Transformer(config).apply(
        {"params": parameters},
        own_tokens(config, series, paths, step),
        paths.caches,
        step,
        Turn(series.turns.cos[step], series.turns.sin[step]),
        config.window,
        method="extend",
    )
    hidden, caches = outputs
    return paths._replace(hidden=hidden, caches=caches)


def decode(
    parameters: Parameters,
    config: ModelConfig,
    past: Past,
    num_steps: Int[Array, ""],
    seed: UInt[Array, ""],
    drawing: Drawing,
) -> Float[Array, "B S P"]:
    """Sample paths of `capacity` points, of which the first `num_steps` are drawn.

    Args:
      parameters: the model's.
      config: the architecture; `context_length` and `window` are those of the forecast.
      past: the series. Their calendars reach `capacity` points beyond the context.
      num_steps: points to draw; traced, so that horizons share a program.
      seed: of the random numbers.
      drawing: how paths are drawn.
    """
    series, paths = prefill(parameters, config, past, drawing, seed)

    def step_on(step: Int[Array, ""], paths: Paths) -> Paths:
        paths = jax.lax.cond(
            step > 0,
            lambda paths: advance(parameters, config, series, paths, step - 1),
            lambda paths: paths,
            paths,
        )
        return draw(parameters, config, drawing, series, paths, step)

    paths = jax.lax.fori_loop(0, num_steps, step_on, paths)
    return jnp.moveaxis(paths.samples, 0, -1)
