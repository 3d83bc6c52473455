"""Tokens: the features of one time step, in the order that the embedding layer expects."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.batch import Rows
from lagllama_jax.model.lags import lag_features
from lagllama_jax.model.scalers import Scale, fit_scale
from lagllama_jax.typing import Array, Bool, Float, Int


def series_scale(config: ModelConfig, rows: Rows) -> Scale:
    """Loc and scale of each row, from the observed points before the start of the forecast."""
    return fit_scale(rows.values, rows.before_start, config.scaling, config.safe_scaling)


def model_inputs(
    config: ModelConfig,
    values: Float[Array, "B T"],
    observed: Bool[Array, "B T"],
    scale: Scale,
    level: Float[Array, "B 1"],
) -> Float[Array, "B T"]:
    """Values as the model reads them: standardised, imputed where missing, squashed if configured.

    `imputation="loc"` replaces a missing value by loc, and `imputation="zero"` by a raw 0, which is
    `-level` in the units of `values`.

    Args:
      config: The architecture.
      values: The values.
      observed: Whether each value is observed.
      scale: Loc and scale of each row, in the units of `values`.
      level: As in `Batch`.
    """
    missing = missing_value(config, scale, level)
    return squash(config, jnp.where(observed, scale.standardise(values), missing))


def missing_value(
    config: ModelConfig, scale: Scale, level: Float[Array, "B 1"]
) -> Float[Array, "B 1"]:
    """The scaled value in place of a missing one, as `config.imputation` says."""
    return jnp.zeros_like(level) if config.imputation == "loc" else scale.standardise(-level)


def squash(config: ModelConfig, scaled: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """Scaled values as the first layer reads them."""
    return jnp.arcsinh(scaled) if config.squash == "arcsinh" else scaled


def scale_features(
    config: ModelConfig, scale: Scale, level: Float[Array, "B 1"], unit: Float[Array, "B 1"]
) -> Float[Array, "B E"]:
    """The features of the loc and scale of each row, as `config.scale_features` says.

    `absolute` gives the logarithms of loc and scale in raw units, as in the reference. `relative`
    gives one feature without a unit, from the quotient of raw loc and scale. `none` gives none.

    Args:
      config: The architecture.
      scale: Loc and scale of each row, in the units of `Batch.values`.
      level: As in `Batch`.
      unit: As in `Batch`.
    """
    loc = scale.loc + level
    if config.scale_features == "relative":
        return jnp.arcsinh(loc / scale.scale)
    if config.scale_features == "none":
        return loc[:, :0]
    absolute = jnp.log1p(jnp.abs(unit * loc)), jnp.log(scale.scale) + jnp.log(unit)
    return jnp.concatenate(absolute, axis=-1)


def assemble(
    config: ModelConfig,
    lagged: Float[Array, "*b L"],
    scale_part: Float[Array, "*#b E"],
    time_features: Float[Array, "*b 6"],
    observed: Float[Array, "*b L"],
) -> Float[Array, "*b F"]:
    """Concatenates the parts of a token.

    Args:
      config: The architecture, which says whether the last two parts are included.
      lagged: Lagged values.
      scale_part: Features of loc and scale.
      time_features: Calendar features.
      observed: Whether each lagged value is observed, as 0 or 1.
    """
    parts = [lagged, jnp.broadcast_to(scale_part, (*lagged.shape[:-1], scale_part.shape[-1]))]
    if config.time_features:
        parts.append(jnp.broadcast_to(time_features, (*lagged.shape[:-1], 6)))
    if config.observed_features:
        parts.append(observed)
    return jnp.concatenate(parts, axis=-1)


def tokens(config: ModelConfig, rows: Rows, scale: Scale) -> Float[Array, "B T F"]:
    """The tokens of each row, for all points except the first M (arXiv 2310.08278, section 4.1).

    Token t contains the lagged values x[t - lag] and predicts x[t + 1]. Lag 0 is x[t] itself.
    """
    count = rows.values.shape[1] - config.max_lag
    inputs = model_inputs(config, rows.values, rows.observed, scale, rows.level)
    lagged = lag_features(inputs, config.lags, count)
    flags = lagged
    if config.observed_features:
        flags = lag_features(rows.observed.astype(lagged.dtype), config.lags, count)
    scale_part = scale_features(config, scale, rows.level, rows.unit)[:, None, :]
    return assemble(config, lagged, scale_part, rows.time_features[:, :count], flags)


def query_tokens(
    config: ModelConfig, rows: Rows, scale: Scale, points: Int[Array, "#B Q"]
) -> Float[Array, "B Q F"]:
    """The tokens of points at or after the start of the forecast.

    Lagged values from the start of the forecast on are missing, except those of known covariates.
    Token t describes x[t + 1].

    Args:
      config: The architecture.
      rows: The rows.
      scale: Loc and scale of each row.
      points: Indices of the points in the rows. They may lie beyond the last value of the rows, but
        not beyond the last calendar features.
    """
    seen = rows.readable
    inputs = model_inputs(config, rows.values, seen, scale, rows.level)
    lagged_points = points[:, :, None] - jnp.asarray(config.lags)
    inside = lagged_points < rows.values.shape[1]

    def pick(values: Array, index: Array) -> Array:
        if index.shape[0] == 1:
            return jnp.take(values, index[0], axis=1, mode="clip")
        return jax.vmap(lambda row, places: jnp.take(row, places, axis=0, mode="clip"))(
            values, index
        )

    flags = pick(seen, lagged_points) & inside
    missing = squash(config, missing_value(config, scale, rows.level))[:, :, None]
    lagged = jnp.where(flags, pick(inputs, lagged_points), missing)
    scale_part = scale_features(config, scale, rows.level, rows.unit)[:, None, :]
    calendar = pick(rows.time_features, points - config.max_lag)
    return assemble(config, lagged, scale_part, calendar, flags.astype(lagged.dtype))


class Context(NamedTuple):
    """The past that the tokens of sample paths need. All samples of a row share it.

    Attributes:
      inputs: The past as the model reads it (`model_inputs`).
      observed: Whether each past point is observed.
      scale: Loc and scale of each row.
      level: As in `Batch`.
      scale_part: The features of loc and scale.
      time_features: Calendar features of the future points.
    """

    inputs: Float[Array, "B U"]
    observed: Bool[Array, "B U"]
    scale: Scale
    level: Float[Array, "B 1"]
    scale_part: Float[Array, "B E"]
    time_features: Float[Array, "B P 6"]


def decoding_context(config: ModelConfig, rows: Rows, scale: Scale) -> Context:
    """The `Context` of rows that end at the start of the forecast, for `path_tokens`."""
    count = rows.values.shape[1] - config.max_lag
    return Context(
        model_inputs(config, rows.values, rows.observed, scale, rows.level),
        rows.observed,
        scale,
        rows.level,
        scale_features(config, scale, rows.level, rows.unit),
        rows.time_features[:, count:],
    )


def path_tokens(
    config: ModelConfig,
    context: Context,
    drawn: Float[Array, "P B S"],
    step: Int[Array, ""],
) -> Float[Array, "B S F"]:
    """The tokens of point `step` of each sample path.

    Lagged values from before the start of the forecast are the same for all samples of a row.

    Args:
      config: The architecture.
      context: The past of each row.
      drawn: The points drawn so far, as the model reads them (`model_inputs`).
      step: Number of the point, from 0 at the start of the forecast.
    """
    length = context.inputs.shape[1]
    index = step - jnp.asarray(config.lags)
    own = index >= 0
    past = jnp.minimum(index, -1) + length
    latest = jnp.moveaxis(drawn[jnp.maximum(index, 0)], 0, -1)
    lagged = jnp.where(own, latest, context.inputs[:, None, past])
    shape = lagged.shape[:2]
    scale_part = jnp.broadcast_to(
        context.scale_part[:, None], (*shape, context.scale_part.shape[-1])
    )
    calendar = jnp.broadcast_to(context.time_features[:, None, step], (*shape, 6))
    flags = lagged
    if config.observed_features:
        seen = (own | context.observed[:, None, past]).astype(lagged.dtype)
        flags = jnp.broadcast_to(seen, lagged.shape)
    return assemble(config, lagged, scale_part, calendar, flags)
