"""Validation loss: the held-back ends of series, in fixed windows."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lagllama_jax.config import DataConfig, ModelConfig, TrainConfig
from lagllama_jax.data.corpus import Corpus
from lagllama_jax.data.windows import Draws, Windows
from lagllama_jax.model.scalers import Scale
from lagllama_jax.training.step import point_losses
from lagllama_jax.typing import Array, Float, Int, Parameters

Evaluate = Callable[[Parameters], float]
"""Weights to their validation loss."""


def tail_draws(
    corpus: Corpus,
    first: Int[np.ndarray, "n"],
    model: ModelConfig,
    data: DataConfig,
    most: int,
    seed: int = 0,
) -> Draws:
    """Windows whose forecasts lie end to end over the points from `first` on of each series.

    Args:
      corpus: whole series.
      first: first held-back point of each series; its length where nothing is.
      model: for the context.
      data: for the length of a forecast.
      most: at most so many windows, drawn evenly from all data sets.
      seed: decides which.
    """
    count = -(-(corpus.lengths - first) // data.future_length)
    series = np.repeat(np.arange(len(corpus)), count)
    turn = np.arange(len(series)) - np.repeat(np.cumsum(count) - count, count)
    chosen = _even_choice(corpus.dataset[series], most, np.random.default_rng(seed))
    series, turn = series[chosen], turn[chosen]
    constant = lambda value: np.full(len(series), value, np.int32)  # noqa: E731
    fields: Any = (
        series.astype(np.int32),
        (first[series] + turn * data.future_length).astype(np.int32),
        constant(model.context_length),
        constant(model.past_length),
        constant(1),
        np.ones(len(series), bool),
    )
    return Draws(*fields)


def _even_choice(
    group: Int[np.ndarray, "w"], most: int, generator: np.random.Generator
) -> Int[np.ndarray, "v"]:
    """At most `most` indices, as many of each group as there are or as an even share allows."""
    order = generator.permutation(len(group))
    order = order[np.argsort(group[order], kind="stable")]
    size = np.bincount(group, minlength=1)
    rank = np.arange(len(group)) - np.repeat(np.cumsum(size) - size, size)
    return np.sort(order[np.argsort(rank, kind="stable")[:most]])


def unit_free(head: str, losses: Float[Array, "B T"], scale: Scale) -> Float[Array, "B T"]:
    """Losses as they would be of the scaled series: of a density, a ratio of levels, or counts."""
    if head == "student_t":
        return losses - jnp.log(scale.scale)
    return losses / scale.scale if head == "implicit_quantile" else losses


def make_evaluate(
    windows: Windows,
    model: ModelConfig,
    train: TrainConfig,
    place: Callable[[Windows], Windows] = jax.device_put,
) -> Evaluate:
    """The mean loss, free of units, of the forecast points of fixed windows; lower is better.

    Each point is predicted from the true ones before it. Missing ones do not count.

    Args:
      windows: of `tail_draws`, gathered.
      model: the architecture.
      train: batch size and dtype.
      place: puts a batch on the devices.
    """
    total = len(windows.past)
    batch = min(train.batch_size, total)
    index = np.arange(-(-total // batch) * batch).reshape(-1, batch)
    batches = []
    for part in index:
        rows = jax.tree.map(lambda leaf: leaf[part % total], windows)  # noqa: B023
        unscored = (part >= total)[:, None] & (
            np.arange(rows.values.shape[1]) >= rows.past[:, None]
        )
        batches.append(place(rows._replace(observed=rows.observed & ~unscored)))

    @jax.jit
    def totals(parameters: Parameters, windows: Windows) -> Float[Array, "2"]:
        losses, weight, scale = point_losses(parameters, model, train, windows, None)
        point = jnp.arange(windows.values.shape[1])[None, -losses.shape[1] :]
        weight &= point >= windows.past[:, None]
        kept = jnp.where(weight, unit_free(model.head, losses, scale), 0)
        return jnp.stack([kept.sum(), weight.sum()])

    def evaluate(parameters: Parameters) -> float:
        loss, count = np.sum([np.asarray(totals(parameters, part)) for part in batches], axis=0)
        return float(loss / max(count, 1))

    return evaluate
