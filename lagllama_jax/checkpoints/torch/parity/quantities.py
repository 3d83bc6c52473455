"""Computes the quantities in the reference's recordings, from a training window to its loss."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.batch import TARGET, Batch
from lagllama_jax.model.encoder import Encoding
from lagllama_jax.model.heads import Head
from lagllama_jax.model.heads.negative_binomial import NegativeBinomialHead
from lagllama_jax.model.heads.student_t import StudentTHead
from lagllama_jax.model.network import LagLlamaNetwork, bind_head
from lagllama_jax.model.tokens import tokens
from lagllama_jax.typing import Array, Float, Parameters

Quantities = dict[str, dict[str, Array]]


def training_quantities(
    parameters: Parameters,
    config: ModelConfig,
    inputs: Mapping[str, Array],
    levels: Float[Array, "B T"] | None,
) -> tuple[Float[Array, ""], Quantities]:
    """The training loss of a window, and all intermediate quantities under their recorded names.

    The tokens are those of the context and of all future points except the last one. Loc and scale
    are fitted to the past. The loss is the mean over the observed targets. `inputs` are the arrays
    `past_*` and `future_*` of `target`, `observed_values` and `time_feat`, and `levels` the level
    of each token for an implicit quantile head.
    """
    batch = recorded_batch(config, inputs)
    shorter = {"values": batch.values[..., :-1], "observed": batch.observed[..., :-1]}
    (hidden, scale, rows, _), states = _encode(parameters, config, batch._replace(**shorter))
    first = config.max_lag + 1
    target, counted = batch.values[:, 0, first:], batch.observed[:, 0, first:]
    head = bind_head(config, parameters)
    points = head.loss(hidden, target, *scale) * counted
    loss = points.sum() / jnp.maximum(counted.sum(), 1)
    law = law_parameters(head, hidden, levels)
    return loss, {
        "features": {"train_features": tokens(config, rows, scale)},
        "loc and scale": scale._asdict(),
        "hidden states": states,
        "parameters": {f"train_param_{k}": parameter for k, parameter in enumerate(law)},
        "loss": {"loss": loss, "loss_per_point": points},
    }


def recorded_batch(config: ModelConfig, inputs: Mapping[str, Array]) -> Batch:
    """A batch of the recorded past and future in raw units, with one group per series."""

    def joined(name: str) -> Array:
        return jnp.concatenate([inputs[f"past_{name}"], inputs[f"future_{name}"]], axis=1)

    values, observed = joined("target"), joined("observed_values") > 0
    clock = joined("time_feat") if config.time_features else jnp.zeros((*values.shape, 6))
    zero = jnp.zeros((len(values), 1))
    return Batch(
        values[:, None],
        observed[:, None],
        clock[:, config.max_lag :],
        role=jnp.full(zero.shape, TARGET, jnp.int32),
        start=jnp.full(len(values), inputs["past_target"].shape[1]),
        level=zero,
        unit=zero + 1,
        seed=jnp.zeros((len(values), 1), jnp.uint32),
    )


def law_parameters(
    head: Head, hidden: Float[Array, "*b D"], condition: Array | None = None
) -> tuple[Float[Array, "*b"], ...]:
    """The parameters of the distributions in scaled units, in the order of the reference.

    `condition` is the levels of an implicit quantile head, or the scale that the logits of a
    negative binomial head include.
    """
    if isinstance(head, StudentTHead):
        law = head(hidden)
        return law.df, law.loc, law.scale
    if isinstance(head, NegativeBinomialHead):
        counts = head(hidden, scale=1.0 if condition is None else condition)
        return counts.total_count, counts.logits
    assert condition is not None
    return (head(hidden, condition),)


def _encode(
    parameters: Parameters, config: ModelConfig, batch: Batch
) -> tuple[Encoding, dict[str, Float[Array, "B T D"]]]:
    found: Any = LagLlamaNetwork(config).apply(
        {"params": parameters},
        batch,
        capture_intermediates=lambda module, _: module.name == "embedding",
        mutable="intermediates",
        method="encode",
    )
    encoding, kept = found[0], found[1]["intermediates"]
    states = {"act_embedding": kept["embedding"]["__call__"][0]}
    states |= {f"act_block_{i}": kept[f"block_{i}_output"][0] for i in range(config.num_layers)}
    return encoding, states | {"act_final_norm": encoding.hidden}
