"""Rotary position encoding (arXiv 2104.09864), with linear and dynamic (NTK) scaling."""

from typing import NamedTuple

import jax.numpy as jnp

from lagllama_jax.config import ModelConfig
from lagllama_jax.typing import Array, Float, Int

BASE = 10_000.0


def rope_base(config: ModelConfig, length: int | Int[Array, ""]) -> float | Float[Array, ""]:
    """The base of the rotation angles for a sequence of `length` tokens.

    With `rope="dynamic"` it grows for sequences longer than `max_context_length`. It depends on the
    length only, whereas the reference implementation keeps the largest base so far.
    """
    if config.rope != "dynamic":
        return BASE
    excess = config.rope_factor * length / config.max_context_length - (config.rope_factor - 1)
    stretch = max(excess, 1.0) if isinstance(length, int) else jnp.maximum(excess, 1.0)
    return BASE * stretch ** (config.head_dim / (config.head_dim - 2))


def rope_angles(
    config: ModelConfig, positions: Int[Array, "*t"], length: int | Int[Array, ""]
) -> Float[Array, "*t R"]:
    """Angle in radians of each pair of channels at each position of a sequence.

    Args:
      config: The architecture.
      positions: Positions in the sequence, from 0.
      length: Number of tokens in the sequence, on which `rope="dynamic"` depends.
    """
    half = config.head_dim // 2
    frequencies = rope_base(config, length) ** -(jnp.arange(half) / half)
    stretch = config.rope_factor if config.rope == "linear" else 1.0
    return (positions / stretch)[..., None] * frequencies


def rotate(x: Float[Array, "*b H"], angles: Float[Array, "*a R"]) -> Float[Array, "*b H"]:
    """Rotates the pairs (x[j], x[j + H/2]) by their angles, which broadcast against `x`."""
    cos, sin = jnp.cos(angles).astype(x.dtype), jnp.sin(angles).astype(x.dtype)
    first, second = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


class Turn(NamedTuple):
    """A table of rotations, computed once before decoding.

    If they were computed where they are used, XLA's CPU backend would recompute them for each
    element.

    Attributes:
      cos: Cosine of the angle of each channel.
      sin: Sine of the angle of each channel, negated in the first half of the channels.
    """

    cos: Float[Array, "*t H"]
    sin: Float[Array, "*t H"]

    def __call__(self, x: Float[Array, "*b H"]) -> Float[Array, "*b H"]:
        """Equals `rotate` by these angles, which broadcast against `x`."""
        swapped = jnp.roll(x, x.shape[-1] // 2, axis=-1)
        return x * self.cos.astype(x.dtype) + swapped * self.sin.astype(x.dtype)


def turns(config: ModelConfig, positions: Int[Array, "*t"], length: int) -> Turn:
    """The rotations at some positions of a sequence of `length` tokens.

    With `rope="none"` they change nothing.
    """
    angles = rope_angles(config, positions, length)
    if config.rope == "none":
        angles = jnp.zeros_like(angles)
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    return Turn(jnp.concatenate([cos, cos], axis=-1), jnp.concatenate([-sin, sin], axis=-1))
