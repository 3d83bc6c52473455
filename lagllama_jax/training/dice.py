"""Random numbers of one series, drawn together.

Under `jit` every call of `jax.random` is a program of its own to compile, and a made-up series
asks for more than a hundred numbers: so one call draws all of a kind, and they are handed out.
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
    """Hands out independent random numbers, each once.

    Attributes:
      length: points of a row of numbers.
    """

    def __init__(self, key: Key, length: int):
        """Draws as many numbers as a series asks for."""
        self.length = length
        uniform_key, normal_key = jax.random.split(key)
        uniform = jax.random.uniform(uniform_key, (NUM_UNIFORM + NUM_UNIFORMS * length,))
        normal = jax.random.normal(normal_key, (NUM_NORMAL + NUM_NORMALS * length,))
        self._uniform, self._normal = uniform[:NUM_UNIFORM], normal[:NUM_NORMAL]
        self._uniforms = uniform[NUM_UNIFORM:].reshape(NUM_UNIFORMS, length)
        self._normals = normal[NUM_NORMAL:].reshape(NUM_NORMALS, length)

    def uniform(self, low: Any = 0.0, high: Any = 1.0, shape: Shape = ()) -> Float[Array, "*s"]:
        """Even draws."""
        count = math.prod(shape)
        drawn, self._uniform = self._uniform[:count], self._uniform[count:]
        return low + (high - low) * drawn.reshape(shape)

    def log_uniform(self, low: float, high: float, shape: Shape = ()) -> Float[Array, "*s"]:
        """Draws whose logarithm is even between those of `low` and `high`."""
        return jnp.exp(self.uniform(np.log(low), np.log(high), shape))

    def normal(self, shape: Shape = ()) -> Float[Array, "*s"]:
        """Standard normal draws."""
        count = math.prod(shape)
        drawn, self._normal = self._normal[:count], self._normal[count:]
        return drawn.reshape(shape)

    def chance(self, probability: Any, shape: Shape = ()) -> Bool[Array, "*s"]:
        """True with a probability."""
        return self.uniform(shape=shape) < probability

    def index(self, end: int, shape: Shape = ()) -> Int[Array, "*s"]:
        """Whole numbers below `end`, evenly."""
        return (self.uniform(shape=shape) * end).astype(jnp.int32)

    def uniforms(self, count: int) -> Float[Array, "n U"]:
        """Rows of even draws."""
        drawn, self._uniforms = self._uniforms[:count], self._uniforms[count:]
        return drawn.reshape(count, self.length)

    def normals(self, count: int) -> Float[Array, "n U"]:
        """Rows of standard normal draws."""
        drawn, self._normals = self._normals[:count], self._normals[count:]
        return drawn.reshape(count, self.length)


def poisson_quantile(normal: Float[Array, "U"], rate: Float[Array, "U"]) -> Float[Array, "U"]:
    """Poisson counts from standard normal draws, by the quantile function.

    Exact for rates up to `SMALL_RATE`; above, the rounded Cornish-Fisher expansion. Much cheaper
    than `jax.random.poisson`, to compile and to run.
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
