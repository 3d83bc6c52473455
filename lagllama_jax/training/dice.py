"""The random numbers of one synthetic series, which are drawn together.

Each call of `jax.random` adds to the compile time, and a synthetic series needs more than a hundred
random numbers. So all numbers of a distribution are drawn by one call and then handed out.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lagllama_jax.typing import Array, Bool, Float, Int, Key

Shape = tuple[int, ...]

NUM_UNIFORM, NUM_NORMAL = 80, 96
NUM_UNIFORMS, NUM_NORMALS = 3, 12
SMALL_RATE = 12.0
MOST_COUNTS = 40


class Dice:
    """Hands out independent random numbers. Each number is used once.

    Attributes:
      length: Number of points in a row of random numbers.
    """

    def __init__(self, key: Key, length: int):
        """Draws all numbers that a series needs."""
        self.length = length
        uniform_key, normal_key = jax.random.split(key)
        uniform = jax.random.uniform(uniform_key, (NUM_UNIFORM + NUM_UNIFORMS * length,))
        normal = jax.random.normal(normal_key, (NUM_NORMAL + NUM_NORMALS * length,))
        self._uniform, self._normal = uniform[:NUM_UNIFORM], normal[:NUM_NORMAL]
        self._uniforms = uniform[NUM_UNIFORM:].reshape(NUM_UNIFORMS, length)
        self._normals = normal[NUM_NORMAL:].reshape(NUM_NORMALS, length)

    def uniform(self, low: Any = 0.0, high: Any = 1.0, shape: Shape = ()) -> Float[Array, "*s"]:
        """Uniform random numbers."""
        count = math.prod(shape)
        drawn, self._uniform = self._uniform[:count], self._uniform[count:]
        return low + (high - low) * drawn.reshape(shape)

    def log_uniform(self, low: float, high: float, shape: Shape = ()) -> Float[Array, "*s"]:
        """Random numbers whose logarithm is uniform between those of `low` and `high`."""
        return jnp.exp(self.uniform(np.log(low), np.log(high), shape))

    def normal(self, shape: Shape = ()) -> Float[Array, "*s"]:
        """Standard normal random numbers."""
        count = math.prod(shape)
        drawn, self._normal = self._normal[:count], self._normal[count:]
        return drawn.reshape(shape)

    def chance(self, probability: Any, shape: Shape = ()) -> Bool[Array, "*s"]:
        """Random booleans that are true with a given probability."""
        return self.uniform(shape=shape) < probability

    def index(self, end: int, shape: Shape = ()) -> Int[Array, "*s"]:
        """Uniform random whole numbers from 0 to `end - 1`."""
        return (self.uniform(shape=shape) * end).astype(jnp.int32)

    def uniforms(self, count: int) -> Float[Array, "n U"]:
        """Rows of uniform random numbers in [0, 1)."""
        drawn, self._uniforms = self._uniforms[:count], self._uniforms[count:]
        return drawn.reshape(count, self.length)

    def normals(self, count: int) -> Float[Array, "n U"]:
        """Rows of standard normal random numbers."""
        drawn, self._normals = self._normals[:count], self._normals[count:]
        return drawn.reshape(count, self.length)


def poisson_quantile(normal: Float[Array, "U"], rate: Float[Array, "U"]) -> Float[Array, "U"]:
    """Poisson counts, computed from standard normal numbers by the quantile function.

    This is exact for rates up to `SMALL_RATE`. Above, it is the rounded Cornish-Fisher expansion.
    It compiles and runs much faster than `jax.random.poisson`.
    """
    level = jax.scipy.special.ndtr(normal)
    low_rate = jnp.minimum(rate, SMALL_RATE)

    def add(count: Array, total: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        mass, cumulated, found = total
        found = found + (level > cumulated)
        mass = mass * low_rate / (count + 1)
        return mass, cumulated + mass, found

    mass = jnp.exp(-low_rate)
    small = jax.lax.fori_loop(0, MOST_COUNTS, add, (mass, mass, jnp.zeros_like(mass)))[2]
    root = jnp.sqrt(rate)
    expansion = rate + root * normal + (normal**2 - 1) / 6 - normal * (normal**2 + 2) / (72 * root)
    return jnp.where(rate <= SMALL_RATE, small, jnp.maximum(jnp.round(expansion), 0))
