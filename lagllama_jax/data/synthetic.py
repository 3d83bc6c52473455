"""Made-up series: random sums of seasonal, spectral, trending and switching parts, under `jit`.

Every window is a random composition, in the spirit of ForecastPFN (arXiv 2311.01933), KernelSynth
(arXiv 2403.07815) and TempoPFN (arXiv 2510.25502): an even mixture of many kinds teaches more than
any one of them. Stationary Gaussian processes are drawn through their spectra, by FFT.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lagllama_jax.config import DataConfig, ModelConfig
from lagllama_jax.data.windows import SHORTEST_HISTORY, Windows, between
from lagllama_jax.model.time_features import (
    BUSINESS_DAY,
    MONTH,
    NEUTRAL_DAY,
    SECOND,
    WEEK,
    Calendar,
    calendar_features,
    wall_clock,
)
from lagllama_jax.typing import Array, Float, Int, Key

# unit, step, anchor, then the natural periods in steps (0: none) and the grid's weight.
GRIDS = np.array(
    [
        (SECOND, 1, 0, 60, 3600, 0, 0.5),
        (SECOND, 10, 0, 360, 8640, 0, 1),
        (SECOND, 60, 0, 60, 1440, 0, 1),
        (SECOND, 300, 0, 288, 2016, 12, 1.5),
        (SECOND, 600, 0, 144, 1008, 6, 1.5),
        (SECOND, 900, 0, 96, 672, 4, 2),
        (SECOND, 1800, 0, 48, 336, 0, 1.5),
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


def log_uniform(key: Key, low: float, high: float, shape: tuple[int, ...] = ()) -> Array:
    """Draws whose logarithm is even between those of `low` and `high`."""
    return jnp.exp(jax.random.uniform(key, shape, minval=np.log(low), maxval=np.log(high)))


def standardised(x: Float[Array, "U"]) -> Float[Array, "U"]:
    """Mean 0, standard deviation 1; zeros for a constant."""
    return (x - x.mean()) / (x.std() + 1e-6)


def spectral_noise(key: Key, length: int) -> Float[Array, "U"]:
    """A stationary Gaussian process of random spectrum: white, AR-like, smooth or in between."""
    keys = jax.random.split(key, 5)
    padded = 2 * length
    frequency = jnp.arange(padded // 2 + 1) / padded
    corner = log_uniform(keys[0], 1 / padded, 0.5)
    exponent = jax.random.uniform(keys[1], minval=0.0, maxval=3.0)
    rational = (frequency**2 + corner**2) ** (-exponent / 2)
    smooth = jnp.exp(-0.5 * (frequency / corner) ** 2) + 1e-6
    density = jnp.where(jax.random.uniform(keys[2]) < 0.3, smooth, rational)
    bins = (2, padded // 2 + 1)
    real, imaginary = jax.random.normal(keys[3], bins) * density.at[0].set(0)
    return standardised(jnp.fft.irfft(real + 1j * imaginary, padded)[:length])


def seasonal_wave(key: Key, phase: Float[Array, "U"]) -> Float[Array, "U"]:
    """A random periodic function of the phase (in turns): harmonics, square, saw-tooth or bumps."""
    keys = jax.random.split(key, 5)
    order = jnp.arange(1, NUM_HARMONICS + 1)
    decay = jax.random.uniform(keys[0], minval=0.3, maxval=2.5)
    weights = jax.random.normal(keys[1], (2, NUM_HARMONICS)) * order**-decay
    angle = 2 * jnp.pi * phase[:, None] * order
    harmonic = jnp.cos(angle) @ weights[0] + jnp.sin(angle) @ weights[1]
    shift, duty = jax.random.uniform(keys[2], (2,))
    turn = (phase + shift) % 1
    sharpness = log_uniform(keys[3], 1.0, 60.0)
    bump = jnp.exp(sharpness * (jnp.cos(2 * jnp.pi * turn) - 1))
    shapes = jnp.stack([harmonic, harmonic, harmonic, bump, (turn < duty) * 1.0, turn])
    return standardised(shapes[jax.random.randint(keys[4], (), 0, len(shapes))])


def level_steps(key: Key, length: int, rate: Float[Array, ""]) -> Float[Array, "U"]:
    """A piecewise constant level that jumps at random points."""
    jump_key, level_key = jax.random.split(key)
    segment = jnp.cumsum(jax.random.uniform(jump_key, (length,)) < rate)
    return standardised(jax.random.normal(level_key, (length,))[segment])


def trend(key: Key, length: int) -> Float[Array, "U"]:
    """Linear, bent, accelerating, or saturating."""
    keys = jax.random.split(key, 4)
    time = jnp.linspace(-1, 1, length)
    bend = jax.random.uniform(keys[0], minval=-1, maxval=1)
    steep = log_uniform(keys[1], 0.5, 5.0)
    kinds = jnp.stack(
        [time, time, jnp.maximum(time - bend, 0), jnp.exp(steep * time), jnp.tanh(steep * time)]
    )
    sign = jax.random.rademacher(keys[2], (), dtype=jnp.float32)
    return sign * standardised(kinds[jax.random.randint(keys[3], (), 0, len(kinds))])


def random_walk(key: Key, length: int) -> Float[Array, "U"]:
    """A walk with normal or heavy-tailed steps, with or without drift."""
    keys = jax.random.split(key, 3)
    heavy = jax.random.uniform(keys[0]) < 0.3
    normal = jax.random.normal(keys[1], (length,))
    steps = jnp.where(heavy, normal * jnp.exp(normal[::-1]), normal)
    return standardised(jnp.cumsum(steps + 0.1 * jax.random.normal(keys[2])))


def innovations(key: Key, length: int, level: Float[Array, "U"]) -> Float[Array, "U"]:
    """Noise: normal or heavy-tailed, of constant, level-dependent or clustered size."""
    keys = jax.random.split(key, 4)
    normal, other = jax.random.normal(keys[0], (2, length))
    noise = jnp.where(jax.random.uniform(keys[1]) < 0.25, normal * jnp.exp(0.7 * other), normal)
    volatility = jnp.exp(0.8 * spectral_noise(keys[2], length))
    relative = jnp.abs(level - jnp.min(level)) + 0.05
    sizes = jnp.stack([jnp.ones(length), jnp.ones(length), volatility, relative])
    return noise * sizes[jax.random.randint(keys[3], (), 0, len(sizes))]


def seasonal_part(key: Key, grid: Float[Array, "7"], day: Int[Array, "U"]) -> Float[Array, "U"]:
    """Waves of the grid's natural periods and of a random one, with quieter or louder weekends."""
    keys = jax.random.split(key, 8)
    length = day.shape[0]
    time = jnp.arange(length)
    periods = jnp.concatenate([grid[3:6], log_uniform(keys[0], 3.0, length / 2, (1,))])
    presence = jax.random.uniform(keys[1], (4,)) < jnp.array([0.85, 0.5, 0.4, 0.15])
    sizes = presence * (periods > 0) * jnp.exp(0.5 * jax.random.normal(keys[2], (4,)))
    phases = jax.random.uniform(keys[3], (4,))[:, None] + time / jnp.maximum(periods, 1)[:, None]
    waves = jax.vmap(seasonal_wave)(jax.random.split(keys[4], 4), phases)
    swell = jnp.exp(0.4 * spectral_noise(keys[5], length))
    waves = waves.at[0].multiply(jnp.where(jax.random.uniform(keys[6]) < 0.3, swell, 1.0))
    both = sizes @ waves
    weekend = (day + 3) % 7 >= 5
    weekly = (jax.random.uniform(keys[7]) < 0.3) & (grid[0] == SECOND)
    damp = jax.random.uniform(jax.random.fold_in(key, 8), minval=0.0, maxval=1.3)
    return jnp.where(weekly & weekend, damp * (both - both.min()) + both.min(), both)


def poisson(key: Key, rate: Float[Array, "U"]) -> Float[Array, "U"]:
    """Poisson counts: by the inverse of the distribution up to a rate of 12, else rounded normal.

    `jax.random.poisson` is exact and takes several times longer to compile and to run.
    """
    uniform = jax.random.uniform(key, rate.shape)
    low = jnp.minimum(rate, 12.0)
    mass = jnp.exp(-low)
    total, count = mass, jnp.zeros_like(rate)
    for k in range(1, 41):
        count += uniform > total
        mass = mass * low / k
        total = total + mass
    normal = jax.scipy.special.ndtri(jnp.clip(uniform, 1e-6, 1 - 1e-6))
    large = jnp.maximum(jnp.round(rate + jnp.sqrt(rate) * normal), 0.0)
    return jnp.where(rate < 12, count, large)


def transform(key: Key, x: Float[Array, "U"]) -> Float[Array, "U"]:
    """To the shapes of real data: positive, clipped, counts, rounded, with outliers, any unit."""
    keys = jax.random.split(key, 8)
    x = standardised(x)
    gain = log_uniform(keys[0], 0.1, 1.0)
    clipped = jnp.maximum(x, jnp.quantile(x, jax.random.uniform(keys[1], maxval=0.7)))
    rate = log_uniform(keys[2], 0.05, 300.0) * jnp.exp(jnp.clip(gain * x, -5, 3))
    counts = poisson(keys[3], rate)
    digits = log_uniform(keys[4], 0.02, 0.5)
    shapes = jnp.stack(
        [x, x, x, x + 3, jnp.exp(gain * x), jax.nn.softplus(2 * x), clipped, counts,
         jnp.round(x / digits) * digits]
    )  # fmt: skip
    x = shapes[jax.random.randint(keys[5], (), 0, len(shapes))]
    spike = jax.random.uniform(keys[6], x.shape) < 0.003
    spiky = jax.random.uniform(keys[7]) < 0.15
    size = x.std() * 6 * jax.random.normal(jax.random.fold_in(key, 8), x.shape)
    unit = jnp.exp(4 * jax.random.normal(jax.random.fold_in(key, 9)))
    sign = jnp.where(jax.random.uniform(jax.random.fold_in(key, 10)) < 0.1, -1.0, 1.0)
    return sign * unit * jnp.where(spike & spiky, x + size, x)


def series(key: Key, grid: Float[Array, "7"], day: Int[Array, "U"]) -> Float[Array, "U"]:
    """One made-up series on a given grid."""
    keys = jax.random.split(key, 9)
    length = day.shape[0]
    parts = jnp.stack(
        [
            seasonal_part(keys[0], grid, day),
            spectral_noise(keys[1], length),
            trend(keys[2], length),
            random_walk(keys[3], length),
            level_steps(keys[4], length, log_uniform(keys[5], 0.5 / length, 0.05)),
        ]
    )
    presence = jax.random.uniform(keys[6], (5,)) < jnp.array([0.75, 0.35, 0.3, 0.25, 0.15])
    sizes = presence * jnp.exp(0.7 * jax.random.normal(keys[7], (5,)))
    signal = sizes @ parts
    noise_key, size_key = jax.random.split(keys[8])
    noise = innovations(noise_key, length, signal) * log_uniform(size_key, 0.01, 1.0)
    return signal + noise * jnp.maximum(signal.std(), 0.1)


def synthetic_windows(
    key: Key, batch: int, model: ModelConfig, data: DataConfig, dataset: int
) -> Windows:
    """A batch of made-up windows, distributed over contexts and histories like real ones.

    Args:
      key: decides everything.
      batch: number of windows.
      model: for the lengths of a window.
      data: for the shares of short histories and absent dates.
      dataset: the index that the windows give as their dataset.
    """
    keys = jax.random.split(key, 8)
    length = model.past_length + data.future_length
    grids = jnp.asarray(GRIDS, jnp.float32)
    grid = grids[jax.random.categorical(keys[0], jnp.log(grids[:, 6]), shape=(batch,))]
    start = jax.random.randint(keys[1], (batch, 1), 0, 22_000)
    unit, step, anchor = (grid[:, i : i + 1].astype(jnp.int32) for i in range(3))
    calendar = Calendar(unit, step, start, jnp.zeros_like(start), anchor)
    day, second = wall_clock(calendar, jnp.arange(length)[None, :])
    shape_keys = jax.random.split(keys[2], (batch, 2))
    values = jax.vmap(series)(shape_keys[:, 0], grid, day)
    values = jax.vmap(transform)(shape_keys[:, 1], values)
    minimum = data.min_context or model.context_length
    context = between(jax.random.uniform(keys[3], (batch,)), minimum, model.context_length)
    past = model.max_lag + context
    observed = shown(keys[4], past, length, data)
    dated = jax.random.uniform(keys[5], (batch, 1)) >= data.drop_calendar
    features = calendar_features(jnp.where(dated, day, NEUTRAL_DAY), second)
    return Windows(
        jnp.where(observed, values, 0.0),
        observed,
        features[:, model.max_lag :],
        past,
        jnp.full(batch, dataset, jnp.int32),
    )


def shown(key: Key, past: Int[Array, "B"], length: int, data: DataConfig) -> Any:
    """Which points are observed: short histories hidden, sometimes gaps."""
    keys = jax.random.split(key, 5)
    batch = past.shape[0]
    draws = jax.random.uniform(keys[0], (3, batch, 1))
    short = SHORTEST_HISTORY * jnp.exp(draws[0] * jnp.log(past[:, None] / SHORTEST_HISTORY))
    history = jnp.where(draws[1] < data.short_history, short, past[:, None])
    offset = jnp.arange(length)[None, :] - past[:, None]
    gap = jax.random.uniform(keys[1], (batch, length)) < 0.3 * jax.random.uniform(
        keys[2], (batch, 1)
    )
    return (offset >= -history) & ~(gap & (draws[2] < 0.1))
