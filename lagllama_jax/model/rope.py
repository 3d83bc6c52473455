"""Rotary position encoding (arXiv 2104.09864), with linear and dynamic (NTK) stretching."""

from typing import NamedTuple

import jax.numpy as jnp

from lagllama_jax.config import ModelConfig
from lagllama_jax.typing import Array, Float, Int

BASE = 10_000.0


def rope_base(config: ModelConfig, length: int | Int[Array, ""]) -> float | Float[Array, ""]:
    """The base of the angles; `dynamic` raises it for sequences over `max_context_length`.

    A pure function of the length, where the reference keeps the longest base that it has seen.
    """
    if config.rope != "dynamic":
        return BASE
    excess = config.rope_factor * length / config.max_context_length - (config.rope_factor - 1)
    stretch = max(excess, 1.0) if isinstance(length, int) else jnp.maximum(excess, 1.0)
    return BASE * stretch ** (config.head_dim / (config.head_dim - 2))


def rope_angles(
    config: ModelConfig, positions: Int[Array, "*t"], length: int | Int[Array, ""]
) -> Float[Array, "*t R"]:
    """Angle of every pair of channels at every position, for a sequence of `length` tokens."""
    half = config.head_dim // 2
    frequencies = rope_base(config, length) ** -(jnp.arange(half) / half)
    stretch = config.rope_factor if config.rope == "linear" else 1.0
    return (positions / stretch)[..., None] * frequencies


def rotate(x: Float[Array, "*b H"], angles: Float[Array, "*a R"]) -> Float[Array, "*b H"]:
    """Rotates the pairs (x[j], x[j + H/2]) by their angles; angles broadcast against `x`."""
    cos, sin = jnp.cos(angles).astype(x.dtype), jnp.sin(angles).astype(x.dtype)
    first, second = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


class Turn(NamedTuple):
    """Cosines and signed sines of rotations, for every channel: a table made once and looked up.

    Computed where they are used, XLA's CPU backend would compute them anew for every element.
    """

    cos: Float[Array, "*t H"]
    sin: Float[Array, "*t H"]

    def __call__(self, x: Float[Array, "*b H"]) -> Float[Array, "*b H"]:
        """`rotate` by these angles, which broadcast against `x`."""
        swapped = jnp.roll(x, x.shape[-1] // 2, axis=-1)
        return x * self.cos.astype(x.dtype) + swapped * self.sin.astype(x.dtype)


def turns(config: ModelConfig, positions: Int[Array, "*t"], length: int) -> Turn:
    """The rotations at some positions of a sequence of `length` tokens; none without RoPE."""
    angles = rope_angles(config, positions, length)
    if config.rope == "none":
        angles = jnp.zeros_like(angles)
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    return Turn(jnp.concatenate([cos, cos], axis=-1), jnp.concatenate([-sin, sin], axis=-1))
