"""Attention as pure functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.model.cached_attention import Mixture, attend_cached, attend_ring
from lagllama_jax.model.causal_attention import attend, attend_causal, causal_mask
from lagllama_jax.model.kv_cache import append, ring_slots, start_cache

pytestmark = pytest.mark.usefixtures("hurry")


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
    found = jax.jit(attend_causal, static_argnums=3)(query, key, value, window)
    assert np.allclose(found, full, atol=2e-6)


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


@settings(max_examples=6)
@given(
    st.sampled_from([(4, 4), (4, 2), (3, 1)]),
    st.integers(1, 20),
    st.integers(1, 40),
    st.sampled_from([5, 16, 33, 80]),
)
def test_a_ring_of_own_tokens_gives_what_the_whole_sequence_gives(heads, context, own, window):
    query, key, value = projections(context + own, *heads)
    full = attend(query, key, value, causal_mask(context + own, window))
    prefix = key[:, :context], value[:, :context]
    cache = start_cache(*prefix, num_samples=1, slots=ring_slots(window, own))

    def read(cache, step):
        token = [jax.lax.dynamic_slice_in_dim(x, context + step, 1, 1) for x in (query, key, value)]
        cache = append(cache, *token[1:], step)
        return cache, attend_cached(token[0], cache, step, window)[:, 0]

    mixed = jax.jit(lambda: jax.lax.scan(read, cache, jnp.arange(own))[1])()
    assert np.allclose(mixed.swapaxes(0, 1), full[:, context:], atol=2e-6)


def test_accelerators_compute_what_the_cpu_does():
    keys = jax.random.split(jax.random.key(0), 3)
    query = jax.random.normal(keys[0], (2, 3, 8, 2, 5))
    key, value = jax.random.normal(keys[1], (2, 2, 3, 16, 8, 5))
    some = jax.random.normal(keys[2], (2, 3, 2, 5))
    so_far = Mixture(some, jnp.exp(some), query)
    both = [attend_ring(query, key, value, jnp.arange(16) < 9, so_far, x) for x in (True, False)]
    for one, other in zip(*both, strict=True):
        assert np.allclose(one, other, rtol=1e-5, atol=1e-6)
