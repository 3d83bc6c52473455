"""Fine series that are aggregated to be forecast."""

from dataclasses import dataclass

import jax
import numpy as np
import pandas as pd
import pytest

from lagllama_jax import ForecastConfig, LagLlama, ModelConfig
from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.inference.aggregation import Aggregated
from lagllama_jax.inference.forecast import Forecast
from lagllama_jax.model.network import init_parameters
from lagllama_jax.series.arrays import read_arrays
from lagllama_jax.series.blocks import join, last_blocks

CONFIG = ModelConfig.tiny(lags=(0, 1, 2, 7), context_length=8, attention_window=24)
START = "2024-03-01 05:10"


@pytest.fixture(scope="module")
def model():
    return LagLlama(init_parameters(CONFIG, jax.random.key(0)), CONFIG)


@pytest.fixture(scope="module")
def series():
    generator = np.random.default_rng(0)
    return [generator.normal(size=n).cumsum() for n in (900, 700, 400)]


def predict(model, series, steps=50, **options):
    given = {"start": START, "freq": "10min", "num_samples": 20} | options
    return model.predict(series, steps, **given).samples


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
    assert np.array_equal(predict(model, series, 100), predict(model, series, 100, coarsen=6))
    same = {"start": None, "freq": None}
    undated = predict(model, series, 100, **same)
    assert np.array_equal(undated, predict(model, series, 100, **same, coarsen=1))
    daily = predict(model, series, 100, freq="D")
    assert np.array_equal(daily, predict(model, series, 100, freq="D", coarsen=1))
    assert not np.array_equal(predict(model, series, 100), predict(model, series, 100, coarsen=1))


def test_fine_paths_begin_with_a_fine_forecast_and_go_on_with_that_of_the_means(model):
    past = np.sin(np.arange(1200) / 50)  # smooth: next to nothing beside the lines
    fine = predict(model, past, 60, coarsen=6)[0]
    near = predict(model, past, 6, coarsen=1)[0]
    hourly = predict(model, [last_blocks(past, 6)], 11, freq="60min")[0]
    near, means = join(near, hourly)
    assert np.allclose(fine[:, :6], near, atol=1e-5)
    # A line through a mean is not of that mean; it strays by an eighth of its bends.
    strays = np.abs(fine.reshape(20, 10, 6).mean(axis=2) - means[:, :10])[:, 1:]
    assert np.all(strays <= np.abs(np.diff(means, 2, axis=1)) / 8 + 0.01)


def test_a_series_is_forecast_the_same_alone_and_among_series_of_other_steps(model, series):
    options = {"item_ids": ["a", "b", "c"], "freq": ["10min", "h", "15min"]}
    together = predict(model, series, 50, **options)
    for row in range(3):
        alone = predict(
            model, series[row], 50, item_ids=[options["item_ids"][row]], freq=options["freq"][row]
        )
        assert np.allclose(alone[0], together[row], atol=1e-4)


def test_a_seed_decides_the_points_within_the_steps(model, series):
    first, again, other = (predict(model, series, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@dataclass(frozen=True)
class Zeros:
    """Forecasts zero by 20 equal paths, so that all that varies is the detail."""

    def predict(self, dataset, prediction_length, config):
        samples = np.zeros((len(dataset.item_ids), 20, prediction_length))
        return Forecast(dataset, samples, config.quantile_levels)


def test_seed_and_name_decide_the_detail(series):
    def detail(name, seed):
        dataset = read_arrays([series[0]], START, "10min", item_ids=[name])
        config = ForecastConfig(coarsen=6, num_samples=20, seed=seed)
        return Aggregated(Zeros(), near=Zeros()).predict(dataset, 50, config).samples

    assert np.array_equal(detail("a", 0), detail("a", 0))
    assert not np.array_equal(detail("a", 0), detail("a", 1))
    assert not np.array_equal(detail("a", 0), detail("b", 0))


def test_a_series_shorter_than_the_step_that_is_asked_for_is_named(model, series):
    with pytest.raises(DataError, match="'1' has 5 points, fewer than coarsen=6"):
        predict(model, [series[0], np.arange(5.0)], coarsen=6)


def test_a_step_longer_than_the_horizon_leaves_the_fine_forecast(model, series):
    points = predict(model, series[1], 50, coarsen=1)[0]
    paths = predict(model, series[1], 50, coarsen=60)[0]
    assert np.allclose(np.sort(points[:, 0]), np.sort(paths[:, 0]), atol=1e-4)


def test_a_horizon_need_not_be_whole_steps_and_counts_stay_above_zero(model):
    counts = np.random.default_rng(0).poisson(0.3, 600)
    samples = predict(model, counts, 47, coarsen=6, nonnegative=True)
    assert samples.shape == (1, 20, 47)
    assert (samples >= 0).all()


def test_an_hourly_reading_on_a_fine_grid_is_enough(model):
    sparse = np.where(np.arange(900) % 6 == 2, np.arange(900.0), np.nan)
    assert np.isfinite(predict(model, sparse, 100)).all()


def test_nights_without_sun_stay_dark(model):
    time = np.arange(144 * 20)
    clouds = np.random.default_rng(0).uniform(size=len(time))
    power = np.maximum(np.sin(2 * np.pi * time / 144), 0) * clouds
    samples = predict(model, power, 144, start="2024-03-01 06:00")[0]
    assert np.all(samples[:, 80:138] == 0)
    assert np.all(samples[:, 10:60].std(axis=0) > 0)


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
    assert np.isfinite(predict(model, huge, 100)).all()


@pytest.mark.parametrize("size", [0, 2.5, "hour"])
def test_a_step_that_cannot_be_is_refused(model, series, size):
    with pytest.raises(ConfigError, match="coarsen"):
        predict(model, series, coarsen=size)
