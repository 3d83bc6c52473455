"""Synthetic windows: of every kind, finite, and like real ones in form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import poisson

from lagllama_jax.config import DataConfig, ModelConfig
from lagllama_jax.model.batch import TARGET
from lagllama_jax.training import synthetic
from lagllama_jax.training.dice import Dice, poisson_quantile
from lagllama_jax.training.synthetic import synthetic_windows

MODEL = ModelConfig.tiny(lags=(0, 1, 2, 63), context_length=32)
DATA = DataConfig(future_length=8, min_context=16, drop_calendar=0.3, short_history=0.2)


@pytest.fixture(scope="module")
def make():
    return jax.jit(lambda key: synthetic_windows(key, 512, MODEL, DATA))


@pytest.fixture(scope="module")
def windows(make):
    return jax.tree.map(np.asarray, make(jax.random.key(0)))


def test_they_are_finite_varied_and_of_every_shape(windows):
    assert np.isfinite(windows.values).all() and np.isfinite(windows.time_features).all()
    seen = np.where(windows.observed, windows.values, np.nan)
    span = np.nanmax(seen, axis=-1) - np.nanmin(seen, axis=-1)
    assert (span > 0).mean() > 0.97
    size = np.log10(np.nanmedian(np.abs(seen), axis=-1) + 1e-30)
    assert np.quantile(size, 0.95) - np.quantile(size, 0.05) > 3
    assert ((seen >= 0) | np.isnan(seen)).all(axis=-1).mean() > 0.1  # counts, levels


def test_contexts_histories_and_dates_have_the_shares_that_are_asked_for(windows):
    assert windows.start.min() == 63 + 16 and windows.start.max() == 63 + 32
    undated = (windows.time_features == 0).all(axis=(1, 2))
    assert abs(undated.mean() - 0.3) < 0.08
    hidden = ~windows.observed[:, 0, 0]
    assert 0.05 < hidden.mean() < 0.6
    assert (windows.role == TARGET).all() and (windows.unit == 1).all()
    assert not windows.level.any()
    assert (windows.values[~windows.observed] == 0).all()


def test_a_key_decides_everything(make, windows):
    again, other = make(jax.random.key(0)), make(jax.random.key(1))
    assert bool((windows.values == again.values).all())
    assert not bool((windows.values == other.values).all())


@pytest.fixture(scope="module")
def parts():
    """Numbers, rows of numbers, stationary noise and waves, of 400 series each."""
    phase = jnp.arange(256)[None, :] / 24

    def draw(key):
        dice = Dice(key, 256)
        numbers = jnp.stack([dice.uniform(), dice.uniform(2.0, 3.0)])
        noise, wave = synthetic.spectral_noise(dice, 1)[0], synthetic.seasonal_waves(dice, phase)[0]
        return numbers, dice.normals(2), noise, wave

    drawn = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), 400))
    return [np.asarray(part) for part in drawn]


def test_dice_hand_out_each_number_once(parts):
    numbers, normals = parts[:2]
    assert numbers[:, 0].min() >= 0 and numbers[:, 1].min() >= 2 and numbers[:, 1].max() < 3
    assert abs(np.corrcoef(numbers.T)[0, 1]) < 0.15
    assert abs(normals.mean()) < 0.02 and abs(normals.std() - 1) < 0.02
    assert abs((normals[:, 0] * normals[:, 1]).mean()) < 0.02


def test_spectral_noise_is_standardised_and_of_many_smoothnesses(parts):
    noise = parts[2]
    np.testing.assert_allclose(noise.mean(1), 0, atol=1e-4)
    np.testing.assert_allclose(noise.std(1), 1, atol=1e-2)
    correlation = (noise[:, 1:] * noise[:, :-1]).mean(1)
    assert correlation.min() < 0.3 and correlation.max() > 0.97


def test_seasonal_waves_repeat(parts):
    waves = parts[3]
    np.testing.assert_allclose(waves[:, 24:], waves[:, :-24], atol=2e-2)
    assert len(np.unique(np.abs(waves).max(1).round(3))) > 100


@pytest.mark.parametrize("rate", [0.05, 1.0, 11.9, 12.1, 300.0])
def test_counts_are_poisson(rate):
    normal = jax.scipy.special.ndtri((jnp.arange(20_000) + 0.5) / 20_000)
    counts = np.asarray(poisson_quantile(normal, jnp.full(20_000, rate)))
    assert abs(counts.mean() - rate) < 0.01 * max(rate, 1)
    assert abs(counts.var() - rate) < 0.01 * max(rate, 1)
    exact = poisson(rate).cdf(np.unique(counts))
    found = np.searchsorted(np.sort(counts), np.unique(counts), side="right") / 20_000
    assert np.abs(exact - found).max() < 2e-3
