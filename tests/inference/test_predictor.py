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
from lagllama_jax.inference.predictor import forecast_model, forecast_samples
from lagllama_jax.model.network import init_parameters

CONFIG = ForecastConfig(num_samples=8, batch_size=2)
NAMES = list("abcde")
STEPS = 6


def some_series() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    walks = [random.normal(size=length).cumsum() for length in (1, 30, 700, 1124, 2000)]
    walks[3][[5, 800, -1]] = np.nan
    return walks


def clocks(
    context: int, steps: int, count: int = len(NAMES)
) -> list[tuple[np.ndarray, np.ndarray]]:
    hours = np.arange(context + steps)
    return [((hours + number) // 24, (hours + number) % 24 * 3600) for number in range(count)]


@pytest.fixture(scope="module")
def forecast(tiny_config, tiny_parameters):
    """Forecasts with one program: any series, in batches of two."""

    def run(series, names, steps=STEPS, dates=None, config=CONFIG, progress=None):
        return forecast_samples(
            tiny_parameters, tiny_config, series, dates, names, steps, config, progress
        )

    return run


@pytest.fixture(scope="module")
def usual(forecast, tiny_config):
    """The forecast that the others are compared with."""
    return forecast(some_series(), NAMES, dates=clocks(tiny_config.context_length, STEPS))


@settings(max_examples=15)
@given(order=st.permutations(range(len(NAMES))), count=st.integers(1, len(NAMES)))
def test_a_series_is_forecast_the_same_in_any_company(forecast, usual, tiny_config, order, count):
    chosen = order[:count]
    series, dates = some_series(), clocks(tiny_config.context_length, STEPS)
    some = forecast(
        [series[i] for i in chosen], [NAMES[i] for i in chosen], dates=[dates[i] for i in chosen]
    )
    np.testing.assert_allclose(some, usual[chosen], rtol=1e-4, atol=1e-4)


def test_another_batch_size_gives_the_same_and_a_repetition_every_bit(forecast, usual, tiny_config):
    dates = clocks(tiny_config.context_length, STEPS)
    again = forecast(some_series(), NAMES, dates=dates)
    np.testing.assert_array_equal(again, usual)
    wider = forecast(some_series(), NAMES, dates=dates, config=CONFIG.replace(batch_size=None))
    np.testing.assert_allclose(wider, usual, rtol=1e-4, atol=1e-4)


def test_name_seed_and_date_decide_the_paths(forecast, usual, tiny_config):
    dates = clocks(tiny_config.context_length, STEPS)
    for changed in (
        forecast(some_series(), list("vwxyz"), dates=dates),
        forecast(some_series(), NAMES, dates=dates, config=CONFIG.replace(seed=1)),
        forecast(some_series(), NAMES, dates=[(day + 3, second) for day, second in dates]),
    ):
        assert (np.abs(changed - usual).max(axis=(1, 2)) > 1e-3).all()


def test_a_longer_horizon_begins_with_the_same_paths(forecast):
    series = some_series()
    short, long = (forecast(series, NAMES, steps=steps) for steps in (5, 50))
    np.testing.assert_array_equal(long[..., :5], short)
    assert np.abs(np.diff(long, axis=-1)).min(axis=(1, 2)).max() > 0


def test_a_thousand_lengths_and_a_longer_horizon_compile_nothing_new(forecast):
    forecast(some_series(), NAMES, steps=24)
    compiled: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event)
    )
    try:
        random = np.random.default_rng(1)
        series = [random.normal(size=length) for length in range(1, 1001)]
        names = [str(number) for number in range(1000)]
        finished = []
        samples = forecast(series[::10], names[::10], 25, progress=lambda *n: finished.append(n))
    finally:
        jax.monitoring.clear_event_listeners()
    assert samples.shape == (100, 8, 25) and np.isfinite(samples).all()
    assert finished[0] == (2, 100) and finished[-1] == (100, 100) and len(finished) == 50
    assert not [event for event in compiled if "compile" in event or "trace" in event]


numbers = st.one_of(
    st.floats(-1e18, 1e18), st.sampled_from([0.0, np.nan, 1e-8, 1e12, 1e-38, 5e-324, 7.0])
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
    samples = forecast([np.array(one) for one in series], NAMES[: len(series)])
    assert np.isfinite(samples).all()


@pytest.mark.parametrize("head", ["negative_binomial", "implicit_quantile"])
def test_other_heads_forecast_too(head):
    config = ModelConfig.tiny(head=head, num_layers=1, scaling="mean")
    parameters = init_parameters(config, jax.random.key(0))
    counts = [np.random.default_rng(0).poisson(5, 200), np.zeros(40)]
    samples = forecast_samples(parameters, config, counts, None, ["a", "b"], 3, CONFIG)
    assert samples.shape == (2, 8, 3) and np.isfinite(samples).all() and samples[0].std() > 0
    if head == "negative_binomial":
        np.testing.assert_array_equal(samples, np.round(samples))


def test_with_relative_features_a_forecast_is_free_of_units():
    config = ModelConfig.tiny(scale_features="relative", num_layers=1)
    parameters = init_parameters(config, jax.random.key(0))
    series = some_series()[1:]
    small, large = (
        forecast_samples(
            parameters, config, [a * one for one in series], None, NAMES[1:], 9, CONFIG
        )
        for a in (1, 4096)
    )
    np.testing.assert_allclose(large, 4096 * small, rtol=1e-6)


def test_nonnegative_forecasts_have_no_negative_value(forecast):
    config = CONFIG.replace(nonnegative=True)
    assert (forecast(some_series(), NAMES) < 0).any()
    assert (forecast(some_series(), NAMES, config=config) >= 0).all()


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
        forecast_samples(broken, tiny_config, [np.ones(3)], None, ["a"], STEPS, CONFIG)


ON_SEVERAL_DEVICES = """
import sys
import jax, numpy as np
sys.path.insert(0, sys.argv[1])
from test_predictor import *
assert jax.local_device_count() == 3
config = ModelConfig.tiny()
samples = forecast_samples(
    init_parameters(config, jax.random.key(0)), config, some_series(),
    clocks(config.context_length, STEPS), NAMES, STEPS, CONFIG.replace(batch_size=None),
)
np.save(sys.argv[2], samples)
"""


def test_several_devices_give_the_same(usual, tmp_path):
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=3"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    here, result = pathlib.Path(__file__).parent, tmp_path / "samples.npy"
    command = [sys.executable, "-c", ON_SEVERAL_DEVICES, str(here), str(result)]
    subprocess.run(command, env=environment, check=True)
    np.testing.assert_allclose(np.load(result), usual, rtol=1e-4, atol=1e-4)
