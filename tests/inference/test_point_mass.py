"""Forecasts and scores of series that mostly have one value."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax import LagLlama
from lagllama_jax.inference.point_mass import departures

DATED = {"start": "2024-01-01", "freq": "D"}
HOURS = np.arange(24 * 60)
RNG = np.random.default_rng(1)
OPEN = (HOURS % 24 >= 9) & (HOURS % 24 < 17) & (HOURS // 24 % 7 < 6)
ORDINARY = {
    "constant": (np.full(400, 3.0), "D"),
    "weekly": ((np.arange(400) % 7 == 0) * 5.0, "D"),
    "every tenth": ((np.arange(400) % 10 == 3) * 5.0, "D"),
    "alternating": (np.arange(400) % 2 * 1.0, "D"),
    "every fourth week": ((np.arange(200) % 4 == 0) * 5.0, "W"),
    "weekdays at nine": ((HOURS % 24 == 9) * (HOURS // 24 % 7 < 5) * 5.0, "h"),
    "dead": (np.r_[RNG.poisson(0.6, 340), np.zeros(60)].astype(float), "D"),
    "another price": (np.where(RNG.random(400) < 0.1, 8, np.arange(400) // 375 * 2 + 10.0), "D"),
    "solar": (np.maximum(np.sin((HOURS % 24 - 6) / 12 * np.pi), 0) * RNG.uniform(0.3, 1), "h"),
    "shop": (np.where(OPEN, RNG.poisson(5, len(HOURS)), 0).astype(float), "h"),
    "counts": (RNG.poisson(2.0, 400).astype(float), "D"),
    "normal": (RNG.normal(size=400), "D"),
}


@pytest.fixture(scope="module")
def model():
    return LagLlama.from_pretrained()


def counts(rate, series=12, points=400, seed=3):
    return np.random.default_rng(seed).poisson(rate, (series, points)).astype(float)


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_rare_counts_have_their_mean_and_their_quantiles(model, rate):
    forecast = model.predict(list(counts(rate)), 14, **DATED)
    assert abs(forecast.mean.mean() / rate - 1) < 0.25
    assert 0.7 < forecast.quantile(0.99).mean() < 3.5
    assert (forecast.quantile(0.5) < 0.5).mean() > 0.9
    assert (forecast.quantile(0.01) == 0).all()


@pytest.mark.filterwarnings("ignore:.*mostly have one value")  # at first, none is usual
@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_rare_counts_are_no_anomalies_and_large_ones_are(model, rate):
    past = counts(rate, points=300)
    past[:, 290] = 40
    tail = np.array(model.score(list(past), **DATED).tail_probability)[:, 150:]
    low = tail < 0.001
    assert low[:, 140].all()
    assert np.delete(low, 140, axis=1).mean() < 0.01
    assert np.nanmax(tail) <= 1


def test_paths_depart_independently(model):
    forecast = model.predict(list(counts(0.2)), 28, num_samples=100, **DATED)
    departed = forecast.samples > 0
    assert abs(departed.mean() - 0.2) < 0.04
    sums = departed.sum(axis=2)
    share = departed.mean(axis=(1, 2))
    assert 0.6 < (sums.var(axis=1) / (28 * share * (1 - share))).mean() < 1.4
    assert np.allclose(forecast.quantile(0.97), np.quantile(forecast.samples, 0.97, axis=1), atol=1)


def test_a_departure_off_a_schedule_is_an_anomaly(model):
    past = (np.arange(400) % 10 == 3) * 5.0
    past[[353, 378]] = 0, 5
    tail = model.score(past, **DATED).tail_probability[0]
    assert (tail[[353, 378]] < 0.001).all()


@pytest.mark.parametrize("sampling", ["random", "stratified"])
def test_few_paths_depart_as_often_as_many(model, sampling):
    past = list(counts(0.05, series=20))
    options = {"num_samples": 8, "sampling": sampling, **DATED}
    forecast = model.predict(past, 28, **options)
    assert abs((forecast.samples > 0).mean() - forecast.mean.mean()) < 0.02
    steps = (forecast.samples > 0).sum(axis=1)
    assert steps.min() == 0 and steps.max() > 0


@pytest.mark.filterwarnings("ignore:.*mostly have one value")
@pytest.mark.parametrize("name", ORDINARY)
@pytest.mark.parametrize("steps", [5, 30])
def test_other_forecasts_stay_as_they_are(model, name, steps):
    values, frequency = ORDINARY[name]
    options = {"start": "2025-01-01", "freq": frequency, "num_samples": 9}
    found = model.predict(values, steps, **options)
    plain = model.predict(values, steps, point_mass="none", **options)
    levels = [0.1, 0.5, 0.99]
    assert np.array_equal(found.quantiles(levels), plain.quantiles(levels))
    assert np.array_equal(found.samples, plain.samples)


def test_forecasts_move_with_the_units_and_to_the_other_side(model):
    past, levels = counts(0.25, series=3), [0.05, 0.5, 0.9, 0.95]
    found = model.predict(list(past), 7, **DATED).quantiles(levels)
    moved = model.predict(list(1000 - 4 * past), 7, **DATED).quantiles([0.95, 0.5, 0.1, 0.05])
    assert np.allclose(1000 - 4 * found, moved, atol=1e-6)


def test_a_forecast_depends_on_its_own_series_and_seed(model):
    past, ids = list(counts(0.2, series=4)), ["a", "b", "c", "d"]
    options = {"num_samples": 20, "nonnegative": True, **DATED}
    whole = model.predict(past, 7, item_ids=ids, **options)
    alone = model.predict(past[2:3], 7, item_ids=["c"], **options)
    assert np.array_equal(whole.samples[2], alone.samples[0])
    assert np.array_equal(whole.quantile(0.9)[2], alone.quantile(0.9)[0])
    other = model.predict(past, 7, item_ids=ids, seed=1, **options)
    assert not np.array_equal(whole.samples, other.samples)
    assert np.array_equal(whole.quantile(0.9), other.quantile(0.9))


def test_missing_values_do_not_count(model):
    past = counts(0.3, series=3)
    past[:, ::5] = np.nan
    past[:, -4:] = np.nan
    forecast = model.predict(list(past), 14, **DATED)
    assert abs(forecast.mean.mean() / np.nanmean(past) - 1) < 0.2
    assert forecast.quantile(0.99).mean() > 0.7


@settings(max_examples=100)
@given(st.integers(0, 2**16), st.floats(0.05, 0.45), st.floats(-1e3, 1e3), st.sampled_from([-1, 1]))
def test_departures_have_their_share_side_and_size(seed, share, usual, side):
    rng = np.random.default_rng(seed)
    past = usual + side * np.where(rng.random(256) < share, rng.lognormal(1, 0.5, 256), 0)
    law = departures(past)
    if law is None:
        return
    apart = past != usual
    assert law.usual.item() == usual and law.side.item() == side
    assert abs(law.share.item() - apart.mean()) < 0.2
    sizes = np.log(abs(past[apart] - usual))
    assert np.isclose(law.loc.item(), sizes.mean(), atol=1e-6)
    assert law.scale.item() >= sizes.std() * np.sqrt(0.6) - 1e-6


def test_departures_on_both_sides_are_in_the_units_of_the_series():
    past = np.where(RNG.random(256) < 0.2, RNG.normal(7, 2, 256), 7)
    law = departures(past)
    assert law.side.item() == 0 and abs(law.loc.item() - 7) < 1


def test_places_of_the_cycle_have_their_own_shares():
    places = np.arange(7 * 60) % 7
    past = np.where((places < 4) & (RNG.random(len(places)) < 0.5), 1.0, 0.0)
    shares = departures(past, 7).share[0]
    assert shares[:4].min() > 0.3 and shares[4:].max() < 0.1
    even = np.where(RNG.random(len(places)) < 0.3, 1.0, 0.0)
    assert np.ptp(departures(even, 7).share) < 0.15


def test_departures_in_runs_have_no_share():
    runs = np.repeat(RNG.random(40) < 0.3, 8) * 5.0
    assert departures(runs) is None
    assert departures(RNG.normal(size=100)) is None
    assert departures(np.full(50, np.nan)) is None
