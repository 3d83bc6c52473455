"""The validation loss: the loss of the held-back ends of series in fixed windows."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lagllama_jax.config import DataConfig, ModelConfig, TrainConfig
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.errors import DataError
from lagllama_jax.model.batch import TARGET, Batch
from lagllama_jax.model.network import bind_head
from lagllama_jax.training.loss import point_losses
from lagllama_jax.training.recipe import program_of
from lagllama_jax.training.sources.windows import Draws
from lagllama_jax.training.step import KEPT, shapes_of
from lagllama_jax.typing import Array, Bool, Float, Int, Parameters

Evaluate = Callable[[Parameters], float]
"""A function that computes the validation loss of weights."""


def tail_draws(
    corpus: Corpus,
    first: Int[np.ndarray, "n"],
    model: ModelConfig,
    data: DataConfig,
    most: int,
    seed: int = 0,
) -> Draws:
    """Windows whose futures cover the held-back points of each series without overlap.

    Args:
      corpus: Whole series.
      first: Index of the first held-back point of each series; its length if there is none.
      model: The architecture, for the context.
      data: The future length.
      most: Largest number of windows. If there are more, they are chosen evenly over datasets.
      seed: Random seed of that choice.
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
    """At most `most` indices, evenly over the groups as far as these have enough."""
    order = generator.permutation(len(group))
    order = order[np.argsort(group[order], kind="stable")]
    size = np.bincount(group, minlength=1)
    rank = np.arange(len(group)) - np.repeat(np.cumsum(size) - size, size)
    return np.sort(order[np.argsort(rank, kind="stable")[:most]])


def make_evaluate(
    windows: Batch,
    model: ModelConfig,
    train: TrainConfig,
    place: Callable[[Any], Any] = jax.device_put,
    unit: Float[np.ndarray, "n V"] | None = None,
) -> Evaluate:
    """Makes the function that computes the mean loss of the futures of fixed windows.

    The loss is in scaled units; lower is better. Each point is predicted from the true points
    before it, with the attention window of forecasts. If the model forecasts in one pass, the loss
    is the mean of this loss and that of one pass. Missing points do not count.

    Args:
      windows: The gathered windows of `tail_draws`.
      model: The architecture.
      train: Batch size and data type.
      place: Function that puts a batch on the devices.
      unit: Scale of each window in raw units, for comparing models with different scalers. `None`:
        the scale of the model.

    Raises:
      DataError: If no future point was observed.
    """
    targets = np.asarray(windows.role)[:, :, None] == TARGET
    if not (np.asarray(windows.observed) & targets & _future(windows)).any():
        raise DataError(
            "None of the points that validate was observed: hold back more of them, or train "
            "without validation."
        )
    batches = list(_batches((windows, unit), train.batch_size))

    def evaluate(parameters: Parameters) -> float:
        totals = compiled_totals(model, program_of(train), shapes_of(batches[0]))
        sums = [np.asarray(totals(parameters, *place(batch))) for batch in batches]
        loss, count = np.sum(sums, axis=0, dtype=float)
        return float(loss / max(count, 1))

    return evaluate


Totals = Callable[[Parameters, Batch, Float[np.ndarray, "G V"] | None], Float[Array, "2"]]


@functools.lru_cache(maxsize=KEPT)
def compiled_totals(model: ModelConfig, train: TrainConfig, shapes: tuple[Any, ...]) -> Totals:
    """`totals` of an architecture and of windows of some `shapes`, compiled. Runs share it."""
    return jax.jit(functools.partial(totals, model=model, train=train))


def totals(
    parameters: Parameters,
    windows: Batch,
    unit: Float[Array, "G V"] | None,
    model: ModelConfig,
    train: TrainConfig,
) -> Float[Array, "2"]:
    """The sum of the losses of the futures of some windows, and the number of points that count.

    Args:
      parameters: Parameters of the model.
      windows: The windows.
      unit: As for `make_evaluate`.
      model: The architecture.
      train: Data type of the computation, and which targets count, by `program_of`.
    """
    head = bind_head(model, {"head": {}})
    future = windows.values.shape[-1] - model.past_length
    steps = jnp.arange(1, future)[None] if model.one_pass and future > 1 else None
    kinds = point_losses(parameters, model, train, windows, None, window=model.window, steps=steps)
    sums = []
    for losses, weight, scale in (kind for kind in kinds if kind is not None):
        own = scale if unit is None else unit.reshape(scale.shape)
        free = head.rescale_loss(losses, 1 / own)
        counted = jnp.stack([jnp.where(weight, free, 0), weight])
        sums.append(counted[:, :, -future:].sum((1, 2)))
    return jnp.stack(sums).sum(0)


def _future(windows: Batch) -> Bool[np.ndarray, "G 1 U"]:
    """Which points lie at or after the forecast's start."""
    points = np.arange(windows.values.shape[-1])
    return points >= np.asarray(windows.start)[:, None, None]


def _batches(rows: tuple[Batch, Any], size: int) -> Iterator[tuple[Batch, Any]]:
    """Batches of one size. The last one is padded with windows whose future does not count."""
    total = len(rows[0].start)
    for first in range(0, total, size):
        index = np.arange(first, first + size)
        windows, unit = jax.tree.map(lambda leaf: leaf[index % total], rows)  # noqa: B023
        filling = (index >= total)[:, None, None] & _future(windows)
        yield windows._replace(observed=windows.observed & ~filling), unit
