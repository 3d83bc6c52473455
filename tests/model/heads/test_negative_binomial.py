"""The negative binomial distribution against SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.heads import NegativeBinomial, make_head

counts = st.floats(0.05, 200)
odds = st.floats(-4, 4)


def law(total_count, logits):
    return NegativeBinomial(jnp.float32(total_count), jnp.float32(logits))


@jax.jit
def quantile(total_count, logits, level):
    return law(total_count, logits).quantile(level)


def scipys(total_count, logits):
    return scipy.stats.nbinom(np.float32(total_count), 1 / (1 + np.exp(np.float64(logits))))


@given(counts, odds, st.integers(0, 10_000))
def test_the_probability_agrees_with_scipy(total_count, logits, value):
    ours = law(total_count, logits).log_prob(jnp.float32(value))
    assert np.isclose(ours, scipys(total_count, logits).logpmf(value), rtol=2e-4, atol=2e-3)


@jax.jit
def density_and_slopes(total_count, logits, value):
    log_prob = lambda *parameters: NegativeBinomial(*parameters).log_prob(value)  # noqa: E731
    return jax.value_and_grad(log_prob, (0, 1))(total_count, logits)


# Subnormal numbers are zero to the CPU.
numbers = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)


@given(counts, odds, numbers | st.sampled_from([-1.0, 0.5, np.inf, -np.inf]))
def test_what_is_no_count_has_no_probability(total_count, logits, value):
    found, slopes = density_and_slopes(total_count, logits, jnp.float32(value))
    count = value >= 0 and value == np.floor(value) and np.isfinite(value)
    assert np.isfinite(found) == count and (count or found == -np.inf)
    assert all(np.isfinite(slope) for slope in slopes)


@settings(max_examples=15)
@given(st.floats(0.5, 50), st.floats(-3, 3), st.floats(0.02, 0.98))
def test_the_quantile_is_the_smallest_count_that_reaches_the_level(total_count, logits, level):
    ours = float(quantile(total_count, logits, level))
    exact = scipys(total_count, logits)
    assert exact.cdf(ours) >= level - 1e-4
    assert exact.cdf(ours - 1) <= level + 1e-4


def test_moments_are_the_known_ones():
    exact = scipys(3.0, 0.7)
    assert np.isclose(law(3.0, 0.7).mean(), exact.mean(), rtol=1e-5)
    assert np.isclose(law(3.0, 0.7).variance(), exact.var(), rtol=1e-5)


@pytest.mark.parametrize(("total_count", "logits"), [(3.0, 0.7), (40.0, 12.0)])
def test_draws_have_those_moments_for_counts_of_any_size(total_count, logits):
    made = law(total_count, logits)
    draws = np.asarray(made.sample(seed=jax.random.key(0), sample_shape=4000), np.float64)
    assert np.array_equal(draws, np.round(draws))
    error = np.sqrt(made.variance() / 4000)
    assert abs(draws.mean() - made.mean()) < 4 * error
    assert np.isclose(draws.var(), made.variance(), rtol=0.2)


def test_the_series_scale_multiplies_the_mean_and_loc_is_ignored():
    config = ModelConfig.tiny(head="negative_binomial")
    made = make_head(config)
    head = made.bind(made.init(jax.random.key(0), jnp.zeros((1, config.width))))
    hidden = jax.random.normal(jax.random.key(1), (3, config.width))
    loc, scale = jnp.array([5.0]), jnp.array([8.0])
    assert np.allclose(head(hidden, loc, scale).mean(), 8 * head(hidden).mean(), rtol=1e-5)
    target = jnp.array([0.0, 3.0, 9.0])
    expected = -head(hidden, loc, scale).log_prob(target)
    assert np.allclose(head.loss(hidden, target, loc, scale), expected)
    assert head.sample(hidden, loc, scale, jax.random.key(2)).shape == (3,)
