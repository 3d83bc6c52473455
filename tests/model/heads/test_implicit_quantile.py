"""The implicit quantile head; its numbers are checked against the reference's elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.heads import make_head

LOC, SCALE = jnp.array([2.0]), jnp.array([3.0])


@pytest.fixture(scope="module")
def head():
    config = ModelConfig.tiny(head="implicit_quantile")
    made = make_head(config)
    return made.bind(made.init(jax.random.key(0), jnp.zeros((1, config.width)), jnp.zeros(1)))


@pytest.fixture(scope="module")
def hidden():
    return jax.random.normal(jax.random.key(1), (6, 16))


def test_the_loss_is_the_quantile_loss_in_the_series_units(head, hidden):
    level = jnp.linspace(0.1, 0.9, 6)
    target = jnp.arange(6.0)
    quantile = np.asarray(head(hidden, level)) * 3 + 2
    expected = np.maximum(level * (target - quantile), (level - 1) * (target - quantile))
    assert np.allclose(head.level_loss(hidden, target, LOC, SCALE, level), expected, atol=1e-5)


def test_the_training_loss_draws_its_levels_from_the_key(head, hidden):
    one, same, other = (
        head.loss(hidden, jnp.arange(6.0), LOC, SCALE, jax.random.key(seed)) for seed in (0, 0, 1)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_samples_come_from_the_quantiles(head, hidden):
    many = jnp.broadcast_to(hidden[:1], (2000, 16))
    draws = head.sample(many, LOC, SCALE, jax.random.key(3), stratified=True)
    grid = head(many, jnp.linspace(0, 1, 2000)) * SCALE + LOC
    assert draws.min() >= grid.min() - 1e-3
    assert draws.max() <= grid.max() + 1e-3
    assert np.isclose(draws.mean(), grid.mean(), atol=1e-2)
