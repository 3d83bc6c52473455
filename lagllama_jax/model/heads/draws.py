"""Uniform random numbers across samples, independent or stratified."""

import math

import jax
import jax.numpy as jnp

from lagllama_jax.typing import Array, Float, Key


def uniforms(key: Key, shape: tuple[int, ...], stratified: bool) -> Float[Array, "..."]:
    """Uniform random numbers in [0, 1), with the samples along the last axis.

    Stratified numbers are a Latin hypercube sample: each of S equal parts of the interval contains
    exactly one of the S samples, in random order.
    """
    # One call with a flat shape, because each call adds a fifth of a second of compilation.
    both = jax.random.uniform(key, (2 * math.prod(shape),)).reshape(2, *shape)
    draws, order = both[0], jnp.argsort(both[1], axis=-1)
    return jnp.minimum((order + draws) / shape[-1], 1 - 2**-24) if stratified else draws
