"""The loss: what each target of a batch of windows costs, and their mean."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lagllama_jax.config import ModelConfig, TrainConfig
from lagllama_jax.model.network import bind_head
from lagllama_jax.model.scalers import Scale, fit_scale
from lagllama_jax.model.tokens import tokens
from lagllama_jax.model.transformer import Transformer
from lagllama_jax.training.sources.windows import Windows
from lagllama_jax.typing import Array, Bool, Float, Key, Parameters


class PointLosses(NamedTuple):
    """The loss of every target of a batch, and which targets count.

    Attributes:
      values: in the series' units as in the reference.
      weight: observed, of a series with an observed past, and not beyond `max_scaled`.
      scale: loc and scale of each series.
    """

    values: Float[Array, "B T"]
    weight: Bool[Array, "B T"]
    scale: Scale


def point_losses(
    parameters: Parameters,
    model: ModelConfig,
    train: TrainConfig,
    windows: Windows,
    key: Key | None,
    window: int | None = None,
) -> PointLosses:
    """Losses of points 1 to C + P - 1 of each window, each predicted from the point before it.

    As in the reference, loc and scale are fit on the points before the forecast's start, and points
    of the context are targets like those of the future.

    Args:
      parameters: the model's.
      model: its architecture.
      train: dtype, and which targets count.
      windows: the batch.
      key: for dropout and random levels; `None`: evaluation.
      window: tokens that a token looks back over, itself included; `None`: all.
    """
    length = windows.values.shape[1]
    in_past = jnp.arange(length)[None, :] < windows.past[:, None]
    scale = fit_scale(windows.values, windows.observed & in_past, model.scaling, model.safe_scaling)
    features = tokens(
        model,
        windows.values[:, :-1],
        windows.observed[:, :-1],
        scale,
        windows.time_features[:, :-1],
    )
    network = Transformer(model, dtype=jnp.dtype(train.dtype), remat=train.remat)
    drop_key, head_key = (None, None) if key is None else jax.random.split(key)
    hidden, _ = network.apply(
        {"params": parameters},
        features,
        deterministic=key is None,
        window=window,
        rngs=None if drop_key is None else {"dropout": drop_key},
    )
    count = features.shape[1]
    target = windows.values[:, -count:]
    weight = windows.observed[:, -count:] & (windows.observed & in_past).any(1, keepdims=True)
    if train.max_scaled is not None:
        weight &= jnp.abs(scale.standardise(target)) <= train.max_scaled
    head = bind_head(model, parameters)
    losses = head.loss(
        hidden.astype(jnp.float32), jnp.where(weight, target, scale.loc), *scale, head_key
    )
    return PointLosses(losses, weight, scale)


def targets_loss(
    parameters: Parameters,
    model: ModelConfig,
    train: TrainConfig,
    windows: Windows,
    key: Key | None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Mean of `point_losses` over the targets that count (arguments as there).

    Returns:
      The loss, and metrics: `loss` likewise and `scaled_loss`, which leaves out the series' scale.
    """
    losses, weight, scale = point_losses(parameters, model, train, windows, key)
    total = jnp.maximum(weight.sum(), 1)
    loss = jnp.sum(jnp.where(weight, losses, 0)) / total
    log_scale = jnp.sum(jnp.where(weight, jnp.log(scale.scale), 0)) / total
    return loss, {"loss": loss, "scaled_loss": loss - log_scale}
