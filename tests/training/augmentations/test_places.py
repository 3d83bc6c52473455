"""Augmentations of magnitude and time: what they keep, and what they draw."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.config import DataConfig
from lagllama_jax.errors import ConfigError
from lagllama_jax.training.augmentations import magnitude, timing
from lagllama_jax.training.augmentations.policy import augment, filled
from lagllama_jax.training.sources.windows import Windows

KEY = jax.random.key(3)
BATCH, LENGTH = 400, 53
VALUES = jnp.asarray(np.random.default_rng(0).normal(size=(BATCH, LENGTH)).cumsum(1), jnp.float32)


def windows(values=VALUES, observed=None):
    observed = jnp.ones(values.shape, bool) if observed is None else observed
    batch, length = values.shape
    clock = jnp.zeros((batch, 4, 6))
    past = jnp.full(batch, length - 1)
    return Windows(jnp.where(observed, values, 0), observed, clock, past, jnp.zeros(batch, int))


def test_jitter_scaling_and_rotation_draw_what_they_say():
    noise = magnitude.jitter(KEY, VALUES) - VALUES
    assert abs(float(noise.mean())) < 1e-3 and abs(float(noise.std()) - 0.03) < 1e-3
    factor = magnitude.scaling(KEY, VALUES) / VALUES
    np.testing.assert_allclose(factor, jnp.broadcast_to(factor[:, :1], factor.shape), rtol=1e-4)
    assert abs(float(factor[:, 0].std()) - 0.1) < 0.02
    sign = magnitude.rotation(KEY, VALUES) / VALUES
    assert set(np.unique(sign)) == {-1, 1} and abs(float(sign.mean())) < 0.15
    assert bool((sign == sign[:, :1]).all())


def test_a_magnitude_warp_is_a_cubic_spline_through_its_knots():
    curve = np.asarray(magnitude.magnitude_warp(KEY, jnp.ones((BATCH, 51))))
    knots = curve[:, ::10]
    assert abs(knots.mean() - 1) < 0.03 and abs(knots.std() - 0.2) < 0.02
    line = np.arange(6.0) @ magnitude.spline_basis(51)
    np.testing.assert_allclose(line, np.linspace(0, 5, 51), atol=1e-5)


def test_a_permutation_keeps_every_point_and_the_order_within_at_most_four_segments():
    places = np.asarray(timing.permutation(KEY, BATCH, LENGTH)).astype(int)
    assert (np.sort(places, axis=1) == np.arange(LENGTH)).all()
    breaks = (np.diff(places, axis=1) != 1).sum(1)
    assert set(breaks) == {0, 1, 2, 3}


def test_time_only_runs_within_the_window_and_ends_where_it_did():
    places = np.asarray(timing.time_warp(KEY, BATCH, LENGTH))
    assert places.min() >= 0 and places.max() <= LENGTH - 1
    np.testing.assert_allclose(places[:, -1], LENGTH - 1, rtol=1e-5)
    assert np.abs(places - np.arange(LENGTH)).mean() > 1


def test_a_slice_spreads_nine_tenths_evenly():
    places = np.asarray(timing.window_slice(KEY, BATCH, LENGTH))
    steps = np.diff(places, axis=1)
    np.testing.assert_allclose(steps, 47 / 52, atol=1e-4)  # 48 points of 53
    assert places.min() == 0 and abs(places.max() - (LENGTH - 1)) < 1e-4


def test_a_warped_window_passes_through_the_series_in_order_with_one_stretch_slow_or_fast():
    places = np.asarray(timing.window_warp(KEY, BATCH, LENGTH))
    assert (places[:, 0] == 0).all()
    np.testing.assert_allclose(places[:, -1], LENGTH - 1, atol=1e-3)
    steps = np.diff(places, axis=1)
    assert (steps >= -1e-3).all()
    longest, shortest = steps.max(1), steps.min(1)
    assert ((longest > 1.3) | (shortest < 0.8)).all()


@settings(max_examples=10)
@given(st.integers(0, 2**31), st.floats(0.01, 0.99))
def test_reading_at_the_points_themselves_changes_nothing_and_between_them_lies_on_the_line(
    seed, share
):
    observed = jax.random.bernoulli(jax.random.key(seed), 0.8, VALUES.shape)
    there = jnp.broadcast_to(jnp.arange(LENGTH, dtype=jnp.float32), VALUES.shape)
    values, seen = timing.read_at(VALUES, observed, there)
    assert bool((values == VALUES).all()) and bool((seen == observed).all())
    between = (there + jnp.float32(share))[:, :-1]
    values, seen = timing.read_at(VALUES, observed, between)
    line = VALUES[:, :-1] * (1 - jnp.float32(share)) + VALUES[:, 1:] * jnp.float32(share)
    np.testing.assert_allclose(values, line, atol=1e-4)
    assert not bool((seen & ~observed[:, :-1]).any())


def test_missing_points_stay_missing_and_do_not_leak():
    observed = jax.random.bernoulli(KEY, 0.7, VALUES.shape)
    chances = {name: 1.0 for name in ("jitter", "scaling", "rotation", "magnitude_warp")}
    data = DataConfig(augmentation=1.0, **chances)
    changed = jax.jit(lambda w: augment(KEY, w, data))(windows(observed=observed))
    other = jax.jit(lambda w: augment(KEY, w, data))(
        windows(jnp.where(observed, VALUES, 1e6), observed)
    )
    assert bool((changed.observed == observed).all())
    assert bool((changed.values[~observed] == 0).all())
    np.testing.assert_array_equal(changed.values, other.values)
    mean = filled(windows(observed=observed))
    assert float(jnp.abs(mean[~observed]).max()) <= float(jnp.abs(VALUES).max())


def test_the_gates_open_as_often_as_they_say():
    data = DataConfig(augmentation=0.5, scaling=0.5)
    before = windows(VALUES[:4])

    def outcome(key):
        after = augment(key, before, data)
        ratio = after.values / before.values
        return jnp.abs(ratio - 1).max() > 1e-3, jnp.abs(ratio - ratio[:, :1]).max() > 1e-3

    changed, reshaped = jax.lax.map(jax.jit(outcome), jax.random.split(KEY, 600))
    assert abs(float(reshaped.mean()) - 0.5) < 0.07
    assert abs(float(changed.mean()) - (1 - 0.5 * 0.75)) < 0.07


@pytest.mark.parametrize("name", ["permutation", "time_warp", "window_slice", "window_warp"])
def test_every_change_of_time_moves_values_and_masks_alike(name):
    observed = jnp.arange(LENGTH)[None, :] >= jnp.arange(BATCH)[:, None] % LENGTH
    data = DataConfig(augmentation=1.0, **{name: 1.0})
    marked = windows(jnp.where(observed, 1.0, 0.0), observed)
    after = jax.jit(lambda w: augment(jax.random.key(0), w, data))(marked)
    assert after.values.shape == VALUES.shape
    assert bool((after.values[~after.observed] == 0).all())
    assert not bool((after.observed == observed).all())


def test_a_probability_is_a_probability():
    with pytest.raises(ConfigError, match="window_warp=1.5"):
        DataConfig(window_warp=1.5)
