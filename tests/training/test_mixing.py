"""Mixing, flipping and roughening windows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagllama_jax.model.batch import rows_of
from lagllama_jax.training.mixing import autoregression, flip, mixup, own_scale, roughen, shift
from tests.training.conftest import batch_of

pytestmark = pytest.mark.usefixtures("hurry")


def windows(batch=6, length=80):
    values = 5 + 2 * jax.random.normal(jax.random.key(1), (batch, length))
    observed = jax.random.bernoulli(jax.random.key(2), 0.8, values.shape)
    return batch_of(values, observed, np.zeros((batch, 20, 6)), 60)


@pytest.mark.parametrize("change", [mixup, roughen, flip])
def test_a_share_of_0_changes_nothing_and_of_1_every_window(change):
    before = windows()
    assert np.array_equal(change(jax.random.key(0), before, 0.0).values, before.values)
    after = change(jax.random.key(0), before, 1.0)
    assert (after.values != before.values).any(axis=-1).all()
    assert not after.values[~after.observed].any()


def test_noise_is_of_a_share_of_the_scale_whatever_the_unit():
    before = windows(batch=64)
    larger = before._replace(values=1000 * before.values)
    one, two = (roughen(jax.random.key(0), x, 1.0).values for x in (before, larger))
    assert np.allclose(1000 * one, two, rtol=1e-4)
    added = np.asarray(one - before.values)[:, 0, :60]
    sizes = np.sqrt((added**2).sum(1) / np.asarray(before.observed)[:, 0, :60].sum(1))
    assert 0.01 < sizes.min() < 0.1 and 1.0 < sizes.max() < 6.0


def test_flipping_turns_the_raw_values_around_zero_whatever_the_level():
    before = windows()._replace(level=jnp.full((6, 1), 7.0), unit=jnp.full((6, 1), 4.0))
    after = flip(jax.random.key(0), before, 1.0)
    np.testing.assert_array_equal(rows_of(after).raw().values, -rows_of(before).raw().values)


def test_shifting_changes_the_level_alone_by_1_to_1e8_scales():
    before = windows(batch=64)
    after = shift(jax.random.key(0), before, 0.5)
    assert np.array_equal(after.values, before.values)
    scales = np.abs(after.level - before.level) / own_scale(before).scale[..., 0]
    moved = scales[scales > 0]
    assert 16 < len(moved) < 48 and moved.min() >= 1 and moved.max() <= 1.01e8
    assert len({*np.sign(after.level[scales > 0])}) == 2
    assert shift(jax.random.key(0), before, 0.0) is before


def test_autoregression_is_the_recursion():
    shocks = jax.random.normal(jax.random.key(0), (2, 50))
    persistence = jnp.array([[0.0], [0.9]])
    expected, last = [], jnp.zeros(2)
    for shock in shocks.T:
        last = persistence[:, 0] * last + shock
        expected.append(last)
    assert np.allclose(autoregression(shocks, persistence), jnp.stack(expected, 1), atol=1e-5)
