"""Long forecasts of hourly series, and those of their daily means."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax import ForecastConfig, LagLlama, ModelConfig
from lagllama_jax.config import DEFAULT_LEVELS
from lagllama_jax.inference.aggregation import Aggregated
from lagllama_jax.inference.backtest import loss
from lagllama_jax.inference.daily_means import WithDailyMeans, changes, days_of
from lagllama_jax.inference.marginals import Marginals, middle_levels
from lagllama_jax.inference.predictor import ModelPredictor
from lagllama_jax.model.network import init_parameters
from lagllama_jax.series.arrays import read_arrays
from lagllama_jax.series.covariates import with_covariates

CONFIG = ModelConfig.tiny(
    lags=(0, 1, 2, 7), context_length=8, attention_window=24, observed_features=True, one_pass=True
)
HOURS = {"start": "2024-03-01", "freq": "h"}
LEVELS = [0.1, 0.5, 0.9]
LONG = 10 * 24


@pytest.fixture(scope="module")
def model():
    return LagLlama(init_parameters(CONFIG, jax.random.key(0)), CONFIG)


@pytest.fixture(scope="module")
def series():
    generator = np.random.default_rng(0)
    return [generator.normal(size=n).cumsum() for n in (1700, 1600, 2000)]


def by_points(model, series, steps, dates):
    """The forecast of the points alone."""
    predictor = Aggregated(ModelPredictor(model.parameters, model.config))
    return predictor.predict(read_arrays(series, **dates), steps, ForecastConfig())


def differ(model, series, steps, dates):
    """Differences between the quantiles of the forecast and those of the points alone."""
    found = model.predict(series, steps, difference="none", **dates).quantiles(LEVELS)
    return np.abs(found - by_points(model, series, steps, dates).quantiles(LEVELS))


def test_only_long_forecasts_change_and_the_first_step_never(model, series):
    change = differ(model, series, LONG, HOURS)
    scale = np.std(series[0])
    assert change[:, :, 0].max() == 0 and change[:, :, -48:].max() > 0.02 * scale
    assert differ(model, series, 71, HOURS).max() == 0
    assert differ(model, series, 72, HOURS).max() > 0


@pytest.mark.parametrize(
    ("start", "freq", "steps"),
    [("2024-03-01", "D", 240), ("2024-03-01", "2h", 240), ("2024-03-01", "W", 40)],
)
def test_series_of_longer_steps_keep_their_forecast(model, series, start, freq, steps):
    assert differ(model, series, steps, {"start": start, "freq": freq}).max() == 0


def test_series_that_are_short_or_not_observed_at_some_hours_keep_their_forecast(model, series):
    assert differ(model, [one[-64 * 24 + 1 :] for one in series], LONG, HOURS).max() == 0
    nights = series[0].copy()
    nights[np.arange(len(nights)) % 24 == 3] = np.nan
    assert differ(model, [nights], LONG, HOURS).max() == 0
    night = series[0].copy()
    night[-24:-1] = np.nan
    assert differ(model, [night], LONG, HOURS).max() == 0
    few = series[0].copy()
    few[-60:-40] = np.nan
    assert differ(model, [few], LONG, HOURS).max() > 0
    without_dates = model.predict(series, LONG, difference="none").quantiles(LEVELS)
    alone = model.predict(series, LONG, difference="none", coarsen=1).quantiles(LEVELS)
    assert (without_dates == alone).all()


def test_coarsen_1_turns_it_off(model, series):
    found = model.predict(series, LONG, difference="none", coarsen=1, **HOURS).quantiles(LEVELS)
    assert (found == by_points(model, series, LONG, HOURS).quantiles(LEVELS)).all()


def test_a_forecast_does_not_depend_on_the_other_items(model, series):
    mixed = read_arrays(series, ["2024-03-01"] * 3, ["h", "30min", "D"])
    whole = model.predictor().predict(mixed, 4 * 48, ForecastConfig(difference="none"))
    assert days_of(mixed, 4 * 48).tolist() == [24, 0, 0]  # 1600 half-hours are too few
    for row in range(3):
        alone = mixed.take([row])
        one = model.predictor().predict(alone, 4 * 48, ForecastConfig(difference="none"))
        assert np.allclose(whole.quantiles(LEVELS)[row], one.quantiles(LEVELS)[0], atol=1e-4)


def test_each_target_of_an_item_is_forecast_as_on_its_own(model, series):
    targets = np.stack([one[-1600:] for one in series])
    options = {"difference": "none"} | HOURS
    together = model.predict([targets], LONG, **options).quantiles(LEVELS)
    apart = model.predict(list(targets), LONG, **options).quantiles(LEVELS)
    assert np.allclose(together, apart, atol=1e-4)


@pytest.mark.parametrize("steps", [LONG, LONG + 5])
def test_variates_that_see_one_another_do_so_in_daily_means_too(series, steps):
    config = CONFIG.replace(variate_attention=True)
    parameters = init_parameters(config, jax.random.key(0))
    for number in range(config.num_layers):
        layer = parameters[f"block_{number}"]["variate_attention"]
        shape = layer["output"]["kernel"].shape
        layer["output"] = {"kernel": jax.random.normal(jax.random.key(number), shape)}
    model, generator = LagLlama(parameters, config), np.random.default_rng(1)
    targets = np.stack([one[-1600:] for one in series[:2]])
    weather = generator.normal(size=(1, 1600 + steps)).cumsum(axis=1)

    asked = []

    class Watched(ModelPredictor):
        def marginals(self, dataset, steps, config, finished=None):
            asked.append((dataset, steps, config))
            return super().marginals(dataset, steps, config, finished)

    inner = ModelPredictor(model.parameters, config)
    predictor = WithDailyMeans(Aggregated(inner), Watched(model.parameters, config))
    dataset = with_covariates(read_arrays([targets], **HOURS), None, [weather])
    options = ForecastConfig(covariates="network")
    found = predictor.predict(dataset, steps, options)
    (daily, days, given) = asked.pop()
    assert days == LONG // 24 and given.covariates == "network" and found.marginals is not None
    assert np.allclose(daily.targets[0], targets[:, 1600 % 24 :].reshape(2, -1, 24).mean(axis=2))
    known = weather[:, 1600 % 24 : 1600 + LONG].reshape(1, -1, 24).mean(axis=2)
    assert np.allclose(daily.known_covariates[0][:, : known.shape[1]], known)


@pytest.mark.parametrize("nonnegative", [False, True])
def test_sample_paths_have_the_quantiles_of_the_forecast(model, series, nonnegative):
    series = [one - nonnegative * one.min() for one in series]
    options = {"difference": "none", "nonnegative": nonnegative, "num_samples": 20} | HOURS
    found = model.predict(series, LONG, **options)
    expected = np.maximum(found.quantiles(middle_levels(20)), found.lowest)
    assert np.allclose(np.sort(found.samples, axis=1), expected, atol=1e-4)
    drawn = model.predict(series, LONG, method="paths", **options).samples
    points = model.predict(series, LONG, method="paths", coarsen=1, **options).samples
    assert (drawn == points).all()


laws = st.tuples(st.floats(2.5, 30), st.floats(-50, 50), st.floats(0.01, 10), st.floats(-50, 50))


def law(df, loc, scale, count, spread=0.0):
    shape = 1 + spread * np.sin(np.arange(count))[None]
    return Marginals.student_t(np.full((1, count), df), loc * shape, scale * shape)


@given(laws, st.integers(3, 20), st.sampled_from([24, 48, 96]))
@settings(max_examples=40, deadline=None)
def test_daily_means_become_those_that_are_asked_for(numbers, count, day):
    df, loc, scale, other = numbers
    pattern = law(df, loc, scale, day, 0.3)
    # The pattern of each day is the same, so that nothing changes between the days.
    points = Marginals.student_t(*(np.tile(part, count) for part in pattern[:3]))
    found = changes(points, np.full((1, count), other), day, np.inf)
    means = (points.loc + found).reshape(count, day).mean(axis=1)
    assert np.allclose(means, other, rtol=1e-9, atol=1e-9)
    units = found / points.scale
    assert np.allclose(units, units[0, 0])
    least = changes(points, np.full((1, count), other), day, 2.0) / points.scale
    assert np.allclose(least, np.clip(units, -2, 2))


@given(laws, st.floats(1e-6, 1e6), st.floats(-1e3, 1e3))
@settings(max_examples=40, deadline=None)
def test_units_and_levels_do_not_matter(numbers, unit, level):
    df, loc, scale, other = numbers
    points, means = law(df, loc, scale, 100, 0.5), other * (1 + np.sin(np.arange(4))[None])
    moved = points._replace(loc=unit * (points.loc + level), scale=unit * points.scale)
    found = changes(moved, unit * (means + level), 24, 2.0)
    expected = unit * changes(points, means, 24, 2.0)
    assert np.allclose(found, expected, rtol=1e-6, atol=1e-6 * unit)


def test_certain_points_and_days_keep_their_values():
    points, means = law(5.0, 1.0, 1.0, 100), np.full((1, 4), 9.0)
    points.scale[:, :30] = 0
    points.scale[:, 72:80] = 1e-9  # as at night
    found = changes(points, means, 24, 2.0)
    assert (found[:, :30] == 0).all() and np.isfinite(found).all()
    assert (np.abs(found) <= 2 * points.scale).all() and found[:, 30:72].min() > 0


@pytest.mark.filterwarnings("ignore:.*mostly have one value")
@pytest.mark.parametrize("rate", [0.1, 5.0])
def test_intervals_of_independent_counts_stay_calibrated(rate):
    model, generator = LagLlama.from_pretrained(), np.random.default_rng(0)
    whole = generator.poisson(rate, (16, 2000 + LONG)).astype(float)
    past, truth = list(whole[:, :2000]), whole[:, 2000:]
    covered, losses = [], []
    for coarsen in ("auto", 1):
        found = model.predict(past, LONG, coarsen=coarsen, difference="none", **HOURS)
        quantiles = found.quantiles(DEFAULT_LEVELS)
        covered.append(((truth >= quantiles[:, 0]) & (truth <= quantiles[:, -1])).mean())
        losses.append(loss(quantiles, truth).mean())
    assert abs(covered[0] - covered[1]) < 0.02 and losses[0] < 1.01 * losses[1]
