"""The loss: what each target of a batch costs, and their mean."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lagllama_jax.config import ModelConfig, TrainConfig
from lagllama_jax.model.batch import TARGET, Batch
from lagllama_jax.model.network import LagLlamaNetwork, bind_head
from lagllama_jax.typing import Array, Bool, Float, Key, Parameters


class PointLosses(NamedTuple):
    """The loss of every target of a batch, and which targets count.

    Attributes:
      values: In the raw units of the series, as in the reference.
      weight: Whether a target counts: it is observed, not beyond `max_scaled`, of a target variate,
        and points before the forecast's start are observed.
      scale: Raw scale of each row.
    """

    values: Float[Array, "B T"]
    weight: Bool[Array, "B T"]
    scale: Float[Array, "B 1"]


def point_losses(
    parameters: Parameters,
    model: ModelConfig,
    train: TrainConfig,
    batch: Batch,
    key: Key | None,
    window: int | None = None,
) -> PointLosses:
    """Losses of points 1 to C + P - 1 of each window, each predicted from the point before it.

    As in the reference, loc and scale are fit on the points before the forecast's start, and points
    of the context are targets like those of the future.

    Args:
      parameters: The model's.
      model: Its architecture.
      train: Data type, and which targets count.
      batch: The windows.
      key: Of dropout and random levels; `None`: evaluation.
      window: Number of tokens that a token attends to, itself included; `None`: all.
    """
    network = LagLlamaNetwork(model, dtype=jnp.dtype(train.dtype), remat=train.remat)
    drop_key, head_key = (None, None) if key is None else jax.random.split(key)
    variables: Any = {"params": parameters}
    encoding: Any = network.apply(
        variables,
        batch._replace(values=batch.values[..., :-1], observed=batch.observed[..., :-1]),
        deterministic=key is None,
        window=window,
        rngs=None if drop_key is None else {"dropout": drop_key},
        method="encode",
    )
    hidden, scale, rows = encoding
    whole: Any = network.apply(variables, batch, method="rows")
    count = hidden.shape[1]
    target, observed = whole.values[:, -count:], whole.observed[:, -count:]
    weight = observed & whole.before_start.any(1, keepdims=True)
    weight &= (batch.role == TARGET).reshape(-1, 1)
    if train.max_scaled is not None:
        weight &= jnp.abs(scale.standardise(target)) <= train.max_scaled
    head = bind_head(model, parameters)
    target = jnp.where(weight, target, scale.loc)
    losses = head.loss(hidden.astype(jnp.float32), target, scale.loc, scale.scale, head_key)
    return PointLosses(head.rescale_loss(losses, rows.unit), weight, scale.scale * rows.unit)


def targets_loss(
    parameters: Parameters,
    model: ModelConfig,
    train: TrainConfig,
    batch: Batch,
    key: Key | None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Mean of `point_losses` over the targets that count (arguments as there).

    Returns:
      The loss, and metrics: `loss` likewise and `scaled_loss`, which leaves out the series' scale.
    """
    losses, weight, scale = point_losses(parameters, model, train, batch, key)
    total = jnp.maximum(weight.sum(), 1)
    loss = jnp.sum(jnp.where(weight, losses, 0)) / total
    log_scale = jnp.sum(jnp.where(weight, jnp.log(scale), 0)) / total
    return loss, {"loss": loss, "scaled_loss": loss - log_scale}
