"""Synthetic series: random sums of seasonality, noise, trend, random walk and level shifts.

Each series is a random composition of parts, in the spirit of ForecastPFN (arXiv 2311.01933),
KernelSynth (arXiv 2403.07815) and TempoPFN (arXiv 2510.25502). Stationary Gaussian processes are
drawn from their spectra by FFT. Everything runs under `jit`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lagllama_jax.config import DataConfig, ModelConfig
from lagllama_jax.model.batch import TARGET, Batch
from lagllama_jax.model.calendar_features import (
    BUSINESS_DAY,
    MONTH,
    NEUTRAL_DAY,
    SECOND,
    WEEK,
    Calendar,
    calendar_features,
    wall_clock,
)
from lagllama_jax.training.dice import Dice, poisson_quantile
from lagllama_jax.training.sources.windows import SHORTEST_HISTORY, between, window_length
from lagllama_jax.typing import Array, Bool, Float, Int, Key

# Unit, step, anchor, three natural periods in steps (0: none), and the weight of the grid.
GRIDS = np.array(
    [
        (SECOND, 1, 0, 60, 3600, 0, 0.5),
        (SECOND, 10, 0, 360, 8640, 0, 1),
        (SECOND, 60, 0, 60, 1440, 0, 1),
        (SECOND, 300, 0, 288, 2016, 12, 1.5),
        (SECOND, 600, 0, 144, 1008, 6, 1.5),
        (SECOND, 900, 0, 96, 672, 4, 4),
        (SECOND, 1800, 0, 48, 336, 0, 2),
        (SECOND, 3600, 0, 24, 168, 8766, 3),
        (SECOND, 86_400, 0, 7, 365.25, 30.44, 2),
        (BUSINESS_DAY, 1, 0, 5, 261, 21.7, 0.5),
        (WEEK, 1, 6, 52.18, 13.04, 0, 1),
        (MONTH, 1, 0, 12, 0, 0, 1),
        (MONTH, 3, 2, 4, 0, 0, 0.5),
        (MONTH, 12, 11, 10, 0, 0, 0.5),
    ]
)
NUM_HARMONICS = 10


def standardised(x: Float[Array, "U"]) -> Float[Array, "U"]:
    """Standardises a series to mean 0 and standard deviation 1. A constant becomes 0."""
    return (x - x.mean()) / (x.std() + 1e-6)


def spectral_noise(dice: Dice, count: int) -> Float[Array, "n U"]:
    """Stationary Gaussian processes with random spectra, from white to smooth noise."""
    padded = 2 * dice.length
    frequency = jnp.arange(dice.length + 1) / padded
    corner = dice.log_uniform(1 / padded, 0.5, (count, 1))
    rational = (frequency**2 + corner**2) ** (-dice.uniform(0.0, 3.0, (count, 1)) / 2)
    smooth = jnp.exp(-0.5 * (frequency / corner) ** 2) + 1e-6
    density = jnp.where(dice.chance(0.3, (count, 1)), smooth, rational).at[:, 0].set(0)
    # There are as many normals as points: the last and weakest bin is left out.
    real, imaginary = jnp.pad(dice.normals(2 * count), ((0, 0), (0, 1))).reshape(2, count, -1)
    noise = jnp.fft.irfft((real + 1j * imaginary) * density, padded)[:, : dice.length]
    return jax.vmap(standardised)(noise)


def seasonal_waves(dice: Dice, phase: Float[Array, "n U"]) -> Float[Array, "n U"]:
    """Random periodic functions: harmonics, square wave, sawtooth or bumps. Phase 1 is a period."""
    count = phase.shape[0]
    order = np.arange(1, NUM_HARMONICS + 1)
    weights = dice.normal((2, count, NUM_HARMONICS)) * order ** -dice.uniform(0.3, 2.5, (count, 1))
    # a cos + b sin is one cosine, whose size is the length of (a, b).
    turns = jnp.arctan2(weights[1], weights[0]) / (2 * jnp.pi)
    angle = 2 * jnp.pi * (phase[:, :, None] * order - turns[:, None, :])
    harmonic = jnp.einsum("nuk,nk->nu", jnp.cos(angle), jnp.hypot(*weights))
    turn = (phase + dice.uniform(shape=(count, 1))) % 1
    bump = jnp.exp(dice.log_uniform(1.0, 60.0, (count, 1)) * (jnp.cos(2 * jnp.pi * turn) - 1))
    square = (turn < dice.uniform(shape=(count, 1))) * 1.0
    kind = dice.index(6, (count, 1))
    return jax.vmap(standardised)(
        jnp.select([kind == 3, kind == 4, kind == 5], [bump, square, turn], harmonic)
    )


def level_steps(dice: Dice, rate: Float[Array, ""]) -> Float[Array, "U"]:
    """A piecewise constant level that jumps at random points."""
    segment = jnp.cumsum(dice.uniforms(1)[0] < rate)
    return standardised(dice.normals(1)[0][segment])


def trend(dice: Dice) -> Float[Array, "U"]:
    """A trend that is linear, piecewise linear, exponential or saturating."""
    time = jnp.linspace(-1, 1, dice.length)
    bend, steep = dice.uniform(-1.0, 1.0), dice.log_uniform(0.5, 5.0)
    bent, grown = jnp.maximum(time - bend, 0), jnp.exp(steep * time)
    kind = dice.index(5)
    line = jnp.select(
        [kind == 2, kind == 3, kind == 4], [bent, grown, jnp.tanh(steep * time)], time
    )
    return jnp.where(dice.chance(0.5), 1.0, -1.0) * standardised(line)


def random_walk(dice: Dice) -> Float[Array, "U"]:
    """A random walk with a drift and normal or heavy-tailed steps."""
    normal = dice.normals(1)[0]
    steps = jnp.where(dice.chance(0.3), normal * jnp.exp(normal[::-1]), normal)
    return standardised(jnp.cumsum(steps + 0.1 * dice.normal()))


def innovations(
    dice: Dice, level: Float[Array, "U"], volatility: Float[Array, "U"]
) -> Float[Array, "U"]:
    """Normal or heavy-tailed noise of constant, level-dependent or clustered size."""
    normal, other = dice.normals(2)
    noise = jnp.where(dice.chance(0.25), normal * jnp.exp(0.7 * other), normal)
    relative = jnp.abs(level - jnp.min(level)) + 0.05
    kind = dice.index(4)
    return noise * jnp.select([kind == 0, kind == 1], [jnp.exp(0.8 * volatility), relative], 1.0)


def seasonal_part(
    dice: Dice, grid: Float[Array, "7"], day: Int[Array, "U"], swell: Float[Array, "U"]
) -> Float[Array, "U"]:
    """Waves with the natural periods of the grid and a random one, possibly damped on weekends."""
    periods = jnp.append(grid[3:6], dice.log_uniform(3.0, dice.length / 2))
    present = dice.chance(np.array([0.85, 0.5, 0.4, 0.15]), (4,)) & (periods > 0)
    turns = jnp.arange(dice.length) / jnp.maximum(periods, 1)[:, None]
    waves = seasonal_waves(dice, dice.uniform(shape=(4, 1)) + turns)
    waves = waves * jnp.where(present, jnp.exp(0.5 * dice.normal((4,))), 0.0)[:, None]
    both = waves[0] * jnp.where(dice.chance(0.3), jnp.exp(0.4 * swell), 1.0) + waves[1:].sum(0)
    weekend = (day + 3) % 7 >= 5
    weekly = dice.chance(0.3) & (grid[0] == SECOND)
    damped = dice.uniform(0.0, 1.3) * (both - both.min()) + both.min()
    return jnp.where(weekly & weekend, damped, both)


def transform(dice: Dice, x: Float[Array, "U"]) -> Float[Array, "U"]:
    """Makes a series positive, clipped, rounded or counts, adds outliers, and draws its scale."""
    x = standardised(x)
    gain = dice.log_uniform(0.1, 1.0)
    floor = jnp.sort(x)[(dice.uniform(0.0, 0.7) * (dice.length - 1)).astype(jnp.int32)]
    rate = dice.log_uniform(0.05, 300.0) * jnp.exp(jnp.clip(gain * x, -5, 3))
    digits = dice.log_uniform(0.02, 0.5)
    shapes = [x + 3, jnp.exp(gain * x), jax.nn.softplus(2 * x), jnp.maximum(x, floor)]
    shapes += [poisson_quantile(dice.normals(1)[0], rate), jnp.round(x / digits) * digits]
    kind = dice.index(9)
    x = jnp.select([kind == i for i in range(len(shapes))], shapes, x)
    spike = (dice.uniforms(1)[0] < 0.003) & dice.chance(0.15)
    size = x.std() * 6 * dice.normals(1)[0]
    unit = jnp.exp(4 * dice.normal())
    return jnp.where(dice.chance(0.1), -unit, unit) * jnp.where(spike, x + size, x)


def series(dice: Dice, grid: Float[Array, "7"], day: Int[Array, "U"]) -> Float[Array, "U"]:
    """One synthetic series on a given time grid."""
    noise, swell, volatility = spectral_noise(dice, 3)
    level = level_steps(dice, dice.log_uniform(0.5 / dice.length, 0.05))
    parts = [seasonal_part(dice, grid, day, swell), noise, trend(dice), random_walk(dice), level]
    present = dice.chance(np.array([0.75, 0.35, 0.3, 0.25, 0.15]), (5,))
    walk = dice.chance(0.1)  # only a random walk, such as a price
    present = jnp.where(walk, np.arange(5) == 3, present)
    sizes = jnp.where(present, jnp.exp(0.7 * dice.normal((5,))), 0.0)
    signal = sizes @ jnp.stack(parts)
    rough = innovations(dice, signal, volatility) * dice.log_uniform(0.01, 1.0)
    rough = jnp.where(walk, 0.0, rough)
    return transform(dice, signal + rough * jnp.maximum(signal.std(), 0.1))


def shown(dice: Dice, past: Int[Array, ""], data: DataConfig) -> Bool[Array, "U"]:
    """Which points are observed. Some series have a short history, some have gaps."""
    short = SHORTEST_HISTORY * jnp.exp(dice.uniform() * jnp.log(past / SHORTEST_HISTORY))
    history = jnp.where(dice.chance(data.short_history), short, past)
    gap = dice.uniforms(1)[0] < 0.3 * dice.uniform()
    return (jnp.arange(dice.length) - past >= -history) & ~(gap & dice.chance(0.1))


class Timeline(NamedTuple):
    """The time grid of a synthetic window.

    Attributes:
      grid: Its row of `GRIDS`.
      day: Day of each point.
      second: Second of that day.
    """

    grid: Float[Array, "7"]
    day: Int[Array, "U"]
    second: Int[Array, "U"]


def draw_timeline(dice: Dice) -> Timeline:
    """Draws the time grid of a window."""
    shares = np.cumsum(GRIDS[:, 6]) / GRIDS[:, 6].sum()
    grid = jnp.asarray(GRIDS, jnp.float32)[(dice.uniform() > shares).sum()]
    unit, step, anchor = grid[:3].astype(jnp.int32)
    calendar = Calendar(unit, step, dice.index(22_000), jnp.int32(0), anchor)
    return Timeline(grid, *wall_clock(calendar, jnp.arange(dice.length)))


def draw_start(dice: Dice, model: ModelConfig, data: DataConfig) -> Int[Array, ""]:
    """Draws the start of the forecast."""
    longest = model.context_length
    return model.max_lag + between(dice.uniform(), data.min_context or longest, longest)


def clock_of(
    dice: Dice, line: Timeline, model: ModelConfig, data: DataConfig
) -> Float[Array, "T 6"]:
    """The calendar features of a window, which are 0 in a share of them."""
    dated = dice.uniform() >= data.drop_calendar
    day = jnp.where(dated, line.day, NEUTRAL_DAY)
    return calendar_features(day, line.second)[model.max_lag :]


def synthetic_windows(key: Key, batch: int, model: ModelConfig, data: DataConfig) -> Batch:
    """A batch of synthetic windows, with the same distribution of context lengths as real ones.

    Args:
      key: Random key.
      batch: Number of windows.
      model: The architecture, for the lengths of a window.
      data: Shares of windows with a short history or without dates, and the future length.
    """
    length = window_length(model, data)

    def window(key: Key) -> Batch:
        dice = Dice(key, length)
        line = draw_timeline(dice)
        values = series(dice, line.grid, line.day)
        start = draw_start(dice, model, data)
        observed = shown(dice, start, data)[None]
        clock = clock_of(dice, line, model, data)
        values = jnp.where(observed, values, 0.0)
        role, zero = jnp.full(1, TARGET, jnp.int32), jnp.zeros(1)
        return Batch(
            values, observed, clock, role, start, zero, zero + 1, jnp.zeros(role.shape, jnp.uint32)
        )

    return jax.vmap(window)(jax.random.split(key, batch))
