"""Training windows: draws the windows of a batch, and gathers their values from the corpus.

Drawing and gathering are separate, so that the sources on the device (`jax.random` under `jit`) and
on the host (NumPy) differ only in their random numbers.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lagllama_jax.config import DataConfig, ModelConfig
from lagllama_jax.model.batch import TARGET, Batch
from lagllama_jax.model.calendar_features import (
    NEUTRAL_DAY,
    SECOND,
    Calendar,
    Zones,
    calendar_features,
    wall_clock,
)
from lagllama_jax.training.sources.mixture import AliasTable
from lagllama_jax.training.sources.relatives import Relatives
from lagllama_jax.typing import Array, Bool, Float, Int, Key

SHORTEST_HISTORY = 16
STRETCHES = (2, 3, 4, 6)


class CorpusArrays(NamedTuple):
    """A corpus as arrays, on the device or the host.

    Attributes:
      values: Standardised values of all series, one series after the other; NaN where missing.
      offsets: Index of the first value of each series.
      lengths: Number of points of each series.
      calendar: Time grid of each series.
      zones: Clock changes of the time zones.
      dataset: Number of the dataset of each series.
      level: Raw value at which `values` is 0, in multiples of `unit`, of each series.
      unit: Raw units per unit of `values`, of each series.
      table: Alias table by which series are drawn.
      relatives: The series that share the time grid of each series. `None`: groups are not drawn.
    """

    values: Float[Array, "N"]
    offsets: Int[Array, "n"]
    lengths: Int[Array, "n"]
    calendar: Calendar
    zones: Zones
    dataset: Int[Array, "n"]
    level: Float[Array, "n"]
    unit: Float[Array, "n"]
    table: AliasTable
    relatives: Relatives | None = None


class Draws(NamedTuple):
    """The random choices of a batch of windows.

    Attributes:
      series: Number of the series.
      start: Index in the series of the first forecast point.
      context: Number of tokens before the forecast's start.
      history: Number of points before the forecast's start that are not hidden.
      stretch: Number of points of the window per point of the series.
      dated: Whether the window has calendar features.
    """

    series: Int[Array, "B"]
    start: Int[Array, "B"]
    context: Int[Array, "B"]
    history: Int[Array, "B"]
    stretch: Int[Array, "B"]
    dated: Bool[Array, "B"]


class Chances(NamedTuple):
    """The random numbers from which `Draws` are computed.

    All but the first are uniform in [0, 1).

    Attributes:
      item: A uniformly drawn series.
      keep: Decides between that series and its alias.
      context: Decides the context length.
      start: Decides the forecast's start.
      history: Decides the length of a short history.
      short: Decides whether the history is short.
      stretched: Decides whether the window is stretched.
      factor: Decides the factor of the stretch.
      dated: Decides whether the window has calendar features.
    """

    item: Int[Array, "B"]
    keep: Float[Array, "B"]
    context: Float[Array, "B"]
    start: Float[Array, "B"]
    history: Float[Array, "B"]
    short: Float[Array, "B"]
    stretched: Float[Array, "B"]
    factor: Float[Array, "B"]
    dated: Float[Array, "B"]


def draw(key: Key, corpus: CorpusArrays, batch: int, model: ModelConfig, data: DataConfig) -> Draws:
    """Draws a batch of windows with `jax.random`."""
    item_key, uniform_key = jax.random.split(key)
    return decide(draw_chances(item_key, uniform_key, corpus, batch), corpus, model, data)


def draw_chances(item_key: Key, uniform_key: Key, corpus: CorpusArrays, batch: int) -> Chances:
    """Draws the random numbers of a batch of windows with `jax.random`."""
    item = jax.random.randint(item_key, (batch,), 0, corpus.lengths.shape[0])
    uniforms = jax.random.uniform(uniform_key, (len(Chances._fields) - 1, batch))
    return Chances(item, *uniforms)


def draw_on_host(
    generator: np.random.Generator,
    corpus: CorpusArrays,
    batch: int,
    model: ModelConfig,
    data: DataConfig,
) -> Draws:
    """Draws a batch of windows with NumPy. The distribution is that of `draw`."""
    return decide(draw_chances_on_host(generator, corpus, batch), corpus, model, data)


def draw_chances_on_host(
    generator: np.random.Generator, corpus: CorpusArrays, batch: int
) -> Chances:
    """Draws the random numbers of a batch of windows with NumPy."""
    item: Any = generator.integers(0, corpus.lengths.shape[0], batch)
    uniforms: Any = generator.random((len(Chances._fields) - 1, batch), np.float32)
    return Chances(item, *uniforms)


def decide(chances: Chances, corpus: CorpusArrays, model: ModelConfig, data: DataConfig) -> Draws:
    """Computes draws from random numbers. Arrays of NumPy and of JAX both stay what they are."""
    xp = jnp if isinstance(corpus.lengths, jax.Array) else np
    series = corpus.table.pick(chances.item, chances.keep)
    longest = model.context_length
    context = between(chances.context, data.min_context or longest, longest)
    full = model.max_lag + context
    needed = xp.minimum(full if data.min_past is None else data.min_past, full)
    room = corpus.lengths[series] - (data.future_length if data.min_past is None else 1)
    start = between(chances.start, needed, xp.maximum(room, needed))
    short = xp.exp(chances.history * xp.log(full / SHORTEST_HISTORY)) * SHORTEST_HISTORY
    history = xp.where(chances.short < data.short_history, short.astype(xp.int32), full)
    factor = xp.asarray(STRETCHES)[between(chances.factor, 0, len(STRETCHES) - 1)]
    factor = xp.where(chances.stretched < data.stretch, factor, 1)
    return Draws(series, start, context, history, factor, chances.dated >= data.drop_calendar)


def between(uniform: Any, low: Any, high: Any) -> Any:
    """Whole numbers from `low` to `high`, both included, from uniform numbers in [0, 1)."""
    return low + (uniform * (high - low + 1)).astype("int32")


def window_length(model: ModelConfig, data: DataConfig) -> int:
    """Number of points of a training window, which reaches as far as queries do."""
    reach = data.farthest if model.one_pass else 1
    return model.past_length + max(data.future_length, reach)


def gather(corpus: CorpusArrays, draws: Draws, model: ModelConfig, data: DataConfig) -> Batch:
    """Gathers the windows of a batch of draws. Each window is a group of one variate.

    Arrays of NumPy and of JAX both stay what they are.
    """
    xp = jnp if isinstance(corpus.values, jax.Array) else np
    length = window_length(model, data)
    start = model.max_lag + draws.context
    offset = xp.arange(length, dtype=xp.int32)[None, :] - start[:, None]
    values = read(xp, corpus, draws, offset, interpolate=data.stretch > 0)
    values = xp.where(offset < -draws.history[:, None], xp.nan, values)[:, None, :]
    observed = ~xp.isnan(values)
    clock = clock_features(xp, corpus, draws, offset[:, model.max_lag :])
    level, unit = (field[draws.series][:, None] for field in (corpus.level, corpus.unit))
    values = xp.where(observed, values, xp.float32(0))
    role = xp.full(level.shape, TARGET, xp.int32)
    seed = xp.zeros(role.shape, xp.uint32)
    return Batch(values, observed, clock, role, start.astype(xp.int32), level, unit, seed)


def read(
    xp: Any, corpus: CorpusArrays, draws: Draws, offset: Int[Array, "B U"], interpolate: bool
) -> Float[Array, "B U"]:
    """Values at the points `offset` after the forecast's start; NaN outside the series.

    If a window is stretched, the values between two points of the series are interpolated by a
    Catmull-Rom spline.
    """
    first = corpus.offsets[draws.series][:, None]
    last = corpus.lengths[draws.series][:, None] - 1

    def at(index: Int[Array, "B U"]) -> Float[Array, "B U"]:
        inside = (index >= 0) & (index <= last)
        return xp.where(inside, corpus.values[first + xp.clip(index, 0, last)], xp.nan)

    stretch = draws.stretch[:, None]
    index = draws.start[:, None] + offset // stretch
    if not interpolate:
        return at(index)
    step = ((offset % stretch) / stretch).astype(xp.float32)
    before, low, high, after = (at(index + k) for k in (-1, 0, 1, 2))
    slope_low, slope_high = (high - before) / 2, (after - low) / 2
    cubic = low + step * (
        slope_low
        + step
        * (
            3 * (high - low)
            - 2 * slope_low
            - slope_high
            + step * (2 * (low - high) + slope_low + slope_high)
        )
    )
    return xp.where(stretch == 1, low, cubic)


def clock_features(
    xp: Any, corpus: CorpusArrays, draws: Draws, offset: Int[Array, "B T"]
) -> Float[Array, "B T 6"]:
    """Calendar features of the points `offset` after the forecast's start."""
    calendar = Calendar(*(field[draws.series] for field in corpus.calendar))
    fine = calendar._replace(step=xp.maximum(calendar.step // draws.stretch, 1))
    divides = (calendar.unit == SECOND) & (calendar.step % draws.stretch == 0)
    known = draws.dated & ((draws.stretch == 1) | divides)
    index = draws.start * draws.stretch
    day, second = wall_clock(fine.column(), index[:, None] + offset, corpus.zones)
    return calendar_features(xp.where(known[:, None], day, NEUTRAL_DAY), second)
