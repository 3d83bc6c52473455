"""Forecasts in one pass, by sample paths, and by both."""

import jax
import numpy as np
import pytest

from lagllama_jax import LagLlama
from lagllama_jax.config import ForecastConfig
from lagllama_jax.errors import ConfigError
from lagllama_jax.inference.predictor import ModelPredictor
from lagllama_jax.model.network import init_parameters
from lagllama_jax.series.arrays import read_arrays
from tests.model.test_one_pass import CONFIG

SERIES = [np.sin(np.arange(n) / 3) * 5 + 1e6 for n in (80, 9, 41)]


@pytest.fixture(scope="module")
def parameters():
    return init_parameters(CONFIG, jax.random.key(0))


@pytest.fixture(scope="module")
def model(parameters):
    return LagLlama(parameters, CONFIG)


@pytest.fixture(scope="module")
def paths_only(parameters):
    return LagLlama(parameters, CONFIG.replace(one_pass=False))


def test_one_pass_is_the_default_and_draws_no_paths(model):
    forecast = model.predict(SERIES, 7)
    assert forecast.samples is None and forecast.marginals is not None
    assert forecast.quantile(0.123).shape == forecast.mean.shape == (3, 7)
    assert repr(forecast) == "Forecast(3 series, one pass, 7 points)"
    assert list(forecast.to_frame([0.05, 0.5]))[-2:] == ["0.05", "0.5"]


def test_asked_for_samples_come_beside_the_quantiles_of_one_pass(model):
    alone, both = model.predict(SERIES, 7), model.predict(SERIES, 7, num_samples=11)
    assert both.samples.shape == (3, 11, 7)
    assert np.array_equal(alone.quantile(0.3), both.quantile(0.3))


def test_weights_that_cannot_fall_back_to_paths(model, paths_only):
    forecast = paths_only.predict(SERIES, 7)
    assert forecast.samples.shape == (3, 100, 7) and forecast.marginals is None
    same = model.predict(SERIES, 7, method="paths")
    assert np.array_equal(forecast.samples, same.samples)
    assert np.array_equal(forecast.quantile(0.2), same.quantile(0.2))


def test_both_is_the_mean_of_both_quantile_functions(model):
    one, other, both = (
        model.predict(SERIES, 7, method=way) for way in ("one_pass", "paths", "both")
    )
    for get in (lambda f: f.quantiles([0.1, 0.8]), lambda f: f.mean):
        np.testing.assert_allclose(get(both), (get(one) + get(other)) / 2)


def test_matched_paths_have_the_quantiles_of_one_pass(model):
    forecast = model.predict(SERIES, 7, num_samples=99)
    middle = np.median(forecast.samples, axis=1)
    np.testing.assert_allclose(middle, forecast.median, atol=1e-3)
    asked = model.predict(SERIES, 7, method="both", num_samples=99, match_marginals=True)
    np.testing.assert_array_equal(asked.samples, forecast.samples)


@pytest.mark.parametrize("options", [{"method": "both"}, {"match_marginals": False}])
def test_other_paths_are_the_models_own(model, options):
    found = model.predict(SERIES, 7, num_samples=30, **options)
    own = model.predict(SERIES, 7, num_samples=30, method="paths")
    np.testing.assert_array_equal(found.samples, own.samples)
    matched = model.predict(SERIES, 7, num_samples=30).samples
    order = lambda samples: samples.argsort(axis=1, kind="stable")  # noqa: E731
    np.testing.assert_array_equal(order(matched), order(own.samples))


def test_the_first_point_of_the_paths_has_the_distribution_of_one_pass(model):
    forecast = model.predict(SERIES, 1, method="both", num_samples=4000)
    levels = [0.05, 0.3, 0.5, 0.9]
    drawn = np.quantile(forecast.samples, levels, axis=1)[..., 0]
    atol = 0.02 * np.ptp(forecast.marginals.quantiles([0.25, 0.75])[..., 0], axis=1).max()
    np.testing.assert_allclose(drawn, forecast.marginals.quantiles(levels)[..., 0].T, atol=atol)


def test_a_missing_end_is_a_longer_horizon(model):
    whole = model.predict(SERIES[0], 9)
    gap = model.predict(np.concatenate([SERIES[0], [np.nan] * 4]), 5)
    np.testing.assert_allclose(gap.quantiles([0.1, 0.9]), whole.quantiles([0.1, 0.9])[..., 4:])


@pytest.mark.parametrize("size", [1, 2])
def test_the_batch_size_changes_nothing(model, size):
    one, two = model.predict(SERIES, 7), model.predict(SERIES, 7, batch_size=size)
    np.testing.assert_allclose(one.quantile(0.9), two.quantile(0.9), rtol=0, atol=1e-4)


def test_nonnegative_quantiles_and_means(model):
    series = np.random.default_rng(0).poisson(0.5, 60)
    forecast = model.predict(series, 7, nonnegative=True)
    assert (forecast.quantiles([0.01, 0.5]) >= 0).all() and (forecast.mean > 0).all()


def test_a_constant_series_is_forecast_exactly(model):
    forecast = model.predict(np.full(50, 3e8), 7)
    assert (forecast.quantiles([0.01, 0.99]) == 3e8).all()


@pytest.mark.parametrize("options", [{"method": "one_pass"}, {"method": "both"}])
def test_weights_that_cannot_refuse(paths_only, options):
    with pytest.raises(ConfigError, match="cannot forecast in one pass.*method='paths'"):
        paths_only.predict(SERIES, 7, **options)


def test_matching_needs_paths(model):
    with pytest.raises(ConfigError, match="match_marginals=True needs sample paths"):
        model.predict(SERIES, 7, match_marginals=True)


def test_a_horizon_beyond_the_memory_is_refused(model):
    with pytest.raises(ConfigError, match="Lower one of them"):
        model.predict(SERIES, 10**9)


def test_several_variates_are_forecast_as_single_ones(parameters):
    from lagllama_jax.series.dataset import SeriesDataset

    predictor = ModelPredictor(parameters, CONFIG)
    pair = np.stack([SERIES[0], SERIES[0][::-1]])
    together = predictor.predict(
        SeriesDataset(["a"], [pair], target_names=("x", "y")), 5, ForecastConfig()
    )
    alone = predictor.predict(read_arrays(list(pair)), 5, ForecastConfig())
    np.testing.assert_allclose(together.quantile(0.7), alone.quantile(0.7))
