import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.causal.regression import regress
from lagllama_jax.causal.synthetic_control import simplex_weights
from lagllama_jax.errors import DataError


def linear(seed, count=120, noise=0.5):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 2))
    return 3 + x @ [2.0, -1.0] + noise * rng.normal(size=count), x


def test_coefficients_are_found_with_the_error_of_least_squares():
    target, x = linear(0)
    found = regress(target, x, 5, 2000, np.random.default_rng(0))
    with_one = np.column_stack([np.ones(len(x)), x])
    best, residual, *_ = np.linalg.lstsq(with_one, target)
    errors = np.sqrt(residual / (len(x) - 3) * np.diag(np.linalg.inv(with_one.T @ with_one)))
    np.testing.assert_allclose(found.coefficients.mean(axis=0), best[1:], atol=errors[1:].max())
    np.testing.assert_allclose(found.coefficients.std(axis=0), errors[1:], rtol=0.3)
    np.testing.assert_allclose(found.errors.std(), 0.5, rtol=0.15)


def test_errors_that_wander_are_continued_from_the_last_one_and_spread():
    rng = np.random.default_rng(1)
    walk = rng.normal(size=200).cumsum()
    found = regress(walk, np.zeros((200, 0)), 25, 2000, rng)
    paths = found.intercept[:, None] + found.errors
    assert abs(np.median(paths[:, 0]) - walk[-1]) < 0.5
    assert paths[:, 24].std() > 2.5 * paths[:, 0].std()


def test_white_errors_do_not_spread():
    rng = np.random.default_rng(2)
    found = regress(rng.normal(size=200), np.zeros((200, 0)), 25, 2000, rng)
    assert found.errors[:, 24].std() < 1.2 * found.errors[:, 0].std()


@settings(max_examples=15)
@given(st.integers(0, 999), st.floats(1e-3, 1e4), st.floats(-1e4, 1e4))
def test_the_unit_of_target_and_columns_does_not_matter(seed, factor, offset):
    target, x = linear(seed, 60)
    first = regress(target, x, 3, 40, np.random.default_rng(0))
    second = regress(factor * target + offset, 5 * x + 7, 3, 40, np.random.default_rng(0))
    size = 1e-6 * factor * (1 + abs(offset / factor) * 1e-3)
    np.testing.assert_allclose(second.errors, factor * first.errors, atol=1e3 * size, rtol=1e-4)
    np.testing.assert_allclose(5 * second.coefficients, factor * first.coefficients, rtol=1e-4)


def test_missing_values_are_borne_and_too_few_refused():
    target, x = linear(3)
    target[5:25:2] = np.nan
    found = regress(target, x, 5, 400, np.random.default_rng(0))
    np.testing.assert_allclose(found.coefficients.mean(axis=0), [2, -1], atol=0.25)
    with pytest.raises(DataError, match="has 5 observed points"):
        regress(target[:5], x[:5], 5, 10, np.random.default_rng(0))


@settings(max_examples=25)
@given(st.integers(0, 999), st.integers(1, 30), st.integers(4, 60))
def test_weights_are_a_mean_whatever_the_numbers_of_controls_and_points(seed, controls, points):
    rng = np.random.default_rng(seed)
    weights = simplex_weights(rng.normal(size=points), rng.normal(size=(points, controls)))
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(), 1)


def test_a_unit_within_its_controls_is_fitted_without_a_constant_and_one_above_with_it():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)).cumsum(axis=0) + [0, 10, 20]
    truth = np.array([0.2, 0.5, 0.3])
    np.testing.assert_allclose(simplex_weights(x @ truth, x), truth, atol=0.02)
    np.testing.assert_allclose(simplex_weights(x @ truth + 100, x), truth, atol=0.05)
