"""Training windows: which stretches of a corpus, and the arrays of one batch.

Drawing and gathering are apart, so that the path on the device (`jax.random` inside the jitted
step) and the path on the host (NumPy, `grain`) share the gathering and the meaning of a draw.
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
from lagllama_jax.typing import Array, Bool, Float, Int, Key

SHORTEST_HISTORY = 16
STRETCHES = (2, 3, 4, 6)


class CorpusArrays(NamedTuple):
    """A corpus as arrays, on the device or the host.

    Attributes:
      values: every series end to end; NaN is missing.
      offsets: index of each series' first value.
      lengths: points of each series.
      calendar: each series' time grid.
      zones: the clock changes of the grids' time zones.
      dataset: index of each series' dataset.
      level: raw value of a 0 in `values`, in multiples of `unit`, of each series.
      unit: raw units per unit of `values`, of each series.
      table: which series to draw.
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


class Draws(NamedTuple):
    """What is random about a batch of windows.

    Attributes:
      series: index of the series.
      start: index in the series of the forecast's first point.
      context: tokens of the window before the forecast's start.
      history: points before the forecast's start that are shown.
      stretch: how many points of the window lie between two of the series.
      dated: whether calendar features are shown.
    """

    series: Int[Array, "B"]
    start: Int[Array, "B"]
    context: Int[Array, "B"]
    history: Int[Array, "B"]
    stretch: Int[Array, "B"]
    dated: Bool[Array, "B"]


class Chances(NamedTuple):
    """The random numbers behind a batch of draws: but for the first, uniforms in [0, 1).

    Attributes:
      item: index of any series.
      keep: whether it is that one, or its alias.
      context: which length of the context.
      start: where in the series.
      history: which length of a short history.
      short: whether the history is short.
      stretched: whether the window is stretched.
      factor: how much.
      dated: whether it has dates.
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
    item = jax.random.randint(item_key, (batch,), 0, corpus.lengths.shape[0])
    uniforms = jax.random.uniform(uniform_key, (len(Chances._fields) - 1, batch))
    return decide(Chances(item, *uniforms), corpus, model, data)


def draw_on_host(
    generator: np.random.Generator,
    corpus: CorpusArrays,
    batch: int,
    model: ModelConfig,
    data: DataConfig,
) -> Draws:
    """Draws a batch of windows with NumPy, of the same distribution as `draw`."""
    item: Any = generator.integers(0, corpus.lengths.shape[0], batch)
    uniforms: Any = generator.random((len(Chances._fields) - 1, batch), np.float32)
    return decide(Chances(item, *uniforms), corpus, model, data)


def decide(chances: Chances, corpus: CorpusArrays, model: ModelConfig, data: DataConfig) -> Draws:
    """The draws that random numbers decide; NumPy in, NumPy out, and likewise for JAX."""
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
    """Whole numbers from `low` to `high`, both included, from uniforms in [0, 1)."""
    return low + (uniform * (high - low + 1)).astype("int32")


def gather(corpus: CorpusArrays, draws: Draws, model: ModelConfig, data: DataConfig) -> Batch:
    """The windows of a batch of draws, each a group of one variate.

    NumPy arrays in, NumPy arrays out, and likewise for JAX.
    """
    xp = jnp if isinstance(corpus.values, jax.Array) else np
    length = model.past_length + data.future_length
    start = model.max_lag + draws.context
    offset = xp.arange(length, dtype=xp.int32)[None, :] - start[:, None]
    values = read(xp, corpus, draws, offset, interpolate=data.stretch > 0)
    values = xp.where(offset < -draws.history[:, None], xp.nan, values)[:, None, :]
    observed = ~xp.isnan(values)
    clock = clock_features(xp, corpus, draws, offset[:, model.max_lag :])
    level, unit = (field[draws.series][:, None] for field in (corpus.level, corpus.unit))
    values = xp.where(observed, values, xp.float32(0))
    role = xp.full(level.shape, TARGET, xp.int32)
    seed = xp.zeros(len(start), xp.uint32)
    return Batch(values, observed, clock, role, start.astype(xp.int32), level, unit, seed)


def read(
    xp: Any, corpus: CorpusArrays, draws: Draws, offset: Int[Array, "B U"], interpolate: bool
) -> Float[Array, "B U"]:
    """Values at `offset` points from the forecast's start; NaN outside the series.

    On a stretched grid the values between two points lie on a Catmull-Rom cubic.
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
    """Calendar features of the points at `offset` from the forecast's start."""
    calendar = Calendar(*(field[draws.series] for field in corpus.calendar))
    fine = calendar._replace(step=xp.maximum(calendar.step // draws.stretch, 1))
    divides = (calendar.unit == SECOND) & (calendar.step % draws.stretch == 0)
    known = draws.dated & ((draws.stretch == 1) | divides)
    index = draws.start * draws.stretch
    day, second = wall_clock(fine.column(), index[:, None] + offset, corpus.zones)
    return calendar_features(xp.where(known[:, None], day, NEUTRAL_DAY), second)
