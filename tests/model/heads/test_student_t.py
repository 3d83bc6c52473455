"""The Student-t distribution against SciPy, and its head."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.heads import StudentT, make_head
from lagllama_jax.model.heads.draws import uniforms

degrees = st.floats(2.01, 1e6)


def law(df, loc=0.0, scale=1.0):
    return StudentT(*(jnp.asarray(p, jnp.float32) for p in (df, loc, scale)))


@jax.jit
def there_and_back(df, level):
    quantile = law(df, 3.0, 2.0).quantile(level)
    return quantile, law(df, 3.0, 2.0).cdf(quantile)


@given(degrees, st.floats(-100, 100), st.floats(0.01, 100), st.floats(-50, 50))
def test_the_density_agrees_with_scipy(df, loc, scale, z):
    df, loc, scale, z = (float(np.float32(p)) for p in (df, loc, scale, z))
    ours = law(df, loc, scale).log_prob(jnp.float32(loc + scale * z))
    theirs = scipy.stats.t.logpdf(np.float32(loc + scale * z), df, loc, scale)
    slope = (df + 1) * abs(z) / (df + z**2)  # what rounding of the value itself can do
    rounding = 1e-6 * (1 + abs(loc) / scale) * (1 + slope * (1 + abs(z)))
    assert np.isclose(ours, theirs, rtol=2e-5, atol=1e-4 + 10 * rounding)


@settings(max_examples=20)
@given(degrees, st.floats(0.01, 0.99))
def test_quantile_and_cdf_agree_with_scipy(df, level):
    df = float(np.float32(df))
    ours, back = there_and_back(df, level)
    assert np.isclose(ours, scipy.stats.t.ppf(level, df, 3, 2), rtol=1e-3, atol=2e-3)
    assert np.isclose(back, level, atol=1e-4)


@pytest.mark.parametrize("df", [2.1, 5.0, 1e5])
def test_draws_follow_the_distribution(df):
    draws = law(df, 1.0, 2.0).sample(seed=jax.random.key(0), sample_shape=4000)
    assert scipy.stats.kstest(draws, scipy.stats.t(df, 1, 2).cdf).pvalue > 0.01


def test_mean_and_variance_are_the_known_ones():
    assert law(5.0, 3.0, 2.0).mean() == 3.0
    assert np.isclose(law(5.0, 3.0, 2.0).variance(), scipy.stats.t.var(5, 3, 2))


def test_it_passes_through_jit_and_vmap():
    made = jax.jit(jax.vmap(lambda df: law(df)))(jnp.array([3.0, 4.0]))
    assert isinstance(made, StudentT)
    assert made.batch_shape == (2,)


def test_stratified_draws_put_one_sample_in_every_stratum():
    draws = uniforms(jax.random.key(0), (5, 64), stratified=True)
    assert np.array_equal(np.sort(np.floor(draws * 64), axis=1), np.tile(np.arange(64), (5, 1)))
    assert not np.array_equal(np.argsort(draws[0]), np.argsort(draws[1]))


@pytest.fixture(scope="module")
def head():
    config = ModelConfig.tiny()
    made = make_head(config)
    return made.bind(made.init(jax.random.key(0), jnp.zeros((1, config.width))))


def test_the_head_has_a_finite_variance_and_a_positive_scale(head):
    made = head(100 * jax.random.normal(jax.random.key(1), (500, 16)))
    assert (made.df >= 2).all()
    assert (made.scale > 0).all()


def test_the_loss_is_the_negative_density_in_the_series_units(head):
    hidden = jax.random.normal(jax.random.key(1), (4, 16))
    target, loc, scale = jnp.arange(4.0), jnp.full(4, 2.0), jnp.full(4, 3.0)
    expected = -head(hidden, loc, scale).log_prob(target)
    assert np.allclose(head.loss(hidden, target, loc, scale), expected, rtol=1e-5)


def test_stratified_samples_have_the_same_distribution_with_less_spread(head):
    hidden = jnp.broadcast_to(jax.random.normal(jax.random.key(1), (16,)), (50, 16))
    keys = jax.random.split(jax.random.key(2), 200)
    loc, scale = jnp.zeros(1), jnp.ones(1)
    medians = {
        stratified: np.median(
            jax.vmap(lambda k, s=stratified: head.sample(hidden, loc, scale, k, s))(keys), axis=1
        )
        for stratified in (False, True)
    }
    middle = float(head(hidden[:1], loc, scale).quantile(0.5)[0])
    assert np.isclose(medians[True].mean(), middle, atol=4 * medians[False].std() / np.sqrt(200))
    assert medians[True].std() < 0.8 * medians[False].std()
