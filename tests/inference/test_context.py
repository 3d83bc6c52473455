"""Contexts that are chosen on each series' own past."""

import jax
import numpy as np
import pytest

from lagllama_jax import LagLlama, ModelConfig
from lagllama_jax.config import ForecastConfig
from lagllama_jax.errors import ConfigError
from lagllama_jax.inference import context as module
from lagllama_jax.inference.context import choose_contexts
from lagllama_jax.model.network import init_parameters
from lagllama_jax.series.arrays import read_arrays

CONFIG = ModelConfig.tiny(lags=(0, 1, 2, 7), context_length=8, attention_window=24)
STEPS = 5
LENGTHS = (4, 8, 16)


@pytest.fixture(scope="module")
def model():
    return LagLlama(init_parameters(CONFIG, jax.random.key(0)), CONFIG)


@pytest.fixture(scope="module")
def series():
    generator = np.random.default_rng(0)
    waves = [np.sin(np.arange(n)) for n in (60, 40)]
    return [generator.normal(size=90).cumsum(), *waves, generator.normal(size=70), np.arange(3.0)]


def predict(model, series, context, **options):
    dates = {"start": "2024-01-01 05:00", "freq": "h"} | options
    return model.predict(series, STEPS, context_length=context, num_samples=10, **dates).samples


def test_a_series_is_forecast_as_with_the_context_that_was_chosen_for_it(model, series):
    alone = {length: predict(model, series, length) for length in LENGTHS}
    together = predict(model, series, LENGTHS)
    taken = [
        [length for length in LENGTHS if np.allclose(together[i], alone[length][i], atol=1e-4)]
        for i in range(len(series))
    ]
    assert all(taken)
    assert len({length for one in taken[:-1] for length in one}) > 1
    assert LENGTHS[0] in taken[-1], "too short to be tried"


def test_the_choice_is_by_the_error_of_the_last_points_which_it_does_not_see(
    model, series, monkeypatch
):
    asked = []

    def pretend(parameters, config, past, clocks, names, steps, forecast, progress=None):
        asked.append([len(one) for one in past])
        assert [len(clock[0]) for clock in clocks] == [forecast.context_length + steps] * len(past)
        truth = np.stack([series[int(name)][-steps:] for name in names])
        error = np.array([abs(forecast.context_length - best[name]) for name in names])
        return np.repeat((truth + error[:, None])[:, None], 4, axis=1)

    best = {"0": 16, "1": 4, "2": 8, "3": 16}
    monkeypatch.setattr(module, "forecast_samples", pretend)
    several, dates = ForecastConfig(context_length=LENGTHS), ("2024-01-01 05:00", "h")
    past = read_arrays(series, *dates)
    chosen = choose_contexts(model.parameters, CONFIG, past, STEPS, several)
    assert chosen.tolist() == [16, 4, 8, 16, 4]
    assert asked == [[85, 55, 35, 65]] * 3


def test_a_choice_does_not_depend_on_the_other_series(model, series):
    together = predict(model, series, LENGTHS, item_ids=list("abcde"))
    alone = predict(model, series[1:2], LENGTHS, item_ids=["b"])
    assert np.allclose(together[1:2], alone, atol=1e-4)


@pytest.mark.parametrize("lengths", [(), (4, 0), (4, 2.5)])
def test_what_is_no_length_is_refused(model, series, lengths):
    with pytest.raises(ConfigError, match="must be whole numbers above 0"):
        predict(model, series, lengths)
