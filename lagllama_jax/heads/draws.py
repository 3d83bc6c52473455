"""Uniform draws across samples, independent or stratified."""

import jax
import jax.numpy as jnp

from lagllama_jax.typing import Array, Float, Key


def uniforms(key: Key, shape: tuple[int, ...], stratified: bool) -> Float[Array, "..."]:
    """Uniform numbers in [0, 1), the last axis being that of the samples.

    Stratified: each of the S equal parts of the interval holds exactly one of the S samples, in
    random order, so that their empirical distribution is even (Latin hypercube sampling).
    """
    draw_key, order_key = jax.random.split(key)
    draws = jax.random.uniform(draw_key, shape)
    if not stratified:
        return draws
    order = jnp.argsort(jax.random.uniform(order_key, shape), axis=-1)
    return jnp.minimum((order + draws) / shape[-1], 1 - 2**-24)
