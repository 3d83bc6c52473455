"""The reference's ways of decoding, for comparison with it.

All of them refit loc and scale at every step on everything so far, the drawn values included:

* `recompute`: the whole sequence, one token longer at every step, is run again.
* `kv_cache`: keys and values of earlier tokens are kept as they were made, with older scales; each
  step appends one token and drops the oldest. Keys turn by their place in that window.
* `single_pass`, `single_pass_kv`: the same two, fed the distribution's mean; at each step all
  samples are drawn from that step's marginal, so they are no joint paths.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import ConfigError
from lagllama_jax.model.attention import Attention, attend, causal_mask
from lagllama_jax.model.heads.negative_binomial import NegativeBinomialHead
from lagllama_jax.model.heads.student_t import StudentTHead
from lagllama_jax.model.layers import Linear, RMSNorm, SwiGLU
from lagllama_jax.model.network import bind_head
from lagllama_jax.model.rope import rope_angles, rotate
from lagllama_jax.model.scalers import Scale, fit_scale
from lagllama_jax.model.tokens import tokens
from lagllama_jax.typing import Array, Bool, Float, Int, Parameters

CACHED = ("kv_cache", "single_pass_kv")
SINGLE_PASS = ("single_pass", "single_pass_kv")

LayerCache = tuple[Float[Array, "B C K H"], Float[Array, "B C K H"]]
Mix = Callable[[Array, Array, Array, LayerCache | None], tuple[Array, LayerCache]]


class Sequence(NamedTuple):
    """Everything so far, in buffers that hold the whole forecast: M + C + P points."""

    values: Float[Array, "B U"]
    observed: Bool[Array, "B U"]
    time_features: Float[Array, "B T 6"]

    def until(self, past: int, step: Int[Array, ""] | int) -> "Sequence":
        """The first `past + step` points observed as they are, those after them hidden."""
        known = jnp.arange(self.values.shape[1]) < past + step
        return self._replace(observed=self.observed & known)


def turn(config: ModelConfig, x: Array, positions: Array, length: Any) -> Array:
    """Rotates queries or keys of a sequence of `length` tokens."""
    if config.rope == "none":
        return x
    return rotate(x, rope_angles(config, positions, length)[:, None, :])


def causal(config: ModelConfig, length: Any) -> Mix:
    """Attention within a sequence, of which only the first `length` tokens count."""

    def mix(query: Array, key: Array, value: Array, _: Any) -> tuple[Array, LayerCache]:
        places = jnp.arange(query.shape[1])
        turned = turn(config, query, places, length), turn(config, key, places, length)
        return attend(*turned, value, causal_mask(query.shape[1])), (key, value)

    return mix


def sliding(config: ModelConfig) -> Mix:
    """Attention of one token over a window of constant length, whose oldest token it replaces."""

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
    """The transformer with another attention; also returns keys, not rotated, and values."""

    def layer(module: nn.Module, weights: Parameters, x: Array) -> Array:
        y: Any = module.apply({"params": weights}, x)
        return y

    x = layer(Linear(config.width, use_bias=True), parameters["embedding"], features)
    kept = []
    for index in range(config.num_layers):
        weights = parameters[f"block_{index}"]
        attention = Attention(config).bind({"params": weights["attention"]})
        normed = layer(RMSNorm(), weights["attention_norm"], x)
        mixed, cache = mix(*attention.project(normed), None if caches is None else caches[index])
        x = x + attention.output(mixed.reshape(x.shape))
        normed = layer(RMSNorm(), weights["mlp_norm"], x)
        x = x + layer(SwiGLU(config), weights["mlp"], normed)
        kept.append(cache)
    return layer(RMSNorm(), parameters["final_norm"], x), kept


def fit(config: ModelConfig, sequence: Sequence) -> Scale:
    """Loc and scale of everything observed so far."""
    return fit_scale(sequence.values, sequence.observed, config.scaling, config.safe_scaling)


def read_all(
    parameters: Parameters, config: ModelConfig, sequence: Sequence, scale: Scale, length: Any
) -> Float[Array, "B D"]:
    """Hidden states of token `length - 1`, from the whole sequence."""
    features = tokens(config, sequence.values, sequence.observed, scale, sequence.time_features)
    hidden, _ = run(parameters, config, features, causal(config, length))
    return hidden[:, length - 1]


def read_next(
    parameters: Parameters,
    config: ModelConfig,
    sequence: Sequence,
    scale: Scale,
    step: Int[Array, ""],
    caches: list[LayerCache],
) -> tuple[Float[Array, "B D"], list[LayerCache]]:
    """Hidden states of own token `step`, from the caches of the tokens before it."""

    def reaching(array: Array) -> Array:
        return jax.lax.dynamic_slice_in_dim(array, step + 1, config.past_length, axis=1)

    place = config.context_length + step
    clock = jax.lax.dynamic_slice_in_dim(sequence.time_features, place, 1, axis=1)
    features = tokens(config, reaching(sequence.values), reaching(sequence.observed), scale, clock)
    hidden, caches = run(parameters, config, features, sliding(config), caches)
    return hidden[:, 0], caches


def read_context(
    parameters: Parameters, config: ModelConfig, sequence: Sequence, scale: Scale
) -> tuple[Float[Array, "B D"], list[LayerCache]]:
    """Hidden states of the context's last token, and the caches of the context."""
    past, context = config.past_length, config.context_length
    features = tokens(
        config,
        sequence.values[:, :past],
        sequence.observed[:, :past],
        scale,
        sequence.time_features[:, :context],
    )
    hidden, caches = run(parameters, config, features, causal(config, context))
    return hidden[:, -1], caches


Choose = Callable[[Array, Scale, Array], tuple[Array, Any]]
"""Hidden states, scale and step to the values that are fed back, and anything to be recorded."""


def walk(
    parameters: Parameters, config: ModelConfig, sequence: Sequence, mode: str, choose: Choose
) -> Any:
    """Decodes step by step; what `choose` records is stacked over the steps, on axis 0."""
    past = config.past_length
    scale = fit(config, sequence.until(past, 0))
    hidden, caches = read_context(parameters, config, sequence.until(past, 0), scale)

    def step_on(state: Any, step: Array) -> tuple[Any, Any]:
        values, scale, hidden, caches = state
        fed, record = choose(hidden, scale, step)
        values = values.at[:, past + step].set(fed)
        known = sequence._replace(values=values).until(past, step + 1)
        scale = fit(config, known)
        if mode in CACHED:
            hidden, caches = read_next(parameters, config, known, scale, step, caches)
        else:
            length = config.context_length + step + 1
            hidden = read_all(parameters, config, known, scale, length)
        return (values, scale, hidden, caches), record

    steps = jnp.arange(sequence.values.shape[1] - past)
    return jax.lax.scan(step_on, (sequence.values, scale, hidden, caches), steps)[1]


def reference_decode(
    parameters: Parameters,
    config: ModelConfig,
    past_target: Float[Array, "B U"],
    past_observed: Float[Array, "B U"] | Bool[Array, "B U"],
    past_time_feat: Float[Array, "B U 6"] | None,
    future_time_feat: Float[Array, "B P 6"] | None,
    prediction_length: int,
    mode: str,
    noise: Float[Array, "P B 1"] | None = None,
    fed: Float[Array, "B P"] | None = None,
) -> dict[str, Float[Array, "B P ..."]]:
    """One path a series, step by step, with everything that a recorded trace holds.

    Args:
      parameters: the model's.
      config: the architecture.
      past_target: the last M + C points.
      past_observed: which of them were observed.
      past_time_feat: their calendar features; `None` for a model without.
      future_time_feat: those of the points to come.
      prediction_length: steps P.
      mode: `recompute`, `kv_cache`, `single_pass` or `single_pass_kv`.
      noise: in the first two modes the value fed back is
        `mean + 0.3 min(deviation, 1e6) noise[step]`; in the others it is the mean.
      fed: feed these values back instead.

    Returns:
      `params`, the distribution's parameters; `loc` and `scale`, refitted; `fed`, the values by
      the rule above (also where `fed` replaces them).

    Raises:
      ConfigError: an implicit quantile head, which has no parameters to return.
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

    sequence = lay_out(
        config, past_target, past_observed, past_time_feat, future_time_feat, prediction_length
    )
    record = walk(parameters, config, sequence, mode, choose)
    params, loc, scale, value = (jnp.moveaxis(part, 0, 1) for part in record)
    return {"params": params, "loc": loc[..., 0], "scale": scale[..., 0], "fed": value[..., 0]}


def law_parameters(
    head: StudentTHead | NegativeBinomialHead, hidden: Array, scale: Scale
) -> Float[Array, "B K"]:
    """Parameters as the reference's projection gives them: the scale in the logits alone."""
    if isinstance(head, StudentTHead):
        law = head(hidden)
        return jnp.stack([law.df, law.loc, law.scale], axis=-1)
    counts = head(hidden, scale=scale.scale[:, 0])
    return jnp.stack([counts.total_count, counts.logits], axis=-1)


def lay_out(
    config: ModelConfig,
    past_target: Array,
    past_observed: Array,
    past_time_feat: Array | None,
    future_time_feat: Array | None,
    steps: int,
) -> Sequence:
    """Past and room for `steps` more points."""
    batch = past_target.shape[0]
    clock = jnp.zeros((batch, config.context_length + steps, 6))
    if past_time_feat is not None and future_time_feat is not None:
        context = past_time_feat[:, -config.context_length :]
        clock = jnp.concatenate([context, future_time_feat[:, :steps]], axis=1)
    observed = jnp.concatenate([past_observed > 0, jnp.ones((batch, steps), bool)], axis=1)
    return Sequence(jnp.pad(past_target, ((0, 0), (0, steps))), observed, clock)
