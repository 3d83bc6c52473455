"""Fine series that are aggregated to be forecast."""

import jax
import numpy as np
import pandas as pd
import pytest

from lagllama_jax import LagLlama, ModelConfig
from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.inference.aggregation import disaggregate
from lagllama_jax.inference.marginals import Marginals, middle_levels
from lagllama_jax.model.network import init_parameters
from lagllama_jax.series.arrays import read_arrays
from lagllama_jax.series.blocks import detail_deviation, last_blocks

CONFIG = ModelConfig.tiny(
    lags=(0, 1, 2, 7), context_length=8, attention_window=24, observed_features=True, one_pass=True
)
PATHS_ONLY = CONFIG.replace(one_pass=False)
START = "2024-03-01 05:10"


@pytest.fixture(scope="module")
def model():
    return LagLlama(init_parameters(CONFIG, jax.random.key(0)), CONFIG)


@pytest.fixture(scope="module")
def series():
    generator = np.random.default_rng(0)
    return [generator.normal(size=n).cumsum() for n in (900, 700, 400)]


def predict(model, series, steps=50, **options):
    given = {"start": START, "freq": "10min"} | options
    return model.predict(series, steps, **given)


def quantiles(model, series, steps=50, **options):
    return predict(model, series, steps, **options).quantiles([0.1, 0.5, 0.9])


def test_coarse_series_are_dated_by_the_beginning_of_their_blocks(series):
    fine = read_arrays(series, START, "10min")
    coarse = fine.coarsen(6)
    for one, values, begin in zip(coarse.targets, series, coarse.starts, strict=True):
        stamps = pd.date_range(START, periods=len(values), freq="10min")
        assert begin == stamps[len(values) % 6]
        assert np.allclose(one[0], last_blocks(values, 6))
    assert {f.seconds for f in coarse.frequencies} == {3600}
    # The next hour begins where the next ten minutes do.
    assert (coarse.timestamps(1, 0, 1) == fine.timestamps(1, 0, 1)).all()


def test_coarse_series_across_a_change_of_the_clock():
    values = np.arange(48.0)
    fine = read_arrays([values], pd.Timestamp("2024-03-30 20:00", tz="Europe/Rome"), "30min")
    hours = fine.coarsen(2).timestamps(0, -24, 24).hour
    assert hours.tolist() == [20, 21, 22, 23, 0, 1, *range(3, 21)]


def test_the_default_is_the_hour_for_dated_series_and_every_point_for_others(model, series):
    same = lambda one, other: np.array_equal(  # noqa: E731
        quantiles(model, series, 100, **one), quantiles(model, series, 100, **other)
    )
    assert same({}, {"coarsen": 6})
    undated = {"start": None, "freq": None}
    assert same(undated, undated | {"coarsen": 1})
    assert same({"freq": "D"}, {"freq": "D", "coarsen": 1})
    assert not same({}, {"coarsen": 1})


def test_points_begin_with_a_fine_forecast_and_go_on_around_those_of_the_means(model):
    past = np.sin(np.arange(1200) / 50)  # smooth: next to nothing beside the lines
    fine = predict(model, past, 60, coarsen=6).marginals
    near = predict(model, past, 6, coarsen=1).marginals
    means = predict(model, [last_blocks(past, 6)], 11, freq="60min").marginals
    for found, first in zip(fine, near, strict=True):
        np.testing.assert_allclose(found[:, :6], first, atol=1e-5)
    middle = fine.loc.reshape(10, 6).mean(axis=1)[1:]
    bends = np.abs(np.diff(np.r_[past[-6:].mean(), means.loc[0]], 2))[1:10]
    assert np.all(np.abs(middle - means.loc[0, 1:10]) <= bends / 8 + 1e-6)
    wide = np.repeat(means.scale[0, 1:10], 6)
    np.testing.assert_allclose(fine.scale[0, 6:], wide, rtol=0.01)


def test_a_series_is_forecast_the_same_alone_and_among_series_of_other_steps(model, series):
    options = {"item_ids": ["a", "b", "c"], "freq": ["10min", "h", "15min"]}
    together = quantiles(model, series, 50, **options)
    for row in range(3):
        alone = quantiles(
            model, series[row], 50, item_ids=[options["item_ids"][row]], freq=options["freq"][row]
        )
        assert np.allclose(alone[0], together[row], atol=1e-4)


def test_the_variance_of_points_around_the_means_is_that_of_the_past():
    one = np.ones((1, 4))
    near, means = (Marginals.student_t(5 * one, 0 * one, width * one) for width in (1.0, 0.5))
    past = np.random.default_rng(0).normal(size=4 * 400) * 3
    law = disaggregate(near, means, past, 0, 12)
    deviation = detail_deviation(past, 4, 0, 1)[0]
    assert 2 < deviation < 4
    variance = law.scale[0, 4:] ** 2 * 5 / 3
    np.testing.assert_allclose(variance, 0.5**2 * 5 / 3 + deviation**2)


def test_paths_are_drawn_point_by_point_and_matched_unless_it_is_not_wanted(model, series):
    one = predict(model, series, num_samples=20, match_marginals=False)
    fine = predict(model, series, num_samples=20, match_marginals=False, coarsen=1)
    assert np.array_equal(one.samples, fine.samples)
    assert not np.array_equal(one.quantile(0.9), fine.quantile(0.9))
    same = predict(model, series, num_samples=20)
    np.testing.assert_allclose(
        np.sort(same.samples, axis=1), one.marginals.quantiles(middle_levels(20))
    )
    both = predict(model, series, method="both", num_samples=20)
    expected = (one.quantile(0.9) + np.quantile(one.samples, 0.9, axis=1)) / 2
    np.testing.assert_allclose(both.quantile(0.9), expected)


def test_paths_alone_are_not_aggregated(model, series):
    paths = predict(model, series, method="paths", num_samples=20)
    assert paths.marginals is None
    for model_or_method in ({"method": "paths"}, {}):
        which = model if model_or_method else LagLlama(model.parameters, PATHS_ONLY)
        with pytest.raises(ConfigError, match="coarsen=6 is for forecasts in one pass"):
            predict(which, series, coarsen=6, **model_or_method)


def test_a_series_shorter_than_the_step_that_is_asked_for_is_named(model, series):
    with pytest.raises(DataError, match="'1' has 5 points, fewer than coarsen=6"):
        predict(model, [series[0], np.arange(5.0)], coarsen=6)


def test_a_step_longer_than_the_horizon_leaves_the_fine_forecast(model, series):
    points = quantiles(model, series[1], 50, coarsen=1)
    assert np.allclose(points, quantiles(model, series[1], 50, coarsen=60), atol=1e-4)


def test_a_horizon_need_not_be_whole_steps_and_counts_stay_above_zero(model):
    counts = np.random.default_rng(0).poisson(0.3, 600)
    found = quantiles(model, counts, 47, coarsen=6, nonnegative=True)
    assert found.shape == (1, 3, 47)
    assert (found >= 0).all()


def test_an_hourly_reading_on_a_fine_grid_is_enough(model):
    sparse = np.where(np.arange(900) % 6 == 2, np.arange(900.0), np.nan)
    assert np.isfinite(quantiles(model, sparse, 100)).all()


def test_nights_without_sun_stay_dark(model):
    time = np.arange(144 * 20)
    clouds = np.random.default_rng(0).uniform(size=len(time))
    power = np.maximum(np.sin(2 * np.pi * time / 144), 0) * clouds
    found = quantiles(model, power, 144, start="2024-03-01 06:00")[0]
    assert np.all(found[:, 80:138] == 0)
    assert np.all(np.ptp(found[:, 10:60], axis=0) > 0)


def test_progress_counts_series_of_all_steps(model, series):
    calls = []
    freq = ["10min", "h", "15min"]
    predict(model, series, freq=freq, progress=lambda *c: calls.append(c))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_a_value_that_cannot_be_is_named_by_its_own_position(model, series):
    bad = series[0].copy()
    bad[897] = 1e308
    with pytest.raises(DataError, match="'0': value 1e\\+308 at point 897"):
        predict(model, bad, 100)


def test_a_huge_value_of_the_past_leaves_the_detail_finite(model, series):
    huge = series[0].copy()
    huge[[500, 870]] = 1e307, -1e307
    assert np.isfinite(quantiles(model, huge, 100)).all()


@pytest.mark.parametrize("size", [0, 2.5, "hour"])
def test_a_step_that_cannot_be_is_refused(model, series, size):
    with pytest.raises(ConfigError, match="coarsen"):
        predict(model, series, coarsen=size)
