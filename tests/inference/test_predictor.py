"""Forecasts of many series: their independence, programs, units, and bad input."""

import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.config import ForecastConfig, ModelConfig
from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.inference.gaps import LONGEST_GAP, AcrossGaps
from lagllama_jax.inference.predictor import ModelPredictor, forecast_model
from lagllama_jax.model.network import init_parameters, narrowed
from lagllama_jax.series.arrays import read_arrays
from lagllama_jax.series.dataset import SeriesDataset

CONFIG = ForecastConfig(num_samples=8, batch_size=2)
NAMES = list("abcde")
STEPS = 6


def some_series() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    walks = [random.normal(size=length).cumsum() for length in (1, 30, 700, 1124, 2000)]
    walks[3][[5, 800, -1]] = np.nan
    return walks


def dataset(series, names=NAMES, dated=True, shift=0) -> SeriesDataset:
    """Series that end at the same hour, where they have dates."""
    end = np.datetime64("2024-05-05T00") + np.timedelta64(shift, "h")
    starts = [str(end - np.timedelta64(len(one), "h")) for one in series]
    dates = (starts, "h") if dated else (None, None)
    return read_arrays(list(series), *dates, item_ids=names)


@pytest.fixture(scope="module")
def forecast(tiny_config, tiny_parameters):
    """Forecasts with one program: any series, in batches of two."""

    def run(series, names=NAMES, steps=STEPS, config=CONFIG, finished=None, **dates):
        predictor = ModelPredictor(tiny_parameters, tiny_config, finished)
        given = series if isinstance(series, SeriesDataset) else dataset(series, names, **dates)
        return predictor.predict(given, steps, config).samples

    return run


@pytest.fixture(scope="module")
def usual(forecast):
    """The forecast that the others are compared with."""
    return forecast(some_series())


@settings(max_examples=15)
@given(order=st.permutations(range(len(NAMES))), count=st.integers(1, len(NAMES)))
def test_a_series_is_forecast_the_same_in_any_company(forecast, usual, order, count):
    chosen, series = order[:count], some_series()
    some = forecast([series[i] for i in chosen], [NAMES[i] for i in chosen])
    np.testing.assert_allclose(some, usual[chosen], rtol=1e-4, atol=1e-4)


def test_another_batch_size_gives_the_same_and_a_repetition_every_bit(forecast, usual):
    np.testing.assert_array_equal(forecast(some_series()), usual)
    wider = forecast(some_series(), config=CONFIG.replace(batch_size=None))
    np.testing.assert_allclose(wider, usual, rtol=1e-4, atol=1e-4)


def test_name_seed_and_date_decide_the_paths(forecast, usual):
    for changed in (
        forecast(some_series(), list("vwxyz")),
        forecast(some_series(), config=CONFIG.replace(seed=1)),
        forecast(some_series(), shift=75),
    ):
        distance = np.abs(changed - usual).max(axis=(1, 2))
        assert (distance[1:] > 1e-3).all()  # the first has one point, and so no spread but its own


def test_a_longer_horizon_begins_with_the_same_paths(forecast):
    series = some_series()
    short, long = (forecast(series, steps=steps) for steps in (5, 50))
    np.testing.assert_array_equal(long[..., :5], short)
    assert np.abs(np.diff(long, axis=-1)).min(axis=(1, 2)).max() > 0


def test_a_thousand_lengths_and_a_longer_horizon_compile_nothing_new(forecast):
    forecast(some_series(), steps=25, dated=False)
    compiled: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event)
    )
    try:
        random = np.random.default_rng(1)
        series = [random.normal(size=length) for length in range(1, 1001)]
        names = [str(number) for number in range(1000)]
        finished = []
        samples = forecast(series[::10], names[::10], 32, finished=finished.append, dated=False)
    finally:
        jax.monitoring.clear_event_listeners()
    assert samples.shape == (100, 8, 32) and np.isfinite(samples).all()
    assert finished == [2] * 50
    assert not [event for event in compiled if "compile" in event or "trace" in event]


numbers = st.one_of(
    st.floats(-1e300, 1e300),
    st.sampled_from([0.0, np.nan, 1e-8, 1e12, 1e-38, 5e-324, 7.0, -99999.0]),
)


@settings(max_examples=30)
@given(
    st.lists(
        st.one_of(
            st.lists(numbers, min_size=1, max_size=30),
            st.builds(lambda value, count: [value] * count, numbers, st.integers(1, 1500)),
        ),
        min_size=1,
        max_size=2,
    )
)
def test_every_forecast_is_finite(forecast, series):
    given = SeriesDataset(NAMES[: len(series)], [np.array([one], float) for one in series])
    samples = forecast(given)
    assert np.isfinite(samples).all()


@pytest.mark.parametrize("head", ["negative_binomial", "implicit_quantile"])
def test_other_heads_forecast_too(head):
    config = ModelConfig.tiny(head=head, num_layers=1, scaling="mean")
    predictor = ModelPredictor(init_parameters(config, jax.random.key(0)), config)
    counts = [np.random.default_rng(0).poisson(5, 200), np.zeros(40)]
    samples = predictor.predict(dataset(counts, ["a", "b"]), 3, CONFIG).samples
    assert samples.shape == (2, 8, 3) and np.isfinite(samples).all() and samples[0].std() > 0
    if head == "negative_binomial":
        np.testing.assert_array_equal(samples, np.round(samples))


@pytest.fixture(scope="module")
def level_free():
    """A predictor whose features depend neither on the unit nor on the level of a series."""
    features = {"scale_features": "none", "imputation": "loc", "squash": "arcsinh"}
    config = ModelConfig.tiny(num_layers=1, lags=(0, 1, 2, 7), context_length=16, **features)
    return ModelPredictor(init_parameters(config, jax.random.key(0)), config)


@settings(max_examples=30)
@given(
    factor=st.floats(-9, 9).map(lambda exponent: 10.0**exponent),
    swings=st.one_of(st.floats(-1e10, 1e10), st.sampled_from([0.0, 1e8, 1e10, -1e10])),
)
def test_a_forecast_follows_the_unit_and_the_level_of_the_series(level_free, factor, swings):
    random = np.random.default_rng(3)
    series = 3 * np.sin(np.arange(60) / 4) + random.normal(size=60)
    swing = series.max() - series.min()
    level = factor * swings * swing
    names = ["a"]
    plain = level_free.predict(dataset([series], names), STEPS, CONFIG).samples
    moved = level_free.predict(dataset([factor * series + level], names), STEPS, CONFIG).samples
    np.testing.assert_allclose((moved - level) / factor, plain, atol=1e-4 * swing)


def test_with_relative_features_a_forecast_is_free_of_units():
    config = ModelConfig.tiny(scale_features="relative", num_layers=1)
    predictor = ModelPredictor(init_parameters(config, jax.random.key(0)), config)
    small, large = (
        predictor.predict(dataset([a * one for one in some_series()]), 9, CONFIG).samples
        for a in (1, 4096)
    )
    np.testing.assert_allclose(large, 4096 * small, rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1e6, -3.5, 1e-12])
def test_a_constant_series_is_forecast_as_its_value(forecast, value):
    samples = forecast([np.full(300, value), np.full(5, value)], ["a", "b"])
    np.testing.assert_array_equal(samples, value)


def test_one_small_step_keeps_an_interval_of_its_order(forecast):
    series = np.full(300, 1e6)
    series[200:] += 10
    samples = forecast([series], ["a"])
    width = np.subtract(*np.quantile(samples, [0.9, 0.1], axis=1))
    assert ((width > 0.1) & (width < 300)).all()


def test_nonnegative_forecasts_have_no_negative_value(forecast):
    config = CONFIG.replace(nonnegative=True)
    assert (forecast(some_series()) < 0).any()
    assert (forecast(some_series(), config=config) >= 0).all()


def test_a_longer_context_widens_the_window_and_a_stretch_makes_rope_linear():
    model = ModelConfig.tiny()
    assert forecast_model(model, ForecastConfig()).window == 32
    longer = forecast_model(model, ForecastConfig(context_length=64, rope_factor=2.0))
    assert (longer.context_length, longer.window, longer.rope) == (64, 64, "linear")
    shorter = forecast_model(model, ForecastConfig(context_length=8))
    assert (shorter.context_length, shorter.window, shorter.rope) == (8, 32, "plain")
    narrow = forecast_model(model, ForecastConfig(context_length=64, attention_window=16))
    assert (narrow.context_length, narrow.window) == (64, 16)


@pytest.mark.parametrize("steps", [0, -1, True])
def test_an_impossible_horizon_is_refused(forecast, steps):
    with pytest.raises(ConfigError, match="prediction_length"):
        forecast([np.ones(3)], ["a"], steps)


def test_unsound_weights_are_named_instead_of_returning_nan(tiny_config, tiny_parameters):
    broken = jax.tree.map(lambda leaf: leaf * np.nan, tiny_parameters)
    with pytest.raises(DataError, match="'a' is not finite: the model's weights"):
        ModelPredictor(broken, tiny_config).predict(dataset([np.arange(3)], ["a"]), STEPS, CONFIG)


def test_a_gap_at_the_end_is_a_longer_horizon(tiny_config, tiny_parameters):
    predictor = AcrossGaps(ModelPredictor(tiny_parameters, tiny_config))
    series = some_series()[1:3]
    whole = predictor.predict(dataset(series, ["a", "b"]), STEPS + 3, CONFIG).samples
    gap = [np.r_[series[0], [np.nan] * 3], series[1]]
    end = dataset(series, ["a", "b"]).starts
    given = read_arrays(gap, list(end), "h", ["a", "b"])
    found = predictor.predict(given, STEPS, CONFIG).samples
    np.testing.assert_allclose(found[0], whole[0, :, 3:], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[1], whole[1, :, :STEPS], rtol=1e-5, atol=1e-5)


def test_a_window_without_values_is_forecast_across_or_refused(tiny_config, tiny_parameters):
    predictor = AcrossGaps(ModelPredictor(tiny_parameters, tiny_config))
    level = 5000 + np.random.default_rng(0).normal(size=300)
    long = dataset([np.r_[level, np.full(1200, np.nan)]], ["a"])
    samples = predictor.predict(long, STEPS, CONFIG.replace(num_samples=50)).samples
    assert np.isfinite(samples).all() and abs(np.median(samples) - 5000) < 2500
    too_long = dataset([np.r_[level, np.full(LONGEST_GAP + 1, np.nan)]], ["a"])
    with pytest.raises(DataError, match=f"'a' ends with {LONGEST_GAP + 1} missing values"):
        predictor.predict(too_long, STEPS, CONFIG)
    nothing = SeriesDataset(["b"], [np.full((1, 9), np.nan)])
    with pytest.raises(DataError, match="'b' has no value at all"):
        predictor.predict(nothing, STEPS, CONFIG)


ON_SEVERAL_DEVICES = """
import sys
import jax, numpy as np
sys.path.insert(0, sys.argv[1])
from test_predictor import *
assert jax.local_device_count() == 3
config = ModelConfig.tiny()
predictor = ModelPredictor(init_parameters(config, jax.random.key(0)), config)
every = CONFIG.replace(batch_size=None)
samples = predictor.predict(dataset(some_series()), STEPS, every).samples
np.savez(sys.argv[2], samples=samples, quantiles=one_pass_quantiles())
"""


def one_pass_quantiles():
    """Quantiles of a forecast in one pass, on all devices."""
    config = ModelConfig.tiny(observed_features=True, one_pass=True)
    predictor = ModelPredictor(init_parameters(config, jax.random.key(0)), config)
    forecast = predictor.predict(dataset(some_series()), STEPS, ForecastConfig())
    return forecast.quantiles([0.1, 0.5, 0.9])


def test_several_devices_give_the_same(usual, tmp_path):
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=3"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    here, result = pathlib.Path(__file__).parent, tmp_path / "forecasts.npz"
    command = [sys.executable, "-c", ON_SEVERAL_DEVICES, str(here), str(result)]
    subprocess.run(command, env=environment, check=True)
    with np.load(result) as found:
        np.testing.assert_allclose(found["samples"], usual, rtol=1e-4, atol=1e-4)
        here = one_pass_quantiles()
        np.testing.assert_allclose(found["quantiles"], here, rtol=1e-4, atol=1e-4)


def test_bfloat16_rounds_the_products_of_the_blocks_only(tiny_config, tiny_parameters):
    narrow = narrowed(tiny_parameters)
    kinds = {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.dtype
        for path, leaf in jax.tree_util.tree_leaves_with_path(narrow)
    }
    rounded = {name for name, kind in kinds.items() if kind == "bfloat16"}
    assert rounded == {
        name for name in kinds if name.startswith("block_") and name.endswith("kernel")
    }
    predictor = ModelPredictor(tiny_parameters, tiny_config)
    series = dataset(some_series())
    full, rough = (
        predictor.predict(series, STEPS, ForecastConfig(method="paths", precision=precision))
        for precision in ("highest", "bfloat16")
    )
    assert full.samples is not None and rough.samples is not None
    difference = np.abs(full.samples - rough.samples)[..., 0].max(axis=1)
    spread = full.samples[..., 0].std(axis=1)
    assert (difference[1:] > 0).all() and (difference < 0.05 * spread + 1e-6).all()
