"""Attention as pure functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.model.attention import attend, attend_causal, causal_mask


def projections(length, heads, kv_heads, seed=0):
    keys = jax.random.split(jax.random.key(seed), 3)
    sizes = (heads, kv_heads, kv_heads)
    return [
        jax.random.normal(key, (2, length, size, 8)) for key, size in zip(keys, sizes, strict=True)
    ]


@settings(max_examples=8)
@given(
    st.sampled_from([1, 32, 33, 100]),
    st.sampled_from([(4, 4), (4, 2), (3, 1)]),
    st.sampled_from([None, 1, 20, 64]),
)
def test_blocks_of_queries_give_what_the_full_mask_gives(length, heads, window):
    query, key, value = projections(length, *heads)
    full = attend(query, key, value, causal_mask(length, window))
    assert np.allclose(attend_causal(query, key, value, window), full, atol=2e-6)


def test_shared_key_heads_equal_repeated_ones():
    query, key, value = projections(20, 6, 2)
    repeated = attend_causal(query, jnp.repeat(key, 3, 2), jnp.repeat(value, 3, 2))
    assert np.allclose(attend_causal(query, key, value), repeated, atol=2e-6)


@pytest.mark.parametrize("window", [None, 10])
def test_nobody_looks_ahead_or_beyond_the_window(window):
    query, key, value = projections(40, 2, 2)
    weights = jax.jacobian(lambda v: attend_causal(query, key, v, window)[0, :, 0, 0])(value)
    seen = np.asarray(jnp.abs(weights[:, 0, :, 0, 0]) > 0)
    assert np.array_equal(seen, causal_mask(40, window))


def test_equal_keys_average_the_values():
    query, key, value = projections(5, 2, 2)
    mixed = attend_causal(query, jnp.zeros_like(key), value)
    assert np.allclose(mixed[:, -1], value.mean(1), atol=1e-6)
