"""Tokens: the features of one time step, in the order that the first layer fixes."""

import jax.numpy as jnp

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.lags import lag_features
from lagllama_jax.model.scalers import Scale
from lagllama_jax.typing import Array, Bool, Float


def model_inputs(
    config: ModelConfig,
    values: Float[Array, "B T"],
    observed: Bool[Array, "B T"],
    scale: Scale,
) -> Float[Array, "B T"]:
    """Values as the model sees them: standardised, missing ones imputed, squashed if configured."""
    missing = 0.0 if config.imputation == "loc" else scale.standardise(jnp.zeros_like(scale.loc))
    scaled = jnp.where(observed, scale.standardise(values), missing)
    return jnp.arcsinh(scaled) if config.squash == "arcsinh" else scaled


def scale_features(config: ModelConfig, scale: Scale) -> Float[Array, "B E"]:
    """What a token tells of loc and scale: absolute as in the reference, or free of units."""
    if config.scale_features == "relative":
        return jnp.arcsinh(scale.loc / scale.scale)
    return jnp.concatenate([jnp.log1p(jnp.abs(scale.loc)), jnp.log(scale.scale)], axis=-1)


def assemble(
    config: ModelConfig,
    lagged: Float[Array, "*b L"],
    scale_part: Float[Array, "*#b E"],
    time_features: Float[Array, "*b 6"],
    observed: Float[Array, "*b L"],
) -> Float[Array, "*b F"]:
    """Joins the parts of a token: lags, scale, calendar, and the lags' observed flags."""
    parts = [lagged, jnp.broadcast_to(scale_part, (*lagged.shape[:-1], scale_part.shape[-1]))]
    if config.time_features:
        parts.append(jnp.broadcast_to(time_features, (*lagged.shape[:-1], 6)))
    if config.observed_features:
        parts.append(observed)
    return jnp.concatenate(parts, axis=-1)


def tokens(
    config: ModelConfig,
    values: Float[Array, "B U"],
    observed: Bool[Array, "B U"],
    scale: Scale,
    time_features: Float[Array, "B T 6"],
) -> Float[Array, "B T F"]:
    """Tokens of the last T points of a stretch of raw values (arXiv 2310.08278, section 4.1).

    That of a point holds the values its lags ago, of which lag 0 is its own, and foretells the next
    point.
    """
    num_tokens = time_features.shape[1]
    lagged = lag_features(model_inputs(config, values, observed, scale), config.lags, num_tokens)
    flags = lagged
    if config.observed_features:
        flags = lag_features(observed.astype(lagged.dtype), config.lags, num_tokens)
    scale_part = scale_features(config, scale)[:, None, :]
    return assemble(config, lagged, scale_part, time_features, flags)
