"""The training loss: the negative log-likelihood (or quantile loss) of each target of a batch."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lagllama_jax.config import DataConfig, ModelConfig, TrainConfig
from lagllama_jax.model.batch import TARGET, Batch
from lagllama_jax.model.network import LagLlamaNetwork, bind_head
from lagllama_jax.training.recipe import Recipe
from lagllama_jax.training.sources import Batches
from lagllama_jax.typing import Array, Bool, Float, Int, Key, Parameters


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


class Losses(NamedTuple):
    """The losses of a batch.

    Attributes:
      near: Losses of points that are each predicted from all points before it.
      ahead: Losses of points that are predicted in one pass. `None`: there are none.
    """

    near: PointLosses
    ahead: PointLosses | None = None


def point_losses(
    parameters: Parameters,
    model: ModelConfig,
    train: TrainConfig,
    batch: Batch,
    key: Key | None,
    window: int | None = None,
    read: int | None = None,
    steps: Int[Array, "#G Q"] | None = None,
) -> Losses:
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
      read: Number of points of a window that are predicted from the points before them. `None`:
        all.
      steps: Points to predict in one pass, as their distances from the forecast's start (at least
        1). `None`: none.
    """
    read = batch.values.shape[-1] if read is None else read
    network = LagLlamaNetwork(model, dtype=jnp.dtype(train.dtype), remat=train.remat)
    drop_key, head_key = (None, None) if key is None else jax.random.split(key)
    variables: Any = {"params": parameters}
    queries = None
    if steps is not None:
        queries = jnp.broadcast_to(
            batch.start[:, None] + steps - 1, (len(batch.start), steps.shape[1])
        )
        queries = jnp.repeat(queries, batch.values.shape[1], axis=0)
    encoding: Any = network.apply(
        variables,
        batch,
        deterministic=key is None,
        window=window,
        queries=queries,
        length=read - 1,
        rngs=None if drop_key is None else {"dropout": drop_key},
        method="encode",
    )
    whole: Any = network.apply(variables, batch, method="rows")
    counts = whole.before_start.any(1, keepdims=True) & (batch.role == TARGET).reshape(-1, 1)
    scale, head = encoding.scale, bind_head(model, parameters)

    def losses(hidden: Float[Array, "B T D"], points: Int[Array, "#B T"]) -> PointLosses:
        target = jnp.take_along_axis(whole.values, points, axis=1)
        weight = counts & jnp.take_along_axis(whole.observed, points, axis=1)
        if train.max_scaled is not None:
            weight &= jnp.abs(scale.standardise(target)) <= train.max_scaled
        target = jnp.where(weight, target, scale.loc)
        values = head.loss(hidden.astype(jnp.float32), target, scale.loc, scale.scale, head_key)
        unit = whole.unit
        return PointLosses(head.rescale_loss(values, unit), weight, scale.scale * unit)

    count = encoding.hidden.shape[1]
    near = losses(encoding.hidden, jnp.arange(read - count, read)[None])
    return Losses(near, None if queries is None else losses(encoding.ahead, queries + 1))


NEAREST = 4
"""Steps of one-pass targets are log-uniform after this number is added to them."""


def draw_steps(key: Key, batch: Batch, data: DataConfig) -> Int[Array, "G Q"]:
    """Draws which points of each window are predicted in one pass.

    Their distances from the forecast's start are spread nearly log-uniformly from 1 to the last
    observed point of a target, which is at most `data.farthest` points away.
    """
    points = jnp.arange(batch.values.shape[-1])
    targets = batch.observed & (batch.role == TARGET)[:, :, None]
    last = jnp.max(jnp.where(targets.any(1), points, 0), axis=1)
    reach = jnp.clip(last - batch.start, 1, data.farthest - 1)[:, None]
    shape = len(batch.start), data.queries
    level = (jnp.arange(data.queries) + jax.random.uniform(key, shape)) / data.queries
    first = NEAREST + 1.0
    distance = first * ((reach + first) / first) ** level - NEAREST
    return jnp.clip(distance.astype(jnp.int32), 1, reach)


def targets_loss(
    parameters: Parameters, recipe: Recipe, batch: Batches, key: Key | None
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Mean of `point_losses` over the targets that count.

    For a model that forecasts in one pass, it is the weighted mean of both kinds of losses.

    Args:
      parameters: Parameters of the model.
      recipe: The architecture and the objective.
      batch: The windows, or the windows and the groups, all of whose targets weigh the same.
      key: As in `point_losses`. It also decides which points are predicted in one pass.

    Returns:
      The loss, and the metrics `loss`, the same number, and `scaled_loss`, the loss less the mean
      logarithm of the scales. With one pass, also `one_pass_loss`, its part of `scaled_loss`.
    """
    train = recipe.train
    near, ahead = batch_losses(parameters, recipe, batch, key)
    loss, log_scale = mean_loss(near)
    if ahead is None:
        return loss, {"loss": loss, "scaled_loss": loss - log_scale}
    far, far_log_scale = mean_loss(ahead)
    share = train.one_pass_share
    total = (1 - share) * loss + share * far
    scaled = total - (1 - share) * log_scale - share * far_log_scale
    return total, {"loss": total, "scaled_loss": scaled, "one_pass_loss": far - far_log_scale}


def batch_losses(parameters: Parameters, recipe: Recipe, batch: Batches, key: Key | None) -> Losses:
    """`point_losses` of a training batch, with random points that are predicted in one pass.

    The rows of its groups follow those of its single windows.
    """
    model, data = recipe.model, recipe.data
    if not isinstance(batch, Batch):
        keys = [key, None if key is None else jax.random.fold_in(key, 3)]
        parts = [
            batch_losses(parameters, recipe, part, part_key)
            for part, part_key in zip(batch, keys, strict=True)
        ]
        return jax.tree.map(lambda *rows: jnp.concatenate(rows), *parts)
    read, steps = None, None
    if model.one_pass:
        query_key = jax.random.key(0) if key is None else jax.random.fold_in(key, 2)
        read, steps = model.past_length + data.future_length, draw_steps(query_key, batch, data)
    return point_losses(parameters, model, recipe.train, batch, key, read=read, steps=steps)


def mean_loss(losses: PointLosses) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean loss over the targets that count, and the mean logarithm of their scales."""
    values, weight, scale = losses
    total = jnp.maximum(weight.sum(), 1)
    loss = jnp.sum(jnp.where(weight, values, 0)) / total
    return loss, jnp.sum(jnp.where(weight, jnp.log(scale), 0)) / total
