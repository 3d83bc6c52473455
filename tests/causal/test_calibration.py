import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lagllama_jax.causal.calibration import PRIOR, PRIOR_SQUARES, Null, null_of
from lagllama_jax.causal.estimators import METHODS
from lagllama_jax.causal.placebos import Trial

SCORES = st.lists(st.floats(-20, 20), max_size=12)


def trials(kind, scores):
    return [Trial(kind, "y", step, 5, score, 1.0, 0.1) for step, score in enumerate(scores)]


def test_every_method_has_a_prior_and_only_plain_ones_are_distrusted():
    assert set(PRIOR_SQUARES) == set(METHODS)
    assert PRIOR_SQUARES["network"] == PRIOR_SQUARES["regression_network"] == 1
    assert min(PRIOR_SQUARES["ridge"], PRIOR_SQUARES["synthetic_control"]) > 1


@given(st.floats(0.5, 4))
def test_without_trials_the_prior_is_all_that_is_known(square):
    null = null_of([], 0.0, square)
    np.testing.assert_allclose((null.factor, null.df), (np.sqrt(square), PRIOR))


@given(SCORES, SCORES, st.floats(0.5, 9), st.floats(0.5, 4))
def test_the_factor_lies_between_those_of_the_prior_and_of_the_trials(
    time, space, effective, square
):
    null = null_of([*trials("time", time), *trials("space", space)], effective, square)
    squares = [square, *(np.mean(np.square(part)) for part in (time, space) if part)]
    assert np.sqrt(min(squares)) - 1e-9 <= null.factor <= np.sqrt(max(squares)) + 1e-9
    assert null.df >= PRIOR
    wider = null_of([*trials("time", time), *trials("space", space)], effective, square + 1)
    assert wider.factor > null.factor


@settings(max_examples=15)
@given(st.floats(0.3, 4), st.sampled_from([4.0, 7.0, 30.0]))
def test_means_of_widened_paths_have_the_tails_of_the_t_distribution(factor, df):
    samples = np.random.default_rng(0).normal(size=(2000, 3)) + 10
    wide = Null(factor, df).widened(samples, 0).mean(axis=1) - 10
    unit = samples.mean(axis=1).std()
    for level in (0.75, 0.95):
        wanted = factor * unit * stats.t.ppf(level, df)
        assert np.quantile(wide, level) == pytest.approx(wanted, rel=0.12, abs=0.02)


def test_the_noise_of_single_points_is_not_widened():
    rng = np.random.default_rng(1)
    samples = rng.normal(size=(500, 1)) + 0.1 * rng.normal(size=(500, 40))
    wide = Null(5.0, np.inf).widened(samples, 0)
    within = [paths - paths.mean(axis=1, keepdims=True) for paths in (samples, wide)]
    assert within[1].std() < 2 * within[0].std()
    assert wide.mean(axis=1).std() > 4 * samples.mean(axis=1).std()
