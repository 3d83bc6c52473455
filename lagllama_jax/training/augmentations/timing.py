"""Augmentations of time: points of a series read at other places.

Each gives, for every point, the place in the series that it is read from; values between two
points lie on the line through them.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from lagllama_jax.training.augmentations.magnitude import KNOTS, spline_basis
from lagllama_jax.typing import Array, Bool, Float, Int, Key

MOST_SEGMENTS = 4
Places = Float[Array, "B T"]


def read_at(
    values: Float[Array, "B T"], observed: Bool[Array, "B T"], places: Places
) -> tuple[Float[Array, "B T"], Bool[Array, "B T"]]:
    """Values at places in [0, T - 1], and whether the points on both sides were observed."""
    low = jnp.floor(places).astype(jnp.int32)
    high = jnp.minimum(low + 1, values.shape[1] - 1)
    share = places - low
    take = lambda x, index: jnp.take_along_axis(x, index, axis=1)  # noqa: E731
    read = take(values, low) * (1 - share) + take(values, high) * share
    return read, take(observed, low) & (take(observed, high) | (share == 0))


def permutation(key: Key, batch: int, length: int) -> Places:
    """One to four segments of nearly equal length, shuffled."""
    count_key, order_key = jax.random.split(key)
    bounds = jnp.asarray(_segments(length))[jax.random.randint(count_key, (batch,), 0, 4)]
    size = jnp.diff(bounds, axis=1)
    draws = jnp.where(size > 0, jax.random.uniform(order_key, size.shape), 2.0)
    order = jnp.argsort(draws, axis=1)
    size, start = (jnp.take_along_axis(x, order, axis=1) for x in (size, bounds[:, :-1]))
    end = jnp.cumsum(size, axis=1)
    point = jnp.arange(length)
    segment = (point[None, :, None] >= end[:, None, :]).sum(-1)
    shift = jnp.take_along_axis(start - (end - size), segment, axis=1)
    return (point + shift).astype(jnp.float32)


def _segments(length: int) -> Int[np.ndarray, "N K"]:
    """Bounds of one to four segments of nearly equal length, the rest of them empty."""
    rows = []
    for count in range(1, MOST_SEGMENTS + 1):
        sizes = [len(part) for part in np.array_split(np.arange(length), count)]
        rows.append(np.cumsum([0, *sizes, *[0] * (MOST_SEGMENTS - count)]))
    return np.array(rows, np.int32)


def time_warp(key: Key, batch: int, length: int, deviation: float = 0.2) -> Places:
    """Time runs faster and slower, along a cubic spline, and ends where it did."""
    knots = np.linspace(0, length - 1, KNOTS, dtype=np.float32)
    moved = knots * (1 + deviation * jax.random.normal(key, (batch, KNOTS)))
    time = moved @ spline_basis(length)
    return jnp.clip(time * (length - 1) / time[:, -1:], 0, length - 1)


def window_slice(key: Key, batch: int, length: int, share: float = 0.9) -> Places:
    """A stretch of each series, spread over the whole."""
    kept = math.ceil(share * length)
    start = jax.random.randint(key, (batch, 1), 0, length - kept + 1)
    return start + jnp.linspace(0, kept - 1, length)


def window_warp(key: Key, batch: int, length: int, share: float = 0.1) -> Places:
    """A stretch at half or double speed; then all is spread over the old length."""
    start_key, speed_key = jax.random.split(key)
    width = math.ceil(share * length)
    start = jax.random.randint(start_key, (batch, 1), 1, max(length - width - 1, 2))
    slow = jax.random.bernoulli(speed_key, 0.5, (batch, 1))
    warped = jnp.where(slow, 2 * width, max(width // 2, 1))
    total = length - width + warped
    point = jnp.linspace(0.0, 1.0, length) * (total - 1)
    inside = start + (point - start) * (width - 1) / jnp.maximum(warped - 1, 1)
    places = jnp.where(point <= start + warped - 1, inside, point - warped + width)
    return jnp.clip(jnp.where(point < start, point, places), 0, length - 1)
