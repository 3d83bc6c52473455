"""Mixing windows of a batch, turning them upside down, and roughening them."""

import jax
import jax.numpy as jnp
import numpy as np

from lagllama_jax.model.scalers import Scale, fit_scale
from lagllama_jax.training.sources.windows import Windows
from lagllama_jax.typing import Array, Bool, Float, Key


def mixup(key: Key, windows: Windows, share: float) -> Windows:
    """Replaces a share of the windows by a mean of itself and another, each standardised first.

    The mixture has the first one's calendar, loc and scale, as in TSMixup (arXiv 2403.07815).
    """
    if share == 0:
        return windows
    batch, length = windows.values.shape
    chosen = jax.random.uniform(jax.random.fold_in(key, 0), (batch, 1)) < share
    weight = jax.random.uniform(jax.random.fold_in(key, 1), (batch, 1), minval=0.1, maxval=0.9)
    past, own = before_forecast(windows), own_scale(windows)
    z = own.standardise(windows.values)
    mixed = weight * z + (1 - weight) * jnp.roll(z, 1, axis=0)
    observed = windows.observed & jnp.roll(windows.observed, 1, axis=0)
    usable = chosen & (observed & past).any(axis=1, keepdims=True)
    values = jnp.where(usable, own.loc + own.scale * mixed, windows.values)
    observed = jnp.where(usable, observed, windows.observed)
    return windows._replace(values=jnp.where(observed, values, 0.0), observed=observed)


def before_forecast(windows: Windows) -> Bool[Array, "B U"]:
    """Which points lie before the forecast's start."""
    return jnp.arange(windows.values.shape[1])[None, :] < windows.past[:, None]


def own_scale(windows: Windows) -> Scale:
    """Loc and scale of each window, fit before the forecast's start."""
    return fit_scale(windows.values, windows.observed & before_forecast(windows), "robust", True)


def roughen(key: Key, windows: Windows, share: float) -> Windows:
    """Adds AR(1) noise to a share of the windows, of a random size and persistence.

    Its deviation is 2 to 100 % of the window's scale, log-uniformly. Means over hours, and what is
    interpolated between them, are smoother than what is measured every few minutes.
    """
    if share == 0:
        return windows
    batch, length = windows.values.shape
    keys = jax.random.split(key, 4)
    chosen = jax.random.uniform(keys[0], (batch, 1)) < share
    size = jnp.exp(jax.random.uniform(keys[1], (batch, 1), minval=np.log(0.02), maxval=0.0))
    persistence = jax.random.uniform(keys[2], (batch, 1), maxval=0.95)
    shocks = jax.random.normal(keys[3], (batch, length)) * jnp.sqrt(1 - persistence**2)
    noise = autoregression(shocks, persistence)
    noisy = windows.values + size * own_scale(windows).scale * noise
    return windows._replace(values=jnp.where(chosen & windows.observed, noisy, windows.values))


def autoregression(
    shocks: Float[Array, "B U"], persistence: Float[Array, "B 1"]
) -> Float[Array, "B U"]:
    """`x[t] = persistence x[t - 1] + shocks[t]`, from nothing."""

    def join(one: tuple[Array, Array], two: tuple[Array, Array]) -> tuple[Array, Array]:
        return one[0] * two[0], two[0] * one[1] + two[1]

    factors = jnp.broadcast_to(persistence, shocks.shape)
    return jax.lax.associative_scan(join, (factors, shocks), axis=1)[1]


def flip(key: Key, windows: Windows, share: float) -> Windows:
    """Turns a share of the windows upside down."""
    chosen = jax.random.uniform(key, (windows.values.shape[0], 1)) < share
    return windows._replace(values=jnp.where(chosen, -windows.values, windows.values))
