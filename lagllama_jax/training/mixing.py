"""Augmentations of a batch: mixing windows, adding noise and flipping the sign."""

import jax
import jax.numpy as jnp
import numpy as np

from lagllama_jax.model.batch import Batch, rows_of
from lagllama_jax.model.scalers import Scale, fit_scale
from lagllama_jax.typing import Array, Bool, Float, Key

HIGHEST_LEVEL = 1e8


def mixup(key: Key, batch: Batch, share: float) -> Batch:
    """Replaces a share of the windows by a weighted mean with another window of the batch.

    Both windows are standardised before. The result has the calendar, location and scale of the
    first one, as in TSMixup (arXiv 2403.07815).
    """
    if share == 0:
        return batch
    groups = batch.values.shape[0], 1, 1
    chosen = jax.random.uniform(jax.random.fold_in(key, 0), groups) < share
    weight = jax.random.uniform(jax.random.fold_in(key, 1), groups, minval=0.1, maxval=0.9)
    own, before = own_scale(batch), before_start(batch)
    z = own.standardise(batch.values)
    mixed = weight * z + (1 - weight) * jnp.roll(z, 1, axis=0)
    observed = batch.observed & jnp.roll(batch.observed, 1, axis=0)
    usable = chosen & (observed & before).any(axis=-1, keepdims=True)
    values = jnp.where(usable, own.loc + own.scale * mixed, batch.values)
    observed = jnp.where(usable, observed, batch.observed)
    return batch._replace(values=jnp.where(observed, values, 0.0), observed=observed)


def before_start(batch: Batch) -> Bool[Array, "G 1 U"]:
    """Which points lie before the forecast's start."""
    return jnp.arange(batch.values.shape[-1]) < batch.start[:, None, None]


def own_scale(batch: Batch) -> Scale:
    """Loc and scale of each variate, `[G, V, 1]`, computed before the forecast's start."""
    rows = rows_of(batch)
    scale = fit_scale(rows.values, rows.before_start, "robust", True)
    return Scale(*(part.reshape(*batch.values.shape[:2], 1) for part in scale))


def roughen(key: Key, batch: Batch, share: float) -> Batch:
    """Adds AR(1) noise of random size and persistence to a share of the windows.

    The standard deviation of the noise is log-uniform between 2 % and 100 % of the window's scale.
    Hourly means, and windows that are interpolated from them, are smoother than measurements that
    are taken every few minutes.
    """
    if share == 0:
        return batch
    groups = batch.values.shape[0], 1, 1
    keys = jax.random.split(key, 4)
    chosen = jax.random.uniform(keys[0], groups) < share
    size = jnp.exp(jax.random.uniform(keys[1], groups, minval=np.log(0.02), maxval=0.0))
    persistence = jax.random.uniform(keys[2], groups, maxval=0.95)
    shocks = jax.random.normal(keys[3], batch.values.shape) * jnp.sqrt(1 - persistence**2)
    noisy = batch.values + size * own_scale(batch).scale * autoregression(shocks, persistence)
    return batch._replace(values=jnp.where(chosen & batch.observed, noisy, batch.values))


def autoregression(
    shocks: Float[Array, "*b U"], persistence: Float[Array, "*b 1"]
) -> Float[Array, "*b U"]:
    """The process `x[t] = persistence x[t - 1] + shocks[t]`, which starts with `x[-1] = 0`."""

    def join(one: tuple[Array, Array], two: tuple[Array, Array]) -> tuple[Array, Array]:
        return one[0] * two[0], two[0] * one[1] + two[1]

    factors = jnp.broadcast_to(persistence, shocks.shape)
    return jax.lax.associative_scan(join, (factors, shocks), axis=-1)[1]


def shift(key: Key, batch: Batch, share: float) -> Batch:
    """Adds a random number of scales to the level of a share of the variates.

    The number is log-uniform from 1 to `HIGHEST_LEVEL`, with a random sign, so that forecasts
    learn not to depend on the level.
    """
    if share == 0:
        return batch
    chosen, size, sign = jax.random.uniform(key, (3, *batch.values.shape[:2]))
    number = jnp.where(sign < 0.5, -1.0, 1.0) * HIGHEST_LEVEL**size
    added = jnp.where(chosen < share, number, 0.0) * own_scale(batch).scale[..., 0]
    return batch._replace(level=batch.level + added)


def flip(key: Key, batch: Batch, share: float) -> Batch:
    """Multiplies a share of the variates by -1."""
    chosen = jax.random.uniform(key, batch.values.shape[:2]) < share
    sign = jnp.where(chosen, -1.0, 1.0)
    return batch._replace(values=batch.values * sign[..., None], level=batch.level * sign)
