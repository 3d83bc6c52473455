"""Lagged values: what a token holds of the past."""

import jax.numpy as jnp
import numpy as np

from lagllama_jax.typing import Array, Float


def lag_features(
    values: Float[Array, "B U"], lags: tuple[int, ...], num_tokens: int
) -> Float[Array, "B T L"]:
    """The values at each lag of the last `num_tokens` points.

    Token t of the last T points holds `values[U - T + t - lag]`; lag 0 is the point itself.
    The history must reach back `max(lags)` points before the first token.
    """
    first = values.shape[-1] - num_tokens
    index = first + np.arange(num_tokens)[:, None] - np.asarray(lags)[None, :]
    if index.min() < 0:
        raise ValueError(f"{values.shape[-1]} points hold no {num_tokens} tokens of lag {lags[-1]}")
    return jnp.take(values, jnp.asarray(index), axis=-1)
