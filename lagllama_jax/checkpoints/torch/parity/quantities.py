"""What the reference's recordings hold, computed here: a training window on its way to the loss."""

from typing import Any

import jax.numpy as jnp

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.network import bind_head
from lagllama_jax.model.scalers import Scale, fit_scale
from lagllama_jax.model.tokens import tokens
from lagllama_jax.model.transformer import Transformer
from lagllama_jax.typing import Array, Bool, Float, Parameters

Quantities = dict[str, dict[str, Array]]


def training_quantities(
    parameters: Parameters,
    config: ModelConfig,
    inputs: dict[str, Array],
    levels: Float[Array, "B T"] | None,
) -> tuple[Float[Array, ""], Quantities]:
    """The training loss of a window, and every quantity on the way under its recorded name.

    The tokens are those of the context and of the future but its last point; loc and scale come
    from the past.

    Args:
      parameters: the model's.
      config: the architecture.
      inputs: `past_*` and `future_*` of `target`, `observed_values` and `time_feat`.
      levels: for an implicit quantile head, the level at every token.
    """
    values, observed = _joined(inputs, "target"), _joined(inputs, "observed_values") > 0
    past = inputs["past_target"].shape[1]
    scale = fit_scale(values[:, :past], observed[:, :past], config.scaling, config.safe_scaling)
    clock = jnp.zeros((*values.shape, 6))
    if config.time_features:
        clock = _joined(inputs, "time_feat")
    start = config.max_lag
    features = tokens(config, values[:, :-1], observed[:, :-1], scale, clock[:, start:-1])
    hidden, states = _hidden_states(parameters, config, features)
    target, counted = values[:, start + 1 :], observed[:, start + 1 :]
    loss, points = _loss(parameters, config, hidden, target, counted, scale)
    return loss, {
        "features": {"train_features": features},
        "loc and scale": scale._asdict(),
        "hidden states": states,
        "parameters": _law(parameters, config, hidden, levels),
        "loss": {"loss": loss, "loss_per_point": points},
    }


def _joined(inputs: dict[str, Array], name: str) -> Array:
    return jnp.concatenate([inputs[f"past_{name}"], inputs[f"future_{name}"]], axis=1)


def _hidden_states(
    parameters: Parameters, config: ModelConfig, features: Float[Array, "B T F"]
) -> tuple[Float[Array, "B T D"], dict[str, Float[Array, "B T D"]]]:
    (hidden, _), kept = Transformer(config).apply(
        {"params": parameters},
        features,
        capture_intermediates=lambda module, _: module.name == "embedding",
        mutable="intermediates",
    )
    kept = kept["intermediates"]
    states = {"act_embedding": kept["embedding"]["__call__"][0]}
    states |= {f"act_block_{i}": kept[f"block_{i}_output"][0] for i in range(config.num_layers)}
    return hidden, states | {"act_final_norm": hidden}


def _law(
    parameters: Parameters,
    config: ModelConfig,
    hidden: Float[Array, "B T D"],
    levels: Float[Array, "B T"] | None,
) -> dict[str, Float[Array, "B T"]]:
    """The distribution's parameters in scaled units, in the reference's order."""
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
    """The mean over observed targets, and each target's term, 0 where it is missing."""
    points = bind_head(config, parameters).loss(hidden, target, *scale) * counted
    return points.sum() / jnp.maximum(counted.sum(), 1), points
