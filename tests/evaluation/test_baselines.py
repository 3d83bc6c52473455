import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.config import ForecastConfig
from lagllama_jax.errors import ConfigError
from lagllama_jax.evaluation.baselines import BASELINES, baseline
from lagllama_jax.inference.forecast import Predictor
from lagllama_jax.series.arrays import read_arrays
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.frequency import Frequency

LEVELS = (0.1, 0.5, 0.9)
CONFIG = ForecastConfig(quantile_levels=LEVELS)


def quantiles(name, pasts, points, season=None) -> np.ndarray:
    dataset = SeriesDataset([str(n) for n in range(len(pasts))], [past[None] for past in pasts])
    return baseline(name, season).predict(dataset, points, CONFIG).quantiles(LEVELS)


@given(st.integers(2, 20), st.integers(1, 50), st.integers(2, 4))
def test_seasonal_naive_repeats_a_periodic_series_with_no_doubt(season, points, seasons):
    series = np.tile(np.random.default_rng(season).normal(size=season), seasons + points)
    past, future = series[: seasons * season], series[seasons * season :][:points]
    found = quantiles("seasonal_naive", [past], points, season)
    np.testing.assert_allclose(found, np.broadcast_to(future, (1, 3, points)), atol=1e-12)


def test_intervals_of_a_random_walk_cover_as_often_as_they_say():
    walks = np.random.default_rng(0).normal(size=(400, 200)).cumsum(1)
    low, _, high = np.moveaxis(quantiles("naive", list(walks[:, :180]), 20, 24), 1, 0)
    inside = (walks[:, 180:] >= low) & (walks[:, 180:] <= high)
    assert inside.mean() == pytest.approx(0.8, abs=0.04)


def test_a_missing_value_of_the_last_season_is_taken_from_the_one_before():
    past = np.arange(12.0)
    past[9] = np.nan
    median = quantiles("seasonal_naive", [past], 4, 4)[0, 1]
    np.testing.assert_array_equal(median, [8, 5, 10, 11])


@pytest.mark.parametrize("name", ["naive", "seasonal_naive"])
def test_a_forecast_is_finite_however_little_was_observed(name):
    pasts = [np.array([3.0]), np.array([np.nan, 2.0]), np.full(30, np.nan), np.full(30, 7.0)]
    found = quantiles(name, pasts, 5, 12)
    assert found.shape == (4, 3, 5)
    assert np.isfinite(found).all()
    assert found[0, 1, 0] == 3 and found[1, 1, 0] == 2 and found[3, 1, 0] == 7


@pytest.mark.parametrize("name", BASELINES[:-3])  # AutoARIMA takes long, others need PyTorch
def test_a_series_is_forecast_the_same_whatever_stands_beside_it(name):
    if name.startswith("auto"):
        pytest.importorskip("statsforecast", reason="needs the extra baselines")
    rng = np.random.default_rng(0)
    pasts = [np.sin(np.arange(n) / 2) + rng.normal(0, 0.1, n) for n in (40, 50)]
    together = quantiles(name, pasts, 4, 6)
    alone = np.concatenate([quantiles(name, [past], 4, 6) for past in pasts])
    np.testing.assert_allclose(together, alone)
    assert (np.diff(together, axis=1) > 0).all()
    scaled = quantiles(name, [100 * past for past in pasts], 4, 6)
    np.testing.assert_allclose(scaled, 100 * together, rtol=0.05, atol=1)


def test_arima_quantiles_are_those_of_statsforecasts_intervals():
    models = pytest.importorskip("statsforecast.models", reason="needs the extra baselines")
    past = np.random.default_rng(0).normal(size=30).cumsum()
    theirs = models.AutoARIMA(season_length=1).forecast(y=past, h=3, level=[80])
    ours = quantiles("auto_arima", [past], 3, 1)[0]
    expected = [theirs["lo-80"], theirs["mean"], theirs["hi-80"]]
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_arima_follows_known_covariates_unless_they_are_left_out():
    pytest.importorskip("statsforecast", reason="needs the extra baselines")
    rng = np.random.default_rng(0)
    known = np.stack([rng.normal(size=64), np.ones(64), rng.normal(size=64)])
    known[0, :3] = known[2, 20] = np.nan  # and the second one does not vary
    target = 5 + 3 * np.nan_to_num(known[0]) + 0.1 * rng.normal(size=64)
    data = SeriesDataset(
        ["a"], [target[None, :60]], known_covariates=[known], known_names=("x", "one", "noise")
    )
    error = {
        way: np.abs(
            baseline("auto_arima").predict(data, 4, ForecastConfig(covariates=way)).median[0]
            - target[60:]
        ).mean()
        for way in ("regression", "none")
    }
    assert error["regression"] < 0.5 < error["none"]


def test_a_series_that_a_model_refuses_is_forecast_by_seasonal_naive_and_said_so():
    pytest.importorskip("statsforecast", reason="needs the extra baselines")
    pasts = [np.array([1.0, 2.0])]
    with pytest.warns(UserWarning, match="1 of 1 series"):
        found = quantiles("auto_ets", pasts, 3, 4)
    np.testing.assert_array_equal(found, quantiles("seasonal_naive", pasts, 3, 4))


def test_an_unknown_baseline_is_refused_with_the_list_of_those_there_are():
    with pytest.raises(ConfigError, match="seasonal_naive"):
        baseline("prophet")


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_is_a_predictor_that_is_found_by_its_name(name):
    found = baseline(name, season=3)
    assert isinstance(found, Predictor)
    assert (found.name, found.season) == (name, 3)


@pytest.mark.parametrize("season", [0, -1, 1.5, True])
def test_a_season_that_is_not_a_number_of_steps_is_refused(season):
    with pytest.raises(ConfigError, match=f"season={season!r}"):
        baseline("seasonal_naive", season)


def test_without_a_season_each_series_has_that_of_its_own_frequency():
    past = np.arange(60.0)
    mixed = read_arrays([past, past], "2024-01-01", ["h", "ME"], ["hours", "months"])
    forecast = baseline("seasonal_naive").predict(mixed, 3, CONFIG)
    np.testing.assert_array_equal(forecast.median, [past[-24:-21], past[-12:-9]])
    undated = SeriesDataset(["a"], [past[None]])
    np.testing.assert_array_equal(
        baseline("seasonal_naive").predict(undated, 3, CONFIG).median, [[59.0] * 3]
    )


def test_every_variate_of_a_group_is_forecast_on_its_own():
    pair = np.stack([np.arange(30.0), np.arange(30.0)[::-1]])
    group = SeriesDataset(["a"], [pair], frequencies=[Frequency("h")], target_names=("up", "down"))
    forecast = baseline("naive").predict(group, 2, CONFIG)
    assert forecast.item_ids == ["a/up", "a/down"]
    np.testing.assert_array_equal(forecast.median, [[29.0] * 2, [0.0] * 2])
    np.testing.assert_array_equal(forecast.mean, forecast.median)
