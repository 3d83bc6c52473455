"""The guard of a fine-tuning: real forecasts, compared by their paired differences."""

import jax
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lagllama_jax.config import DataConfig, ForecastConfig, ModelConfig
from lagllama_jax.evaluation.metrics import sample_crps
from lagllama_jax.inference.predictor import ModelPredictor
from lagllama_jax.model.network import init_parameters
from lagllama_jax.series.arrays import read_arrays
from lagllama_jax.training import guard
from lagllama_jax.training.guard import FEWEST_WINDOWS, compare, forecast_crps
from lagllama_jax.training.sources.corpus_arrays import host_arrays
from lagllama_jax.training.sources.windows import gather
from lagllama_jax.training.validation import tail_draws
from tests.training.conftest import packed

MODEL = ModelConfig.tiny(lags=(0, 1, 2, 7), context_length=8, scale_features="none")
HORIZON = 4


@settings(max_examples=60)
@given(
    windows=st.integers(FEWEST_WINDOWS, 30),
    gain=st.floats(-0.5, 0.5),
    noise=st.floats(0.01, 1.0),
    seed=st.integers(0, 1000),
)
def test_only_a_gain_of_more_than_a_standard_error_over_windows_counts(windows, gain, noise, seed):
    rng = np.random.default_rng(seed)
    before = rng.gamma(2.0, size=(windows, HORIZON))
    after = before - gain - noise * rng.normal(size=(windows, 1))
    found = compare(before, after)
    differences = (before - after).mean(1)
    error = differences.std(ddof=1) / np.sqrt(windows)
    assert np.isclose(found.margin, error)
    assert np.isclose(found.before - found.after, differences.mean())
    assume(abs(differences.mean() - error) > 1e-9)
    assert found.improved == (differences.mean() > error)
    assert not compare(before, before).improved


def test_of_few_windows_the_points_decide_and_missing_ones_do_not_count():
    before = np.array([[1.0, 2.0, np.nan, 1.0]])
    after = np.array([[0.5, 1.0, np.nan, 1.0]])
    found = compare(before, after)
    assert np.isclose(found.before, 4 / 3) and np.isclose(found.after, 2.5 / 3)
    assert np.isclose(found.margin, np.std([0.5, 1.0, 0.0], ddof=1) / np.sqrt(3))
    assert found.improved


def ends(series):
    corpus = packed(series)
    data = DataConfig(future_length=HORIZON, min_past=8)
    draws = tail_draws(corpus, corpus.lengths - HORIZON, MODEL, data, 1000)
    return gather(host_arrays(corpus), draws, MODEL, data)


@pytest.fixture(scope="module")
def parameters():
    return init_parameters(MODEL, jax.random.key(0))


def test_it_scores_the_forecasts_that_the_model_would_give(parameters):
    rng = np.random.default_rng(0)
    level, unit = 1e9, 3.0
    series = [level + unit * rng.normal(size=60).cumsum() for _ in range(20)]
    found = forecast_crps(parameters, MODEL, ends(series), HORIZON, np.full((20, 1), unit))
    assert found.shape == (20, HORIZON)
    truth = np.stack([one[-HORIZON:] for one in series])
    known = read_arrays([one[:-HORIZON] for one in series])
    drawn = ModelPredictor(parameters, MODEL).predict(known, HORIZON, ForecastConfig()).samples
    expected = sample_crps(truth, drawn, axis=()) / unit
    assert 0.9 < found.mean() / expected.mean() < 1.1


def test_windows_without_an_observed_end_are_left_out(parameters, monkeypatch):
    monkeypatch.setattr(guard, "MOST_FORECASTS", 3)
    series = [np.sin(np.arange(60.0) + phase) for phase in range(6)]
    for blind in (0, 2, 4):
        series[blind][-HORIZON:] = np.nan
    series[1][-1] = np.nan
    found = forecast_crps(parameters, MODEL, ends(series), HORIZON, np.ones((6, 1)))
    assert np.isnan(found).tolist() == [[False] * 3 + [True], [False] * 4, [False] * 4]


def test_forecasts_that_are_no_numbers_are_no_improvement():
    before = np.ones((10, HORIZON))
    after = np.where(np.arange(HORIZON) < 1, np.nan, np.full((10, 1), 0.5))
    assert not compare(before, after).improved
    unseen = np.where(np.isnan(after), np.nan, before)  # no true value is known there
    assert compare(unseen, after).improved
