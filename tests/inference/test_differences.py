"""Series that repeat themselves nearly exactly."""

import jax
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax import LagLlama, ModelConfig
from lagllama_jax.inference import differences
from lagllama_jax.inference.differences import RECENT, candidates, closest_lag, repeats
from lagllama_jax.model.network import init_parameters
from lagllama_jax.series.arrays import read_arrays

STEPS = 30
HOURS = {"start": "2025-03-03", "freq": "h"}


@pytest.fixture(scope="module")
def model():
    return LagLlama.from_pretrained()


def cycle(period=24, points=600, noise=0.0005, seed=0):
    """A smooth cycle whose level drifts a little, and its continuation by STEPS points."""
    generator = np.random.default_rng(seed)
    time = 2 * np.pi * np.arange(points + STEPS) / period
    shape = np.sin(time) + 0.4 * np.cos(2 * time) + 0.3 * np.sin(3 * time + 1)
    drift = noise * generator.normal(size=points + STEPS).cumsum()
    whole = shape + drift + noise * generator.normal(size=points + STEPS)
    return whole[:points], whole[points:]


def walk(points=600):
    return np.random.default_rng(3).normal(size=points).cumsum()


@pytest.mark.parametrize(("method", "period"), [("one_pass", 24), ("one_pass", 31), ("both", 24)])
def test_a_nearly_exact_cycle_is_forecast_much_better(model, method, period):
    pairs = [cycle(period, seed=seed) for seed in range(4)]
    past, truth = [past for past, _ in pairs], np.stack([future for _, future in pairs])
    options = HOURS | {"method": method}
    found = model.predict(past, STEPS, **options)
    usual = model.predict(past, STEPS, difference="none", **options)
    better, worse = (np.abs(one.median - truth).mean() for one in (found, usual))
    assert better < worse / 2
    inside = (truth >= found.quantile(0.1)) & (truth <= found.quantile(0.9))
    assert 0.5 < inside.mean() <= 1
    if found.samples is not None:
        assert np.abs(found.samples.mean(axis=1) - truth).mean() < worse / 2


@pytest.mark.parametrize("options", [{}, {"num_samples": 40}, {"method": "paths"}])
def test_quantiles_are_weighted_means_of_those_with_and_without(model, options, monkeypatch):
    past, _ = cycle(noise=0.03)

    def quantiles(weight):
        monkeypatch.setattr(differences, "weights_of", lambda *losses: np.array([[weight]]))
        found = model.predict(past, STEPS, **HOURS, **options)
        values = found.quantiles([0.1, 0.5, 0.9])
        if found.samples is not None:
            drawn = np.quantile(found.samples, [0.1, 0.5, 0.9], axis=1).swapaxes(0, 1)
            assert np.allclose(drawn, values, atol=0.1)
        return values

    without, mean, alone = (quantiles(weight) for weight in (0.0, 0.7, 1.0))
    assert np.abs(alone - without).max() > 0.1
    assert np.allclose(mean, 0.3 * without + 0.7 * alone, atol=0.005)


def test_the_weight_falls_with_the_loss_of_differences():
    losses = np.array([[1.0], [2.0], [3.0]])
    shares = [0.0, 0.1, 0.5, 0.9]
    weights = [differences.weights_of(losses, share * losses).item() for share in shares]
    assert weights[0] == 1 and (np.diff(weights) < 0).all() and weights[-1] > 0.5
    once_worse = np.array([[0.1], [0.1], [3.1]])
    assert differences.weights_of(losses, once_worse).item() == 0
    assert differences.weights_of(0 * losses, 0 * losses).item() == 0


def test_an_exact_cycle_goes_on_exactly(model):
    past = np.tile([3.0, 5, 9, 6, 4, 4, 2], 40)
    found = model.predict(past, 21, start="2025-01-06", freq="D")
    assert np.allclose(found.median[0], past[:21], atol=0.05)


@pytest.mark.parametrize("dates", [HOURS, {}])
def test_other_series_have_the_forecast_of_the_model_bit_for_bit(model, dates):
    noise = np.random.default_rng(1).normal(size=600)
    seasonal = cycle(noise=0.0)[0] + 0.8 * noise
    series = [walk(), noise, seasonal, np.ones(600), np.arange(600.0), cycle()[0][:100]]
    found = model.predict(series, STEPS, **dates)
    usual = model.predict(series, STEPS, difference="none", **dates)
    assert np.array_equal(found.marginals, usual.marginals)


def test_the_forecast_of_a_series_does_not_depend_on_the_others(model):
    series = [walk(), cycle()[0], cycle(31, seed=2)[0], walk(300)]
    together = model.predict(series, STEPS, **HOURS, item_ids=list("abcd"))
    for row, (name, one) in enumerate(zip("abcd", series, strict=True)):
        alone = model.predict([one], STEPS, **HOURS, item_ids=[name])
        assert np.allclose(alone.median[0], together.median[row], atol=1e-4)
    assert np.array_equal(together.past[1], series[1])


@settings(deadline=None, max_examples=10)
@given(scale=st.floats(1e-6, 1e6), level=st.floats(-50, 50))
def test_the_forecast_follows_units_and_level(model, scale, level):
    past, _ = cycle()
    usual = model.predict(past, STEPS, **HOURS).median
    other = model.predict(scale * (past + level), STEPS, **HOURS).median
    assert np.allclose(other / scale - level, usual, atol=2e-3)


def test_a_target_is_forecast_alone(model):
    past, other = cycle()[0], walk()
    both = model.predict([np.stack([past, other])], STEPS, **HOURS)
    for row, one in enumerate((past, other)):
        alone = model.predict([one], STEPS, **HOURS)
        assert np.allclose(both.median[row], alone.median[0], atol=1e-3)


def test_values_below_zero_are_cut_off(model):
    past = np.maximum(cycle()[0], 0)
    for method in ("one_pass", "paths"):
        found = model.predict(past, STEPS, nonnegative=True, method=method, **HOURS)
        assert found.quantile(0.01).min() == 0
        assert found.samples is None or found.samples.min() == 0


def test_paths_that_are_clipped_on_their_way_are_those_of_the_model(model):
    series = [np.maximum(walk(), 0), np.maximum(cycle()[0], 0)]
    options = HOURS | {"nonnegative": True, "num_samples": 5}
    found = model.predict(series, STEPS, **options)
    usual = model.predict(series, STEPS, difference="none", **options)
    assert np.array_equal(found.samples, usual.samples)


def test_across_missing_values_at_the_end(model):
    past, truth = cycle()
    gap = np.concatenate([past[:-5], np.full(5, np.nan)])
    found = model.predict(gap, STEPS, **HOURS)
    usual = model.predict(gap, STEPS, difference="none", **HOURS)
    assert np.abs(found.median - truth).mean() < np.abs(usual.median - truth).mean() / 2


def test_a_recent_gap_leaves_the_forecast_to_the_model(model):
    past = cycle()[0].copy()
    past[-40] = np.nan
    found = model.predict(past, STEPS, **HOURS)
    assert np.array_equal(
        found.median, model.predict(past, STEPS, difference="none", **HOURS).median
    )


def test_frames(model):
    past, truth = cycle()
    stamps = pd.date_range(HOURS["start"], periods=len(past), freq="h")
    frame = pd.DataFrame({"unique_id": "a", "ds": stamps, "y": past})
    found = model.predict_df(frame, STEPS)
    assert np.abs(found["predictions"] - truth).mean() < 0.1
    assert np.array_equal(
        found["predictions"], model.predict(past, STEPS, **HOURS, item_ids=["a"]).median[0]
    )


def test_weights_that_forecast_by_paths_alone_are_left_as_they_are():
    config = ModelConfig.tiny()
    model = LagLlama(init_parameters(config, jax.random.key(0)), config)
    options = HOURS | {"num_samples": 3}
    found = model.predict(cycle()[0], 5, **options)
    usual = model.predict(cycle()[0], 5, difference="none", **options)
    assert np.array_equal(found.samples, usual.samples)


@given(period=st.integers(2, 80), steps=st.integers(1, 90), seed=st.integers(0, 9))
def test_the_lag_is_the_shortest_whole_number_of_periods(period, steps, seed):
    one = np.random.default_rng(seed).normal(size=period)
    lag = period * -(-steps // period)
    past = np.tile(one, -(-(RECENT + 1) * lag // period))
    assert closest_lag(past, steps, 168) == lag
    assert repeats(past, lag)
    assert candidates(read_arrays([past]), steps).tolist() == [[lag]]
    assert candidates(read_arrays([past[1:]]), steps).tolist() == [[0]]


@pytest.mark.filterwarnings("error")
@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=False), max_size=60),
    st.integers(1, 12),
)
def test_any_numbers_are_read(values, steps):
    past = np.array(values, float)
    lag = closest_lag(past, steps, 168)
    assert lag == 0 or (lag >= steps and (RECENT + 1) * lag <= len(past))
    assert not lag or repeats(past, lag) in (True, False)
