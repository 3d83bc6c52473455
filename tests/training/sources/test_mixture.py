"""Weights of data sets and series, and draws by them."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lagllama_jax.config import DataConfig
from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.training.sources.mixture import alias_table, dataset_weights, series_weights

DATASET = np.array([0, 0, 0, 1, 2, 2])
LENGTHS = np.array([10, 20, 30, 400, 50, 50])
NAMES = ("a", "b", "c")


@settings(max_examples=50)
@given(hnp.arrays(float, st.integers(1, 40), elements=st.floats(0, 100).map(lambda x: round(x, 2))))
def test_an_alias_table_holds_exactly_the_weights(weights):
    if weights.sum() == 0:
        with pytest.raises(DataError, match="too short"):
            alias_table(weights)
        return
    table = alias_table(weights)
    mass = np.array(table.keep, float)
    np.add.at(mass, table.alias, 1 - np.array(table.keep, float))
    np.testing.assert_allclose(mass / len(weights), weights / weights.sum(), atol=1e-6)
    never = weights == 0
    assert not table.keep[never].any() and not never[table.alias[never]].any()


def test_draws_on_the_device_and_on_the_host_follow_the_weights():
    weights = np.array([0.0, 1.0, 2.0, 5.0])
    table = alias_table(weights)
    on_device = jax.tree.map(jax.numpy.asarray, table)
    item = jax.random.randint(jax.random.key(0), (20_000,), 0, 4)
    drawn = on_device.pick(item, jax.random.uniform(jax.random.key(1), item.shape))
    drawn = np.bincount(drawn, minlength=4) / 20_000
    np.testing.assert_allclose(drawn, weights / 8, atol=0.015)
    generator = np.random.default_rng(0)
    picked = table.pick(generator.integers(0, 4, 20_000), generator.random(20_000))
    np.testing.assert_allclose(np.bincount(picked, minlength=4) / 20_000, weights / 8, atol=0.015)


@pytest.mark.parametrize(
    ("rule", "weights"),
    [
        ("series", [3, 1, 2]),
        ("series_inverse", [1 / 3, 1, 1 / 2]),
        ("timesteps", [60, 400, 100]),
        ("timesteps_inverse", [1 / 60, 1 / 400, 1 / 100]),
        ("uniform", [1, 1, 1]),
        ("root_timesteps", [60**0.5, 20, 10]),
        ({"b": 2.0, "c": 1.0}, [0, 2, 1]),
    ],
)
def test_a_rule_weighs_data_sets_as_it_says(rule, weights):
    np.testing.assert_allclose(dataset_weights(rule, DATASET, LENGTHS, NAMES), weights)


def test_root_timesteps_counts_no_more_than_one_and_a_half_million_points():
    huge = np.array([4_000_000, 1_500_000])
    first, second = dataset_weights("root_timesteps", np.array([0, 1]), huge, ("x", "y"))
    assert first == second


def test_an_unknown_rule_or_data_set_is_named():
    with pytest.raises(ConfigError, match="mixture='evenly' must be one of 'series'"):
        DataConfig(mixture="evenly")
    with pytest.raises(DataError, match="nowhere"):
        dataset_weights({"nowhere": 1.0}, DATASET, LENGTHS, NAMES)


def test_a_data_set_keeps_its_weight_when_some_of_its_series_cannot_be_drawn():
    usable = np.array([True, False, True, True, False, False])
    weights = series_weights("uniform", DATASET, LENGTHS, NAMES, usable, power=1.0)
    np.testing.assert_allclose(weights, [10 / 40 / 2, 0, 30 / 40 / 2, 1 / 2, 0, 0])
