"""Counts: what a negative binomial head is trained on, and what it is not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.config import DataConfig, ModelConfig
from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.model.batch import rows_of
from lagllama_jax.model.network import init_parameters
from lagllama_jax.training.loss import targets_loss
from lagllama_jax.training.recipe import Recipe
from lagllama_jax.training.sources.corpus_arrays import corpus_arrays, host_arrays
from lagllama_jax.training.sources.counts import CHANGES
from lagllama_jax.training.sources.windows import Draws, gather
from tests.training.conftest import packed

MODEL = ModelConfig.tiny(head="negative_binomial", lags=(0, 1), context_length=8)
DATA = DataConfig(future_length=4, min_past=2, augmentation=0.0)


@pytest.mark.parametrize("value", [-1.0, 2.5, -0.25])
def test_a_value_that_is_no_count_is_refused_by_name_before_training(value):
    series = np.arange(30.0) % 5
    series[11] = value
    corpus = packed([np.arange(30.0) % 7, series], name="sales")
    with pytest.raises(DataError, match=f"Series sales/1: {value:g} at point 11 is no count"):
        corpus_arrays(corpus, MODEL, DATA)
    corpus_arrays(corpus, MODEL.replace(head="student_t"), DATA)


@pytest.mark.parametrize("name", CHANGES)
def test_windows_that_would_not_hold_counts_are_refused(name):
    corpus = packed([np.arange(30.0) % 7])
    with pytest.raises(ConfigError, match=f"negative binomial head needs counts.*set {name}=0"):
        corpus_arrays(corpus, MODEL, DATA.replace(**{name: 0.1}))


counts = st.one_of(st.integers(0, 20), st.integers(0, 10**6), st.integers(0, 10**12))


@pytest.fixture(scope="module")
def loss():
    parameters = init_parameters(MODEL, jax.random.key(0))
    whole = jax.value_and_grad(targets_loss, has_aux=True)
    return jax.jit(lambda batch: whole(parameters, Recipe(MODEL, DATA), batch, None))


@settings(max_examples=60)
@given(st.lists(counts, min_size=13, max_size=13), st.integers(0, 12))
def test_counts_of_any_size_reach_the_loss_as_counts(loss, values, missing):
    series = np.array(values, np.float64)
    series[missing] = np.nan
    corpus = packed([series])
    draws = Draws(*(np.array([field]) for field in (0, 9, 8, 9, 1, True)))
    batch = jax.tree.map(jnp.asarray, gather(host_arrays(corpus), draws, MODEL, DATA))
    raw = np.asarray(rows_of(batch).raw().values)
    assert (raw >= 0).all() and (raw == np.floor(raw)).all()
    for leaf in jax.tree.leaves(loss(batch)):
        assert np.isfinite(leaf).all()
