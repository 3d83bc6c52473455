"""Mixing windows of a batch, and turning them upside down."""

import jax
import jax.numpy as jnp

from lagllama_jax.data.windows import Windows
from lagllama_jax.model.scalers import fit_scale
from lagllama_jax.typing import Key


def mixup(key: Key, windows: Windows, share: float) -> Windows:
    """Replaces a share of the windows by a mean of itself and another, each standardised first.

    The mixture has the first one's calendar, loc and scale, as in TSMixup (arXiv 2403.07815).
    """
    if share == 0:
        return windows
    batch, length = windows.values.shape
    chosen = jax.random.uniform(jax.random.fold_in(key, 0), (batch, 1)) < share
    weight = jax.random.uniform(jax.random.fold_in(key, 1), (batch, 1), minval=0.1, maxval=0.9)
    past = jnp.arange(length)[None, :] < windows.past[:, None]
    own = fit_scale(windows.values, windows.observed & past, "robust", True)
    z = own.standardise(windows.values)
    mixed = weight * z + (1 - weight) * jnp.roll(z, 1, axis=0)
    observed = windows.observed & jnp.roll(windows.observed, 1, axis=0)
    usable = chosen & (observed & past).any(axis=1, keepdims=True)
    values = jnp.where(usable, own.loc + own.scale * mixed, windows.values)
    observed = jnp.where(usable, observed, windows.observed)
    return windows._replace(values=jnp.where(observed, values, 0.0), observed=observed)


def flip(key: Key, windows: Windows, share: float) -> Windows:
    """Turns a share of the windows upside down."""
    chosen = jax.random.uniform(key, (windows.values.shape[0], 1)) < share
    return windows._replace(values=jnp.where(chosen, -windows.values, windows.values))
