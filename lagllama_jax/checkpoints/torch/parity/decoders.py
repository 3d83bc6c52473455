"""The decoding modes of the reference implementation, for comparison with it.

Both refit loc and scale at each step to all values so far, including those fed back.

* `recompute`: At each step, the whole sequence, which is one token longer, is encoded again.
* `kv_cache`: Keys and values of earlier tokens are kept, although they come from older scales. Each
  step appends one token and drops the oldest. Keys are rotated by their position in this window.

Without noise, they are the modes `single_pass` and `single_pass_kv` of the reference, which feed
back the mean of the distribution.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from lagllama_jax.checkpoints.torch.parity.quantities import law_parameters, recorded_batch
from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import ConfigError
from lagllama_jax.model.batch import Rows, rows_of
from lagllama_jax.model.causal_attention import attend, causal_mask
from lagllama_jax.model.heads.negative_binomial import NegativeBinomialHead
from lagllama_jax.model.heads.student_t import StudentTHead
from lagllama_jax.model.network import LagLlamaNetwork, bind_head
from lagllama_jax.model.rope import rope_angles, rotate
from lagllama_jax.model.scalers import Scale, fit_scale
from lagllama_jax.model.tokens import tokens
from lagllama_jax.typing import Array, Float, Int, Parameters

LayerCache = tuple[Float[Array, "B C K H"], Float[Array, "B C K H"]]


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


def attention(
    config: ModelConfig,
    query: Float[Array, "B T N H"],
    key: Float[Array, "B U K H"],
    value: Float[Array, "B U K H"],
    length: int | Int[Array, ""],
) -> Float[Array, "B T N H"]:
    """Causal attention of the last T of U tokens, of which the first `length` are used."""
    places, count = jnp.arange(key.shape[1]), query.shape[1]
    if config.rope != "none":
        angles = rope_angles(config, places, length)[:, None, :]
        query, key = rotate(query, angles[-count:]), rotate(key, angles)
    return attend(query, key, value, causal_mask(key.shape[1])[-count:])


def run(
    parameters: Parameters,
    config: ModelConfig,
    features: Float[Array, "B T F"],
    length: int | Int[Array, ""],
    caches: list[LayerCache] | None = None,
) -> tuple[Float[Array, "B T D"], list[LayerCache]]:
    """Applies the network, and returns the hidden states and the unrotated keys and values.

    With `caches`, the only token follows on those of the caches, without the oldest of them.
    """
    network = LagLlamaNetwork(config).bind({"params": parameters})
    x, kept = network.embedding(features), []
    for index, block in enumerate(network.blocks):
        query, key, value = block.attention.project(block.attention_norm(x))
        if caches is not None:
            key, value = (
                jnp.concatenate([old[:, 1:], new], axis=1)
                for old, new in zip(caches[index], (key, value), strict=True)
            )
        mixed = attention(config, query, key, value, length).reshape(x.shape)
        x = block.feed_forward(x + block.attention.output(mixed), True)
        kept.append((key, value))
    return network.final_norm(x), kept


def fit(config: ModelConfig, rows: Rows) -> Scale:
    """Loc and scale of each row, fitted to all observed points."""
    return fit_scale(rows.values, rows.observed, config.scaling, config.safe_scaling)


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

    `inputs` are the arrays `past_target` and `past_observed_values` of the last M + C points, and
    with calendar features `past_time_feat` and `future_time_feat`. `mode` is `recompute` or
    `kv_cache`. The value fed back is the mean, plus `0.3 * min(deviation, 1e6) * noise[step]` if
    there is noise, or it is taken from `fed`.

    Returns:
      The distribution parameters `params`, the refitted `loc` and `scale`, and the values `fed` by
      the rule above, even if the argument `fed` replaces them.

    Raises:
      ConfigError: If the head is an implicit quantile network, which has no parameters to return.
    """
    head = bind_head(config, parameters)
    if not isinstance(head, StudentTHead | NegativeBinomialHead):
        raise ConfigError("An implicit quantile head has no distribution parameters to trace.")
    past, context = config.past_length, config.context_length
    future = jnp.zeros((len(inputs["past_target"]), prediction_length))
    unknown = {"future_target": future, "future_observed_values": future + 1}
    rows = rows_of(recorded_batch(config, {**inputs, **unknown}))
    known = until(rows, past)
    scale = fit(config, known)
    features = tokens(config, cut(known, 0, config, context), scale)
    hidden, caches = run(parameters, config, features, context)

    def step_on(state: Any, step: Int[Array, ""]) -> tuple[Any, Any]:
        values, scale, hidden, caches = state
        law = head(hidden, scale.loc[:, 0], scale.scale[:, 0])
        value = law.mean()
        if noise is not None:
            value = value + 0.3 * jnp.minimum(jnp.sqrt(law.variance()), 1e6) * noise[step, :, 0]
        params = jnp.stack(law_parameters(head, hidden, scale.scale[:, 0]), axis=-1)
        record = (params, *scale, value[:, None])
        values = values.at[:, past + step].set(value if fed is None else fed[:, step])
        known = until(rows._replace(values=values), past + step + 1)
        scale = fit(config, known)
        if mode == "kv_cache":
            features = tokens(config, cut(known, context + step, config, 1), scale)
            after, caches = run(parameters, config, features, context, caches)
            hidden = after[:, 0]
        else:
            length = context + step + 1
            after, _ = run(parameters, config, tokens(config, known, scale), length)
            hidden = after[:, length - 1]
        return (values, scale, hidden, caches), record

    begin = rows.values, scale, hidden[:, -1], caches
    _, record = jax.lax.scan(step_on, begin, jnp.arange(prediction_length))
    params, loc, scales, value = (jnp.moveaxis(part, 0, 1) for part in record)
    return {"params": params, "loc": loc[..., 0], "scale": scales[..., 0], "fed": value[..., 0]}
