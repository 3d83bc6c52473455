"""Fine series that are forecast by way of coarser ones."""

import jax
import numpy as np
import pandas as pd
import pytest

from lagllama_jax import LagLlama, ModelConfig
from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.inference import aggregation as resolution
from lagllama_jax.model.network import init_parameters
from lagllama_jax.series.arrays import read_arrays
from lagllama_jax.series.blocks import last_blocks

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
    for one, values, begin in zip(coarse.values, series, coarse.starts, strict=True):
        stamps = pd.date_range(START, periods=len(values), freq="10min")
        assert begin == stamps[len(values) % 6]
        assert np.allclose(one, last_blocks(values, 6))
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


def test_means_of_fine_paths_are_near_the_paths_of_the_means(model):
    past = np.sin(np.arange(1200) / 50)  # smooth: next to nothing beside the lines
    fine = predict(model, past, 60, coarsen=6)
    means = [last_blocks(past, 6)]
    hourly = predict(model, means, 10, start="2024-03-01 05:10", freq="h")
    spread = hourly.std()
    between = fine.reshape(1, 20, 10, 6).mean(axis=3) - hourly
    # A line between neighbours is not their mean; it strays by an eighth of its bends.
    bends = np.abs(np.diff(hourly, 2, axis=2)).max()
    assert np.abs(between[..., 1:-1]).max() <= bends / 8 + 0.05 * spread


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


def test_seed_and_name_decide_the_detail(model, series, monkeypatch):
    flat = lambda *given: np.zeros((len(given[2]), 20, given[3]), np.float32)  # noqa: E731
    monkeypatch.setattr(resolution, "at_own_steps", flat)
    detail = lambda name, seed: predict(  # noqa: E731
        model, series[0], coarsen=6, seed=seed, item_ids=[name]
    )
    assert np.array_equal(detail("a", 0), detail("a", 0))
    assert not np.array_equal(detail("a", 0), detail("a", 1))
    assert not np.array_equal(detail("a", 0), detail("b", 0))


def test_a_series_without_a_whole_step_is_forecast_point_by_point(model, series):
    short = [series[0], np.arange(5.0), np.r_[5.0, np.full(12, np.nan)]]
    together, points = predict(model, short, coarsen=6), predict(model, short, coarsen=1)
    assert np.allclose(together[1:], points[1:], atol=1e-4)


def test_a_horizon_need_not_be_whole_steps_and_counts_stay_above_zero(model):
    counts = np.random.default_rng(0).poisson(0.3, 600)
    samples = predict(model, counts, 47, coarsen=6, nonnegative=True)
    assert samples.shape == (1, 20, 47)
    assert (samples >= 0).all()


def test_an_hourly_reading_on_a_fine_grid_is_enough(model):
    sparse = np.where(np.arange(900) % 6 == 2, np.arange(900.0), np.nan)
    assert np.isfinite(predict(model, sparse, 100)).all()


def test_progress_counts_series_of_all_steps(model, series):
    calls = []
    freq = ["10min", "h", "15min"]
    predict(model, series, freq=freq, progress=lambda *c: calls.append(c))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_a_value_that_cannot_be_is_named_by_its_own_position(model, series):
    bad = series[0].copy()
    bad[870] = 1e30
    with pytest.raises(DataError, match="'0': value 1e\\+30 at point 870"):
        predict(model, bad, 100)


@pytest.mark.parametrize("size", [0, 2.5, "hour"])
def test_a_step_that_cannot_be_is_refused(model, series, size):
    with pytest.raises(ConfigError, match="coarsen"):
        predict(model, series, coarsen=size)
