import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.errors import ConfigError
from lagllama_jax.evaluation.baselines.naive import BASELINES, baseline, naive, seasonal_naive

LEVELS = (0.1, 0.5, 0.9)


@given(st.integers(2, 20), st.integers(1, 50), st.integers(2, 4))
def test_seasonal_naive_repeats_a_periodic_series_with_no_doubt(season, points, seasons):
    series = np.tile(np.random.default_rng(season).normal(size=season), seasons + points)
    past, future = series[: seasons * season], series[seasons * season :][:points]
    quantiles = seasonal_naive([past], points, season, LEVELS)
    np.testing.assert_allclose(quantiles, np.broadcast_to(future, (1, 3, points)), atol=1e-12)


def test_intervals_of_a_random_walk_cover_as_often_as_they_say():
    walks = np.random.default_rng(0).normal(size=(400, 200)).cumsum(1)
    quantiles = naive(list(walks[:, :180]), 20, 24, LEVELS)
    inside = (walks[:, 180:] >= quantiles[:, 0]) & (walks[:, 180:] <= quantiles[:, 2])
    assert inside.mean() == pytest.approx(0.8, abs=0.04)


def test_a_missing_value_of_the_last_season_is_taken_from_the_one_before():
    past = np.arange(12.0)
    past[9] = np.nan
    median = seasonal_naive([past], 4, 4, (0.5,))[0, 0]
    np.testing.assert_array_equal(median, [8, 5, 10, 11])


@pytest.mark.parametrize("name", ["naive", "seasonal_naive"])
def test_a_forecast_is_finite_however_little_was_observed(name):
    pasts = [np.array([3.0]), np.array([np.nan, 2.0]), np.full(30, np.nan), np.full(30, 7.0)]
    quantiles = baseline(name)(pasts, 5, 12, LEVELS)
    assert quantiles.shape == (4, 3, 5)
    assert np.isfinite(quantiles).all()
    assert quantiles[0, 1, 0] == 3 and quantiles[1, 1, 0] == 2 and quantiles[3, 1, 0] == 7


@pytest.mark.parametrize("name", BASELINES[:-2])  # AutoARIMA takes long, DeepAR is tested apart
def test_a_series_is_forecast_the_same_whatever_stands_beside_it(name):
    if name.startswith("auto"):
        pytest.importorskip("statsforecast", reason="needs the extra baselines")
    rng = np.random.default_rng(0)
    pasts = [np.sin(np.arange(n) / 2) + rng.normal(0, 0.1, n) for n in (40, 50)]
    together = baseline(name)(pasts, 4, 6, LEVELS)
    alone = np.concatenate([baseline(name)([past], 4, 6, LEVELS) for past in pasts])
    np.testing.assert_allclose(together, alone)
    assert (np.diff(together, axis=1) > 0).all()
    scaled = baseline(name)([100 * past for past in pasts], 4, 6, LEVELS)
    np.testing.assert_allclose(scaled, 100 * together, rtol=0.05, atol=1)


def test_arima_quantiles_are_those_of_statsforecasts_intervals():
    models = pytest.importorskip("statsforecast.models", reason="needs the extra baselines")
    past = np.random.default_rng(0).normal(size=30).cumsum()
    theirs = models.AutoARIMA(season_length=1).forecast(y=past, h=3, level=[80])
    ours = baseline("auto_arima")([past], 3, 1, LEVELS)[0]
    expected = [theirs["lo-80"], theirs["mean"], theirs["hi-80"]]
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_a_series_that_a_model_refuses_is_forecast_by_seasonal_naive_and_said_so():
    pytest.importorskip("statsforecast", reason="needs the extra baselines")
    pasts = [np.array([1.0, 2.0])]
    with pytest.warns(UserWarning, match="1 of 1 series"):
        quantiles = baseline("auto_ets")(pasts, 3, 4, LEVELS)
    np.testing.assert_array_equal(quantiles, seasonal_naive(pasts, 3, 4, LEVELS))


def test_an_unknown_baseline_is_refused_with_the_list_of_those_there_are():
    with pytest.raises(ConfigError, match="seasonal_naive"):
        baseline("prophet")
