"""Items with covariates, which the network forecasts as groups of variates."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax import ForecastConfig, LagLlama
from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.evaluation.baselines import baseline
from lagllama_jax.inference.batch import prepare
from lagllama_jax.inference.covariates.regression import CovariateRegression
from lagllama_jax.inference.groups import Group
from lagllama_jax.inference.memory import check_memory, group_bytes, series_bytes
from lagllama_jax.model.batch import KNOWN_COVARIATE, PADDING, PAST_COVARIATE, TARGET
from lagllama_jax.model.growth import add_variate_attention
from lagllama_jax.model.network import init_parameters
from lagllama_jax.series.arrays import read_arrays
from lagllama_jax.series.covariates import with_covariates

PLAIN = ModelConfig.tiny(
    context_length=8,
    attention_window=12,
    lags=(0, 1, 2, 5),
    imputation="loc",
    scale_features="relative",
    observed_features=True,
    one_pass=True,
    min_sigma=1e-3,
)
MODEL = PLAIN.replace(variate_attention=True)
LENGTH, STEPS = 30, 4

pytestmark = pytest.mark.usefixtures("hurry")


@pytest.fixture(scope="module")
def plain():
    return LagLlama(init_parameters(PLAIN, jax.random.key(0)), PLAIN)


@pytest.fixture(scope="module")
def fresh(plain):
    config, parameters = add_variate_attention(PLAIN, plain.parameters, jax.random.key(1))
    return LagLlama(parameters, config)


@pytest.fixture(scope="module")
def model(fresh):
    """A model in which the variates matter."""
    parameters = jax.tree.map(lambda leaf: leaf, fresh.parameters)
    for number in range(MODEL.num_layers):
        layer = parameters[f"block_{number}"]["variate_attention"]
        shape = layer["output"]["kernel"].shape
        layer["output"] = {"kernel": jax.random.normal(jax.random.key(number), shape)}
    return LagLlama(parameters, MODEL)


def walk(seed, rows=None, length=LENGTH + STEPS):
    shape = length if rows is None else (rows, length)
    return np.random.default_rng(seed).normal(size=shape).cumsum(-1)


def read(targets=1, past=0, known=0, items=1):
    """Items of random walks."""
    series = [walk(item, targets, LENGTH) for item in range(items)]
    data = read_arrays(series, "2024-01-01", "h", [f"s{item}" for item in range(items)])
    pasts = [walk(100 + item, past, LENGTH) for item in range(items)] if past else None
    knowns = [walk(200 + item, known) for item in range(items)] if known else None
    return with_covariates(data, pasts, knowns)


def forecast(model, data, method="one_pass", steps=STEPS, **options):
    options = {"covariates": "network", "method": method, **options}
    if method == "paths":
        options.setdefault("num_samples", 3)
    return model.predict(data, steps, **options)


def numbers(found):
    return found.samples if found.marginals is None else found.marginals.loc


@given(st.integers(1, 9), st.integers(0, 9), st.integers(0, 9))
def test_variates_have_places_in_a_group_of_few_sizes(targets, past, known):
    group = Group.of(read(targets, past, known), MODEL)
    role = group.roles().tolist()
    assert [role.count(kind) for kind in (TARGET, PAST_COVARIATE, KNOWN_COVARIATE)] == [
        targets,
        past,
        known,
    ]
    assert KNOWN_COVARIATE not in role[: group.drawn]
    assert set(role[group.drawn :]) <= {KNOWN_COVARIATE, PADDING}
    assert group.size <= 1.5 * (targets + past + known) + 1
    assert Group.of(read(targets, past, known), PLAIN).size == targets


def test_covariates_are_on_the_grid_of_their_target():
    data, coming = read(1, 1, 2), 6
    batch = prepare(data, np.array([0]), MODEL, coming).batch
    assert batch.role.tolist() == [[TARGET, PAST_COVARIATE, KNOWN_COVARIATE, KNOWN_COVARIATE]]
    length = MODEL.past_length
    assert batch.values.shape == (1, 4, length + coming)
    raw = batch.unit[..., None] * (batch.values + batch.level[..., None])
    expected = (data.targets[0], data.past_covariates[0])
    for variate, rows in enumerate(expected):
        np.testing.assert_allclose(raw[0, variate, :length], rows[0, -length:], atol=1e-5)
    known = data.known_covariates[0][:, LENGTH - length :]
    np.testing.assert_allclose(raw[0, 2:, : length + STEPS], known, atol=1e-5)
    future = [False, False, True, True]
    assert batch.observed[0, :, :length].all()
    assert batch.observed[0, :, length : length + STEPS].all(-1).tolist() == future
    assert not batch.observed[0, :, length + STEPS :].any()


def test_short_items_are_filled_with_missing_points_before_their_start():
    data = read_arrays([np.array([1.0, 2.0])], "2024-01-01", "h", ["a"])
    data = with_covariates(data, None, [np.array([3.0, 5.0, 7.0])])
    batch = prepare(data, np.array([0]), MODEL, 2).batch
    seen = np.flatnonzero(batch.observed[0, 0]), np.flatnonzero(batch.observed[0, 1])
    end = MODEL.past_length
    assert [places.tolist() for places in seen] == [[end - 2, end - 1], [end - 2, end - 1, end]]


def test_a_covariate_that_is_too_large_is_named():
    data = read(1, 1)
    data.past_covariates[0][0, -1] = 1e308
    with pytest.raises(DataError, match="'s0', covariate 'past_0': value 1e.308 at point 29"):
        prepare(data, np.array([0]), MODEL, 2)


@pytest.mark.parametrize("method", ["one_pass", "paths"])
def test_new_layers_change_no_forecast(plain, fresh, method):
    for data, options in (
        (read(1, 0, 3), {"covariates": "network"}),
        (read(2), {"covariates": "network"}),
        (read(1, 0, 3), {"covariates": "none"}),
        (read(2), {}),
    ):
        new = forecast(fresh, data, method, **options)
        old = forecast(plain, data, method, covariates="none")
        np.testing.assert_allclose(numbers(new), numbers(old), atol=1e-5)
        assert numbers(new).shape[0] == len(data.target_names)


def test_the_options_without_the_network_forecast_each_target_on_its_own(plain, model):
    data = read(2)
    expected = forecast(plain, data, covariates="none")
    for covariates in ("none", "regression"):
        found = forecast(model, data, covariates=covariates)
        np.testing.assert_array_equal(numbers(found), numbers(expected))
    together = forecast(model, data)
    assert (np.abs(numbers(together) - numbers(expected)) > 1e-3).any(axis=1).all()


@pytest.mark.parametrize("method", ["one_pass", "paths"])
def test_covariates_change_the_forecast_from_their_point_on(model, method):
    data = read(1, 1, 1)
    before = numbers(forecast(model, data, method))

    def moved(field, place):
        other = read(1, 1, 1)
        getattr(other, field)[0][0, place] += 3.0
        change = np.abs(numbers(forecast(model, other, method)) - before)
        return change.reshape(-1, STEPS).max(axis=0)

    assert (moved("past_covariates", -1) > 1e-4).all()
    later = moved("known_covariates", LENGTH + 2)
    assert not later[:2].any() and (later[2:] > 1e-4).all()


@pytest.mark.parametrize("method", ["one_pass", "paths"])
def test_covariates_beyond_the_horizon_change_nothing(model, method):
    data = read(1, 0, 1)
    longer = with_covariates(read(1), None, [np.append(data.known_covariates[0], [[9.0] * 5], 1)])
    one, two = (numbers(forecast(model, each, method)) for each in (data, longer))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("method", ["one_pass", "paths"])
def test_a_covariate_without_values_changes_nothing_and_is_named(model, method):
    data = read(1, 0, 2)
    empty = np.append(data.known_covariates[0], np.full((2, LENGTH + STEPS), np.nan), 0)
    with pytest.warns(UserWarning, match="known_2, known_3 are not used: they have no value"):
        more = forecast(model, with_covariates(read(1), None, [empty]), method)
    np.testing.assert_allclose(numbers(more), numbers(forecast(model, data, method)), atol=1e-4)


@pytest.mark.parametrize("method", ["one_pass", "paths"])
def test_an_item_does_not_depend_on_the_others(model, method):
    data = read(1, 1, 1, items=2)
    whole = numbers(forecast(model, data, method))
    alone = numbers(forecast(model, data.take([1]), method))
    np.testing.assert_allclose(whole[1:], alone, atol=1e-4)


@given(factor=st.floats(1e-6, 1e6))
@settings(max_examples=5)
def test_the_unit_of_a_covariate_does_not_matter(model, factor):
    data, other = read(1, 0, 1), read(1, 0, 1)
    other.known_covariates[0][:] *= factor
    one, two = (numbers(forecast(model, each)) for each in (data, other))
    np.testing.assert_allclose(one, two, atol=1e-3)


def test_weights_without_attention_across_variates_are_refused(plain):
    for covariates in ("network", "both"):
        with pytest.raises(ConfigError, match=f"'{covariates}' needs weights with attention"):
            forecast(plain, read(1, 0, 1), covariates=covariates)


def test_weights_with_the_new_layers_are_saved_and_loaded(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = LagLlama.from_pretrained(tmp_path)
    assert loaded.config == model.config
    assert jax.tree.all(jax.tree.map(np.array_equal, loaded.parameters, model.parameters))


def test_missing_ends_are_forecast_across_with_their_covariates(model):
    data = read(1, 1, 1)
    data.targets[0][0, -2:] = np.nan
    found = forecast(model, data)
    longer = read(1, 1, 1)
    shorter = longer.truncate(np.array([LENGTH - 2]))
    expected = forecast(model, shorter, steps=STEPS + 2)
    np.testing.assert_allclose(numbers(found), numbers(expected)[:, 2:], atol=1e-5)


def test_fine_series_are_aggregated_with_their_covariates(model):
    minutes = read_arrays([walk(0, 1, 1500)], "2024-01-01", "15min", ["a"])
    known = walk(1, 1, 1564)
    other = known.copy()
    other[0, 1540] += 50.0
    found = [
        numbers(forecast(model, with_covariates(minutes, None, [each]), steps=64))
        for each in (known, other)
    ]
    change = np.abs(found[0] - found[1])[0]
    assert not change[:32].any() and change[40] > 1e-4


class Recorder:
    """A seasonal naive forecast that keeps the series that it was given."""

    def predict(self, dataset, prediction_length, config):
        self.given = dataset
        return baseline("seasonal_naive").predict(dataset, prediction_length, config)


def test_both_gives_the_network_the_effect_of_the_covariates_out_of_sample():
    cause, steps = np.random.default_rng(0).normal(size=(1, 624)), 24
    target = 3 * cause[:, :600] + 0.1 * walk(1, 1, 600)
    data = read_arrays([target], "2024-01-01", "h", ["a"])
    data, recorder = with_covariates(data, None, [cause]), Recorder()
    config = ForecastConfig(covariates="both")
    found = CovariateRegression(recorder, recorder).predict(data, steps, config)
    assert found.dataset is data and recorder.given.targets is data.targets
    assert recorder.given.known_names == ("known_0", "effect on target")
    hint = recorder.given.known_covariates[0][1]
    assert np.corrcoef(hint, cause[0])[0, 1] > 0.98
    assert hint.std() == pytest.approx(3 * cause.std(), rel=0.1)
    # What follows the last window of the past does not change the hint before it.
    data.targets[0][0, -steps:] += 100.0
    CovariateRegression(recorder, recorder).predict(data, steps, config)
    changed = recorder.given.known_covariates[0][1]
    np.testing.assert_allclose(changed[:600], hint[:600])
    assert not np.allclose(changed[600:], hint[600:])


def test_both_forecasts_short_items_without_a_hint(model):
    data = read(2, 1, 1)
    one, two = (numbers(forecast(model, data, covariates=each)) for each in ("both", "network"))
    assert np.isfinite(one).all()
    np.testing.assert_allclose(one, two, atol=1e-4)


def test_the_memory_of_a_group_counts_its_variates():
    one = series_bytes(MODEL, 100, 64)
    assert group_bytes(MODEL, 100, 64, (1, 1)) == one
    assert 8 * one < group_bytes(MODEL, 100, 64, (8, 8)) < 9 * one
    assert group_bytes(MODEL, 100, 64, (1, 8)) < 4 * one


def test_a_group_beyond_the_memory_is_refused_with_advice():
    with pytest.raises(ConfigError, match="One item of 1000000 variates.*among several calls"):
        check_memory(MODEL, 0, 64, jax.local_devices()[0], (10**6, 10**6))
