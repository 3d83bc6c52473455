"""Axis letters and array aliases used in every annotation of the package.

B series (or windows) of a batch   S samples            T time steps or tokens
L lags                             F token features     D model width
N attention heads                  K key-value heads    H width of one head
P prediction length                C context length     M largest lag
Q quantile levels                  V variates
"""

from typing import Any, TypeAlias

from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt

Parameters: TypeAlias = Any
"""A pytree of float32 arrays in nested dictionaries, as Flax's `init` returns under `params`."""

Key: TypeAlias = PRNGKeyArray | UInt[Array, "2"]
"""A JAX random key, typed (`jax.random.key`) or raw (`jax.random.PRNGKey`)."""

__all__ = ["Array", "Bool", "Float", "Int", "Key", "PRNGKeyArray", "Parameters", "UInt"]
