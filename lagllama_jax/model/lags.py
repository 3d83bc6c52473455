"""Lagged values: the past values that a token contains."""

import jax.numpy as jnp
import numpy as np

from lagllama_jax.typing import Array, Float


def lag_features(
    values: Float[Array, "B U"], lags: tuple[int, ...], num_tokens: int
) -> Float[Array, "B T L"]:
    """The lagged values of the last T = `num_tokens` points, in the units of `values`.

    Token t contains `values[U - T + t - lag]` for each lag. Lag 0 is the point itself.

    Args:
      values: The series, which must reach back `max(lags)` points before the first token.
      lags: The lags in time steps, ascending.
      num_tokens: Number of tokens.

    Raises:
      ValueError: If the series does not reach back far enough.
    """
    first = values.shape[-1] - num_tokens
    index = first + np.arange(num_tokens)[:, None] - np.asarray(lags)[None, :]
    if index.min() < 0:
        raise ValueError(f"{values.shape[-1]} points hold no {num_tokens} tokens of lag {lags[-1]}")
    return jnp.take(values, jnp.asarray(index), axis=-1)
