"""Uniform random numbers across samples, independent or stratified."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lagllama_jax.typing import Array, Float, Int, Key


class SamplePart(NamedTuple):
    """Some consecutive samples of a row, which are drawn apart from the others.

    Attributes:
      first: Number of the first of them.
      total: Number of all samples of the row.
    """

    first: Int[Array, ""]
    total: int

    def of(self, samples: Array, count: int) -> Array:
        """The `count` samples of this part, from those of the whole row along the last axis."""
        return jax.lax.dynamic_slice_in_dim(samples, self.first, count, -1)


def uniforms(
    key: Key, shape: tuple[int, ...], stratified: bool, part: SamplePart | None = None
) -> Float[Array, "..."]:
    """Uniform random numbers in [0, 1), with the samples along the last axis.

    Stratified numbers are a Latin hypercube sample: each of S equal parts of the interval contains
    exactly one of the S samples, in random order.

    Args:
      key: Random key.
      shape: Shape of the result.
      stratified: Whether the numbers are stratified.
      part: Which samples of the row the last axis holds. `None`: all of them.
    """
    count = shape[-1]
    if part is not None:
        return part.of(uniforms(key, (*shape[:-1], part.total), stratified), count)
    # One call with a flat shape, because each call adds a fifth of a second of compilation.
    both = jax.random.uniform(key, (2 * math.prod(shape),)).reshape(2, *shape)
    draws, order = both[0], jnp.argsort(both[1], axis=-1)
    return jnp.minimum((order + draws) / shape[-1], 1 - 2**-24) if stratified else draws
