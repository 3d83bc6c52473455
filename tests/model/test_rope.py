"""Rotary positions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.rope import BASE, rope_angles, rope_base, rotate

CONFIG = ModelConfig.tiny(max_context_length=64)


def turned(config, position, seed=0, length=10):
    x = jax.random.normal(jax.random.key(seed), (config.head_dim,))
    return rotate(x, rope_angles(config, jnp.asarray(position), length))


@settings(max_examples=25)
@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_products_depend_on_the_distance_alone(query, key, shift):
    one = turned(CONFIG, query, 1) @ turned(CONFIG, key, 2)
    two = turned(CONFIG, query + shift, 1) @ turned(CONFIG, key + shift, 2)
    assert np.isclose(one, two, atol=2e-3)


def test_a_rotation_keeps_lengths_and_does_nothing_at_position_zero():
    x = jax.random.normal(jax.random.key(0), (CONFIG.head_dim,))
    assert np.isclose(jnp.linalg.norm(turned(CONFIG, 17)), jnp.linalg.norm(x), rtol=1e-6)
    assert np.array_equal(turned(CONFIG, 0), x)


def test_pairs_are_half_a_head_apart():
    x = jnp.zeros(8).at[1].set(1.0)
    angles = jnp.array([0.1, 0.2, 0.3, 0.4])
    assert np.allclose(rotate(x, angles), [0, np.cos(0.2), 0, 0, 0, np.sin(0.2), 0, 0])


def test_linear_stretch_divides_positions():
    linear = CONFIG.replace(rope="linear", rope_factor=4.0)
    assert np.allclose(turned(linear, 40), turned(CONFIG, 10), atol=1e-6)


@pytest.mark.parametrize(("length", "expected"), [(64, BASE), (128, BASE * 3 ** (8 / 6))])
def test_dynamic_stretch_raises_the_base_of_long_sequences_only(length, expected):
    dynamic = CONFIG.replace(rope="dynamic", rope_factor=2.0)
    assert np.isclose(rope_base(dynamic, length), expected)
