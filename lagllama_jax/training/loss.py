"""The training loss: the negative log-likelihood (or quantile loss) of each target of a batch."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lagllama_jax.config import ModelConfig, TrainConfig
from lagllama_jax.model.batch import TARGET, Batch
from lagllama_jax.model.network import LagLlamaNetwork, bind_head
from lagllama_jax.typing import Array, Bool, Float, Key, Parameters


class PointLosses(NamedTuple):
    """The loss of each target of a batch.

    Attributes:
      values: Losses for series in raw units, as in the reference.
      weight: Whether a target counts. It does if it is observed, belongs to a target variate, is
        not further than `max_scaled` from the location, and any point before the forecast's start
        is observed.
      scale: Scale of each row in raw units.
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
    """Losses of points 1 to C + P - 1 of each window. Each is predicted from the points before it.

    As in the reference, location and scale are computed from the points before the forecast's
    start, and the points of the context are targets, too.

    Args:
      parameters: Parameters of the model.
      model: Its architecture.
      train: Data type of the computation, and which targets count.
      batch: The windows.
      key: Random key of dropout and of random quantile levels. `None`: evaluation.
      window: Number of tokens that a token attends to, itself included. `None`: all.
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
    """Mean of `point_losses` over the targets that count. The arguments are the same.

    Returns:
      The loss, and two metrics: `loss`, the same number, and `scaled_loss`, the loss less the mean
      logarithm of the scales.
    """
    losses, weight, scale = point_losses(parameters, model, train, batch, key)
    total = jnp.maximum(weight.sum(), 1)
    loss = jnp.sum(jnp.where(weight, losses, 0)) / total
    log_scale = jnp.sum(jnp.where(weight, jnp.log(scale), 0)) / total
    return loss, {"loss": loss, "scaled_loss": loss - log_scale}
