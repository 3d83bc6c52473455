"""Uniform draws across samples, independent or stratified."""

import math

import jax
import jax.numpy as jnp

from lagllama_jax.typing import Array, Float, Key


def uniforms(key: Key, shape: tuple[int, ...], stratified: bool) -> Float[Array, "..."]:
    """Uniform numbers in [0, 1), the last axis being that of the samples.

    Stratified: each of the S equal parts of the interval holds exactly one of the S samples, in
    random order, so that their empirical distribution is even (Latin hypercube sampling).
    """
    # One call on a flat shape: each further one costs XLA a fifth of a second of compilation.
    both = jax.random.uniform(key, (2 * math.prod(shape),)).reshape(2, *shape)
    draws, order = both[0], jnp.argsort(both[1], axis=-1)
    return jnp.minimum((order + draws) / shape[-1], 1 - 2**-24) if stratified else draws
