"""Tokens: lags, imputation, squashing, and the order of features."""

import jax.numpy as jnp
import numpy as np
import pytest

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.batch import Rows
from lagllama_jax.model.lags import lag_features
from lagllama_jax.model.scalers import Scale, fit_scale
from lagllama_jax.model.tokens import series_scale, tokens

CONFIG = ModelConfig(lags=(0, 1, 3), context_length=4)


def window(seed=0, batch=2):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(batch, CONFIG.past_length)).astype(np.float32)
    observed = rng.random(values.shape) < 0.8
    clock = rng.uniform(-0.5, 0.5, (batch, 4, 6)).astype(np.float32)
    return jnp.where(observed, values, 0.0), jnp.asarray(observed), jnp.asarray(clock)


def rows(values, observed, clock, level=0.0, unit=1.0):
    """Rows whose forecast starts after their last point."""
    values, observed = jnp.asarray(values), jnp.asarray(observed)
    ones = jnp.ones((len(values), 1))
    start = jnp.full(len(values), values.shape[1])
    return Rows(values, observed, jnp.asarray(clock), start, level * ones, unit * ones)


def make(config, values, observed, clock, **standard):
    given = rows(values, observed, clock, **standard)
    return tokens(config, given, series_scale(config, given))


@pytest.mark.parametrize("scaling", ["robust", "mean", "std"])
def test_features_are_the_references(scaling, golden):
    recorded = np.load(golden / f"{scaling}.npz")
    past, future = (recorded[f"{part}_target"] for part in ("past", "future"))
    seen = [recorded[f"{part}_observed_values"] > 0 for part in ("past", "future")]
    clock = np.concatenate([recorded["past_time_feat"][:, -32:], recorded["future_time_feat"]], 1)
    scale = fit_scale(jnp.asarray(past), jnp.asarray(seen[0]), scaling, False)
    values, observed = np.concatenate([past, future], 1), np.concatenate(seen, 1)
    given = rows(values[:, :-1], observed[:, :-1], clock[:, :-1])
    ours = tokens(ModelConfig.tiny(scaling=scaling), given, scale)
    theirs = recorded["train_features"]
    assert np.abs(ours - theirs).max() / np.abs(theirs).max() < 2e-6


def test_a_token_holds_the_values_at_its_lags():
    values = jnp.arange(10.0)[None]
    assert np.array_equal(lag_features(values, (0, 1, 3), 2)[0], [[8, 7, 5], [9, 8, 6]])


def test_too_short_a_history_is_refused():
    with pytest.raises(ValueError, match="no 4 tokens of lag 3"):
        lag_features(jnp.ones((1, 6)), (0, 3), 4)


def test_missing_values_stand_at_zero_or_at_loc():
    values = jnp.full((1, 7), 5.0).at[0, -1].set(0.0)
    observed = jnp.ones((1, 7), bool).at[0, -1].set(False)
    scale = Scale(jnp.array([[5.0]]), jnp.array([[2.0]]))
    for imputation, expected in (("zero", -2.5), ("loc", 0.0)):
        config = CONFIG.replace(imputation=imputation)
        given = rows(values, observed, jnp.zeros((1, 4, 6)))
        assert tokens(config, given, scale)[0, -1, 0] == expected
        lower = rows(values - 5.0, observed, jnp.zeros((1, 4, 6)), level=5.0)
        assert tokens(config, lower, scale._replace(loc=scale.loc - 5.0))[0, -1, 0] == expected


def test_observed_flags_follow_the_lags():
    values, observed, clock = window()
    config = CONFIG.replace(observed_features=True)
    made = make(config, values, observed, clock)
    assert made.shape[-1] == config.num_features == CONFIG.num_features + 3
    assert np.array_equal(made[:, -1, -3:], observed[:, jnp.array([-1, -2, -4])])


def test_relative_tokens_do_not_depend_on_the_unit():
    values, observed, clock = window()
    config = CONFIG.replace(scale_features="relative", squash="arcsinh", imputation="loc")
    one, two = (make(config, unit * values, observed, clock) for unit in (1.0, 1024.0))
    assert one.shape[-1] == config.num_features
    assert np.allclose(one, two, atol=1e-5)


def test_a_future_change_alters_no_earlier_token():
    values, observed, clock = window()
    scale = fit_scale(values, observed, "robust", True)
    changed = values.at[:, -1].add(1.0)
    one, two = (tokens(CONFIG, rows(v, observed, clock), scale) for v in (values, changed))
    assert np.array_equal(one[:, :-1], two[:, :-1])
    assert not np.array_equal(one[:, -1], two[:, -1])


def test_without_time_features_the_calendar_is_left_out():
    values, observed, clock = window()
    config = CONFIG.replace(time_features=False)
    assert make(config, values, observed, clock).shape[-1] == CONFIG.num_features - 6


@pytest.mark.parametrize("features", ["absolute", "relative", "none"])
@pytest.mark.parametrize("imputation", ["zero", "loc"])
def test_tokens_are_those_of_the_raw_values(features, imputation):
    values, observed, clock = window()
    config = CONFIG.replace(scale_features=features, imputation=imputation)
    level, unit = 3.0, 8.0
    raw = jnp.where(observed, unit * (values + level), 0)
    expected = make(config, raw, observed, clock)
    assert np.allclose(
        make(config, values, observed, clock, level=level, unit=unit), expected, atol=1e-4
    )


def test_without_scale_features_tokens_do_not_depend_on_the_level():
    values, observed, clock = window()
    config = CONFIG.replace(scale_features="none", imputation="loc")
    low, high = (make(config, values, observed, clock, level=level) for level in (0.0, 1e6))
    assert low.shape[-1] == config.num_features
    assert np.array_equal(low, high)
