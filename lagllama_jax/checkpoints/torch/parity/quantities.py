"""Computes the quantities in the reference's recordings, from a training window to its loss."""

from typing import Any

import jax.numpy as jnp

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.batch import TARGET, Batch
from lagllama_jax.model.network import Encoding, LagLlamaNetwork, bind_head
from lagllama_jax.model.scalers import Scale
from lagllama_jax.model.tokens import tokens
from lagllama_jax.typing import Array, Bool, Float, Int, Parameters

Quantities = dict[str, dict[str, Array]]


def training_quantities(
    parameters: Parameters,
    config: ModelConfig,
    inputs: dict[str, Array],
    levels: Float[Array, "B T"] | None,
) -> tuple[Float[Array, ""], Quantities]:
    """The training loss of a window, and all intermediate quantities under their recorded names.

    The tokens are those of the context and of all future points except the last one. Loc and scale
    are fitted to the past.

    Args:
      parameters: The parameters of the model.
      config: The architecture.
      inputs: The arrays `past_*` and `future_*` of `target`, `observed_values` and `time_feat`.
      levels: The level of each token for an implicit quantile head, `None` for the other heads.
    """
    batch = recorded_batch(config, inputs)
    (hidden, scale, rows, _), states = _encode(parameters, config, until(batch, -1))
    features = tokens(config, rows, scale)
    first = config.max_lag + 1
    target, counted = batch.values[:, 0, first:], batch.observed[:, 0, first:]
    loss, points = _loss(parameters, config, hidden, target, counted, scale)
    return loss, {
        "features": {"train_features": features},
        "loc and scale": scale._asdict(),
        "hidden states": states,
        "parameters": _law(parameters, config, hidden, levels),
        "loss": {"loss": loss, "loss_per_point": points},
    }


def recorded_batch(config: ModelConfig, inputs: dict[str, Array]) -> Batch:
    """A batch of the recorded past and future in raw units, with one group per series."""
    values, observed = _joined(inputs, "target"), _joined(inputs, "observed_values") > 0
    clock = jnp.zeros((*values.shape, 6))
    if config.time_features:
        clock = _joined(inputs, "time_feat")
    start = jnp.full(values.shape[0], inputs["past_target"].shape[1])
    return raw_batch(values, observed, clock[:, config.max_lag :], start)


def raw_batch(
    values: Float[Array, "B U"],
    observed: Bool[Array, "B U"],
    time_features: Float[Array, "B T 6"],
    start: Int[Array, "B"],
) -> Batch:
    """A batch of groups of one variate in raw units."""
    zero = jnp.zeros((values.shape[0], 1))
    role, seed = jnp.full(zero.shape, TARGET, jnp.int32), jnp.zeros(len(zero), jnp.uint32)
    each = values[:, None], observed[:, None], time_features
    return Batch(*each, role, start, zero, zero + 1, seed)


def until(batch: Batch, end: int) -> Batch:
    """The batch without the points from number `end` on."""
    return batch._replace(values=batch.values[..., :end], observed=batch.observed[..., :end])


def _joined(inputs: dict[str, Array], name: str) -> Array:
    return jnp.concatenate([inputs[f"past_{name}"], inputs[f"future_{name}"]], axis=1)


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


def _law(
    parameters: Parameters,
    config: ModelConfig,
    hidden: Float[Array, "B T D"],
    levels: Float[Array, "B T"] | None,
) -> dict[str, Float[Array, "B T"]]:
    """The distribution parameters in scaled units, in the order of the reference."""
    head: Any = bind_head(config, parameters)
    if levels is not None:
        return {"train_param_0": head(hidden, levels)}
    law = head(hidden)
    student = config.head == "student_t"
    found = (law.df, law.loc, law.scale) if student else (law.total_count, law.logits)
    return {f"train_param_{k}": parameter for k, parameter in enumerate(found)}


def _loss(
    parameters: Parameters,
    config: ModelConfig,
    hidden: Float[Array, "B T D"],
    target: Float[Array, "B T"],
    counted: Bool[Array, "B T"],
    scale: Scale,
) -> tuple[Float[Array, ""], Float[Array, "B T"]]:
    """The mean loss over the observed targets, and the loss of each target (0 if missing)."""
    points = bind_head(config, parameters).loss(hidden, target, *scale) * counted
    return points.sum() / jnp.maximum(counted.sum(), 1), points
