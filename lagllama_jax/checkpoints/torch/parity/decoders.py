"""The decoding modes of the reference implementation, for comparison with it.

All of them refit loc and scale at each step to all values so far, including the drawn ones.

* `recompute`: At each step, the whole sequence, which is one token longer, is encoded again.
* `kv_cache`: The keys and values of earlier tokens are kept, although they were computed with older
  scales. Each step appends one token and drops the oldest one. Keys are rotated by their position
  in this window.
* `single_pass`, `single_pass_kv`: These are like the first two, but the mean of the distribution is
  fed back. All samples of a step are drawn from its marginal distribution, so that they do not form
  joint paths.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from lagllama_jax.checkpoints.torch.parity.quantities import raw_batch
from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import ConfigError
from lagllama_jax.model.attention import attend, causal_mask
from lagllama_jax.model.batch import Rows, rows_of
from lagllama_jax.model.heads.negative_binomial import NegativeBinomialHead
from lagllama_jax.model.heads.student_t import StudentTHead
from lagllama_jax.model.network import LagLlamaNetwork, bind_head
from lagllama_jax.model.rope import rope_angles, rotate
from lagllama_jax.model.scalers import Scale, fit_scale
from lagllama_jax.model.tokens import tokens
from lagllama_jax.typing import Array, Float, Int, Parameters

CACHED = ("kv_cache", "single_pass_kv")
SINGLE_PASS = ("single_pass", "single_pass_kv")

LayerCache = tuple[Float[Array, "B C K H"], Float[Array, "B C K H"]]
Mix = Callable[[Array, Array, Array, LayerCache | None], tuple[Array, LayerCache]]


def until(rows: Rows, end: Int[Array, ""] | int) -> Rows:
    """The rows with all points from number `end` on marked as not observed."""
    known = jnp.arange(rows.values.shape[1]) < end
    return rows._replace(observed=rows.observed & known)


def cut(rows: Rows, first: Int[Array, ""] | int, config: ModelConfig, count: int) -> Rows:
    """The part of the rows that the tokens of `count` points need.

    The first of these points is number `first` of the context.
    """

    def part(array: Array, size: int) -> Array:
        return jax.lax.dynamic_slice_in_dim(array, first, size, axis=1)

    length = config.max_lag + count
    return rows._replace(
        values=part(rows.values, length),
        observed=part(rows.observed, length),
        time_features=part(rows.time_features, count),
    )


def turn(config: ModelConfig, x: Array, positions: Array, length: Any) -> Array:
    """Rotates queries or keys of a sequence of `length` tokens."""
    if config.rope == "none":
        return x
    return rotate(x, rope_angles(config, positions, length)[:, None, :])


def causal(config: ModelConfig, length: Any) -> Mix:
    """Causal attention within a sequence, of which the first `length` tokens are used."""

    def mix(query: Array, key: Array, value: Array, _: Any) -> tuple[Array, LayerCache]:
        places = jnp.arange(query.shape[1])
        turned = turn(config, query, places, length), turn(config, key, places, length)
        return attend(*turned, value, causal_mask(query.shape[1])), (key, value)

    return mix


def sliding(config: ModelConfig) -> Mix:
    """Attention of a new token over a window of constant length, without the oldest token."""

    def mix(query: Array, key: Array, value: Array, cache: Any) -> tuple[Array, LayerCache]:
        keys, values = (
            jnp.concatenate([old[:, 1:], new], axis=1)
            for old, new in zip(cache, (key, value), strict=True)
        )
        length = keys.shape[1]
        places = jnp.arange(length)
        turned = turn(config, query, places[-1:], length), turn(config, keys, places, length)
        return attend(*turned, values, jnp.ones((1, length), bool)), (keys, values)

    return mix


def run(
    parameters: Parameters,
    config: ModelConfig,
    features: Float[Array, "B T F"],
    mix: Mix,
    caches: list[LayerCache] | None = None,
) -> tuple[Float[Array, "B T D"], list[LayerCache]]:
    """Applies the network with the attention `mix`, and returns the unrotated keys and values."""
    network = LagLlamaNetwork(config).bind({"params": parameters})
    x, kept = network.embedding(features), []
    for index, block in enumerate(network.blocks):
        query, key, value = block.attention.project(block.attention_norm(x))
        mixed, cache = mix(query, key, value, None if caches is None else caches[index])
        x = block.feed_forward(x + block.attention.output(mixed.reshape(x.shape)), True)
        kept.append(cache)
    return network.final_norm(x), kept


def fit(config: ModelConfig, rows: Rows) -> Scale:
    """Loc and scale of each row, fitted to all observed points."""
    return fit_scale(rows.values, rows.observed, config.scaling, config.safe_scaling)


def read_all(
    parameters: Parameters, config: ModelConfig, rows: Rows, scale: Scale, length: Any
) -> Float[Array, "B D"]:
    """Hidden states of token `length - 1`, computed from the whole sequence."""
    hidden, _ = run(parameters, config, tokens(config, rows, scale), causal(config, length))
    return hidden[:, length - 1]


def read_next(
    parameters: Parameters,
    config: ModelConfig,
    rows: Rows,
    scale: Scale,
    step: Int[Array, ""],
    caches: list[LayerCache],
) -> tuple[Float[Array, "B D"], list[LayerCache]]:
    """Hidden states of decoded token `step`, computed from the caches of the earlier tokens."""
    one = cut(rows, config.context_length + step, config, 1)
    features = tokens(config, one, scale)
    hidden, caches = run(parameters, config, features, sliding(config), caches)
    return hidden[:, 0], caches


def read_context(
    parameters: Parameters, config: ModelConfig, rows: Rows, scale: Scale
) -> tuple[Float[Array, "B D"], list[LayerCache]]:
    """Hidden states of the last context token, and the caches of the context."""
    context = config.context_length
    features = tokens(config, cut(rows, 0, config, context), scale)
    hidden, caches = run(parameters, config, features, causal(config, context))
    return hidden[:, -1], caches


Choose = Callable[[Array, Scale, Array], tuple[Array, Any]]
"""Maps hidden states, scale and step to the values to feed back, and to anything to record."""


def walk(parameters: Parameters, config: ModelConfig, rows: Rows, mode: str, choose: Choose) -> Any:
    """Decodes step by step, and stacks the records of `choose` over the steps on axis 0."""
    past = config.past_length
    scale = fit(config, until(rows, past))
    hidden, caches = read_context(parameters, config, until(rows, past), scale)

    def step_on(state: Any, step: Array) -> tuple[Any, Any]:
        values, scale, hidden, caches = state
        fed, record = choose(hidden, scale, step)
        values = values.at[:, past + step].set(fed)
        known = until(rows._replace(values=values), past + step + 1)
        scale = fit(config, known)
        if mode in CACHED:
            hidden, caches = read_next(parameters, config, known, scale, step, caches)
        else:
            length = config.context_length + step + 1
            hidden = read_all(parameters, config, known, scale, length)
        return (values, scale, hidden, caches), record

    steps = jnp.arange(rows.values.shape[1] - past)
    return jax.lax.scan(step_on, (rows.values, scale, hidden, caches), steps)[1]


def reference_decode(
    parameters: Parameters,
    config: ModelConfig,
    inputs: Mapping[str, Array],
    prediction_length: int,
    mode: str,
    noise: Float[Array, "P B 1"] | None = None,
    fed: Float[Array, "B P"] | None = None,
) -> dict[str, Float[Array, "B P ..."]]:
    """Decodes one path per series step by step, and returns the quantities of a recorded trace.

    Args:
      parameters: The parameters of the model.
      config: The architecture.
      inputs: The arrays `past_target` and `past_observed_values`, which are the last M + C points.
        A model with calendar features also needs `past_time_feat` and `future_time_feat`.
      prediction_length: Number of steps P.
      mode: `recompute`, `kv_cache`, `single_pass` or `single_pass_kv`.
      noise: Noise of the first two modes, in which the value fed back is
        `mean + 0.3 * min(deviation, 1e6) * noise[step]`. In the other modes it is the mean.
      fed: Values to feed back instead.

    Returns:
      The distribution parameters `params`, the refitted `loc` and `scale`, and the values `fed` by
      the rule above, even if the argument `fed` replaces them.

    Raises:
      ConfigError: If the head is an implicit quantile network, which has no parameters to return.
    """
    head = bind_head(config, parameters)
    if not isinstance(head, StudentTHead | NegativeBinomialHead):
        raise ConfigError("An implicit quantile head has no distribution parameters to trace.")

    def choose(hidden: Array, scale: Scale, step: Array) -> tuple[Array, Any]:
        law = head(hidden, scale.loc[:, 0], scale.scale[:, 0])
        value = law.mean()
        if mode not in SINGLE_PASS and noise is not None:
            value = value + 0.3 * jnp.minimum(jnp.sqrt(law.variance()), 1e6) * noise[step, :, 0]
        record = (law_parameters(head, hidden, scale), *scale, value[:, None])
        return value if fed is None else fed[:, step], record

    record = walk(parameters, config, lay_out(config, inputs, prediction_length), mode, choose)
    params, loc, scale, value = (jnp.moveaxis(part, 0, 1) for part in record)
    return {"params": params, "loc": loc[..., 0], "scale": scale[..., 0], "fed": value[..., 0]}


def law_parameters(
    head: StudentTHead | NegativeBinomialHead, hidden: Array, scale: Scale
) -> Float[Array, "B K"]:
    """The distribution parameters in the form of the reference's projection layer.

    Those of the Student-t head are in scaled units. The logits of the negative binomial head
    include the scale of the series.
    """
    if isinstance(head, StudentTHead):
        law = head(hidden)
        return jnp.stack([law.df, law.loc, law.scale], axis=-1)
    counts = head(hidden, scale=scale.scale[:, 0])
    return jnp.stack([counts.total_count, counts.logits], axis=-1)


def lay_out(config: ModelConfig, inputs: Mapping[str, Array], steps: int) -> Rows:
    """The past in raw units, followed by `steps` zeros, which count as observed, for the future."""
    target, observed = inputs["past_target"], inputs["past_observed_values"] > 0
    batch = target.shape[0]
    clock = jnp.zeros((batch, config.context_length + steps, 6))
    if config.time_features:
        context = inputs["past_time_feat"][:, -config.context_length :]
        clock = jnp.concatenate([context, inputs["future_time_feat"][:, :steps]], axis=1)
    seen = jnp.concatenate([observed, jnp.ones((batch, steps), bool)], axis=1)
    start = jnp.full(batch, config.past_length)
    return rows_of(raw_batch(jnp.pad(target, ((0, 0), (0, steps))), seen, clock, start))
