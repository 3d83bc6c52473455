"""Synthetic groups: targets that depend on known covariates, or on what several series share.

Real series with known covariates are few. In half of the groups, a synthetic series is the first
target and known covariates are added to it by random responses. In the others, the variates share
a factor, with leads and lags, or a random walk (cointegration). Everything runs under `jit`.
"""

import jax
import jax.numpy as jnp

from lagllama_jax.config import DataConfig, ModelConfig
from lagllama_jax.model.batch import KNOWN_COVARIATE, PADDING, PAST_COVARIATE, TARGET, Batch
from lagllama_jax.training.dice import Dice
from lagllama_jax.training.sources.windows import window_length
from lagllama_jax.training.synthetic import (
    Timeline,
    clock_of,
    draw_start,
    draw_timeline,
    level_steps,
    random_walk,
    series,
    shown,
    standardised,
)
from lagllama_jax.typing import Array, Float, Int, Key

DRIVEN = 0.6
"""Share of groups whose target depends on known covariates."""
USELESS, STOPPED, HIDDEN = 0.25, 0.1, 0.1
"""Shares of covariates without an effect, whose effect ends, and that are hidden."""
LONGEST_DELAY, RESPONSES = 24, 7


def synthetic_groups(key: Key, count: int, model: ModelConfig, data: DataConfig) -> Batch:
    """A batch of synthetic groups, with the windows of `synthetic_windows`.

    Args:
      key: Random key.
      count: Number of groups.
      model: The architecture, for the lengths of a window.
      data: The number of variates, and the options of `synthetic_windows`.
    """
    length, variates = window_length(model, data), data.group_size

    def group(key: Key) -> Batch:
        own, *keys = jax.random.split(key, variates + 3)
        dice = Dice(own, length)
        line = draw_timeline(dice)
        start = draw_start(dice, model, data)
        clock = clock_of(dice, line, model, data)
        bases = jax.vmap(lambda k: standardised(series(Dice(k, length), line.grid, line.day)))(
            jnp.stack(keys[:variates])
        )
        sources = jax.vmap(lambda k, base: source(Dice(k, length), base, line, start))(
            jax.random.split(keys[variates], variates - 1), bases[1:]
        )
        driven = driven_group(Dice(keys[variates + 1], length), bases[0], sources, start)
        shared = shared_group(dice, bases)
        first = dice.chance(DRIVEN)
        values, role = (jnp.where(first, a, b) for a, b in zip(driven, shared, strict=True))
        unit = jnp.exp(2 * dice.normal((variates, 1)))
        observed = shown(dice, start, data) & (role != PADDING)[:, None]
        values = jnp.where(observed, unit * values, 0.0)
        zero = jnp.zeros(variates)
        return Batch(values, observed, clock, role, start, zero, zero + 1, zero.astype(jnp.uint32))

    return jax.vmap(group)(jax.random.split(key, count))


def source(
    dice: Dice, base: Float[Array, "U"], line: Timeline, start: Int[Array, ""]
) -> Float[Array, "U"]:
    """A covariate: a series such as the weather, events, promotions, holidays, or a price."""
    event = dice.uniforms(1)[0] < dice.log_uniform(2e-3, 0.1)
    lasting = jnp.convolve(event * 1.0, jnp.ones(8), mode="full")[: dice.length] > 0
    coming = jnp.arange(dice.length) >= start
    event = jnp.where(dice.chance(0.3), lasting, event) & (coming | ~dice.chance(0.15))
    day_of_year = (line.day % 365)[None] == dice.index(365, (6, 1))
    holiday = (day_of_year | ((line.day % 365 % 61)[None] == dice.index(61, (1, 1)))).any(0)
    price = jnp.round(2 * level_steps(dice, dice.log_uniform(2e-3, 0.05)))
    kind = dice.index(10)
    return jnp.select([kind < 2, kind == 2, kind == 3], [event * 1.0, holiday * 1.0, price], base)


def response(
    dice: Dice, x: Float[Array, "U"], other: Float[Array, "U"], start: Int[Array, ""]
) -> Float[Array, "U"]:
    """The response of a target to a covariate, which may depend on another one."""
    knot, steep = dice.uniform(-1.0, 1.0), dice.log_uniform(0.5, 3.0)
    recent = jnp.convolve(x, jnp.ones(LONGEST_DELAY) / LONGEST_DELAY, mode="full")[: dice.length]
    shapes = [jnp.maximum(x - knot, 0), jnp.tanh(steep * (x - knot)), jnp.abs(x - knot)]
    shapes += [x * (1 + other), delayed(x, 1 + dice.index(LONGEST_DELAY)), recent]
    kind = dice.index(RESPONSES)
    shape = jnp.select([kind == i for i in range(len(shapes))], shapes, x)
    varied = jnp.where(shape.std() > 1e-4, (shape - shape.mean()) / (shape.std() + 1e-3), 0.0)
    end = (dice.uniform(0.3, 1.0) * start).astype(jnp.int32)
    ended = dice.chance(STOPPED) & (jnp.arange(dice.length) >= end)
    size = dice.log_uniform(0.1, 2.0) * jnp.where(dice.chance(0.5), -1.0, 1.0)
    return jnp.where(ended | dice.chance(USELESS), 0.0, size * varied)


def delayed(x: Float[Array, "U"], steps: Int[Array, ""]) -> Float[Array, "U"]:
    """A series some steps later. Its first value fills the beginning."""
    return x[jnp.maximum(jnp.arange(x.shape[0]) - steps, 0)]


def driven_group(
    dice: Dice, base: Float[Array, "U"], sources: Float[Array, "W U"], start: Int[Array, ""]
) -> tuple[Float[Array, "V U"], Int[Array, "V"]]:
    """A target that depends on covariates: the variates, and their roles."""
    total = base
    for number, covariate in enumerate(sources):
        other = sources[(number + 1) % len(sources)]
        total += response(dice, covariate, jnp.clip(other, -3, 3), start)
    grown = jnp.exp(jnp.clip(0.4 * standardised(total), -3, 3))
    target = jnp.where(dice.chance(0.2), grown, total)
    count = (len(sources),)
    role = jnp.where(dice.chance(0.85, count), KNOWN_COVARIATE, PAST_COVARIATE)
    role = jnp.where(dice.chance(HIDDEN, count), PADDING, role)
    return jnp.concatenate([target[None], sources]), _with_target(role)


def shared_group(
    dice: Dice, bases: Float[Array, "V U"]
) -> tuple[Float[Array, "V U"], Int[Array, "V"]]:
    """Variates that share a factor: the variates, and their roles."""
    variates = len(bases)
    walk = dice.chance(0.3)
    factor = jnp.where(walk, random_walk(dice), jnp.roll(bases[-1], dice.length // 2))
    lags = dice.index(8, (variates,)) * dice.chance(0.5)
    share = dice.uniform(0.1, 0.95, (variates, 1))
    signs = jnp.where(dice.chance(0.7, (variates, 1)), 1.0, -1.0)
    moved = jax.vmap(delayed, (None, 0))(factor, lags)
    values = signs * jnp.sqrt(share) * moved + jnp.sqrt(1 - share) * bases
    count = (variates - 1,)
    role = jnp.asarray([KNOWN_COVARIATE, PAST_COVARIATE, TARGET])[dice.index(3, count)]
    role = jnp.where(dice.chance(HIDDEN, count), PADDING, role)
    return values, _with_target(role)


def _with_target(role: Int[Array, "W"]) -> Int[Array, "V"]:
    return jnp.concatenate([jnp.full(1, TARGET, jnp.int32), role.astype(jnp.int32)])
