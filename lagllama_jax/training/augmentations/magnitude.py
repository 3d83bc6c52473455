"""Augmentations of values in their places: noise, factors, signs, a wavering magnitude."""

import functools

import jax
import numpy as np

from lagllama_jax.typing import Array, Float, Key

KNOTS = 6


def jitter(key: Key, values: Float[Array, "B T"], deviation: float = 0.03) -> Float[Array, "B T"]:
    """Adds normal noise, in the units of the series as in the reference."""
    return values + deviation * jax.random.normal(key, values.shape)


def scaling(key: Key, values: Float[Array, "B T"], deviation: float = 0.1) -> Float[Array, "B T"]:
    """Multiplies each series by a factor around 1."""
    return values * (1 + deviation * jax.random.normal(key, (values.shape[0], 1)))


def rotation(key: Key, values: Float[Array, "B T"]) -> Float[Array, "B T"]:
    """Turns each series upside down or not, evenly."""
    return values * jax.random.rademacher(key, (values.shape[0], 1), values.dtype)


def magnitude_warp(
    key: Key, values: Float[Array, "B T"], deviation: float = 0.2
) -> Float[Array, "B T"]:
    """Multiplies by a smooth curve around 1: a cubic spline through random knots."""
    batch, length = values.shape
    knots = 1 + deviation * jax.random.normal(key, (batch, KNOTS))
    return values * (knots @ spline_basis(length))


@functools.cache
def spline_basis(length: int) -> Float[np.ndarray, "K T"]:
    """What each of evenly spaced knots adds to the cubic spline through them, point by point."""
    from scipy.interpolate import CubicSpline

    spline = CubicSpline(np.linspace(0, length - 1, KNOTS), np.eye(KNOTS))
    return spline(np.arange(length)).T.astype(np.float32)
