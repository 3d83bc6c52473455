"""One pass: queries for future points, which look at the context and at themselves only."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.batch import TARGET, Batch
from lagllama_jax.model.network import LagLlamaNetwork, init_parameters

CONFIG = ModelConfig.tiny(
    context_length=12,
    attention_window=20,
    lags=(0, 1, 2, 3, 5, 9),
    imputation="loc",
    scale_features="relative",
    observed_features=True,
    one_pass=True,
)
STEPS = 16


@functools.cache
def parameters():
    return init_parameters(CONFIG, jax.random.key(0))


def some_batch(groups=3, future=0, seed=0):
    """Random walks whose forecast starts `future` points before their end."""
    random = np.random.default_rng(seed)
    length = CONFIG.past_length + future
    values = random.normal(size=(groups, 1, length)).cumsum(-1).astype(np.float32)
    fields = (
        values,
        np.ones(values.shape, bool),
        random.normal(size=(groups, CONFIG.context_length + STEPS, 6)).astype(np.float32),
        np.full((groups, 1), TARGET, np.int32),
        np.full(groups, CONFIG.past_length, np.int32),
        np.zeros((groups, 1), np.float32),
        np.ones((groups, 1), np.float32),
        np.arange(groups, dtype=np.uint32),
    )
    return Batch(*map(jnp.asarray, fields))


@functools.cache
def program(method, *numbers):
    """A compiled method of the network, with numbers as its last arguments."""
    network = LagLlamaNetwork(CONFIG)

    def run(weights, batch, **arrays):
        return network.apply({"params": weights}, batch, *numbers, method=method, **arrays)

    return jax.jit(run)


def apply(method, batch, *numbers, **arrays):
    return program(method, *numbers)(parameters(), batch, **arrays)


def ahead(batch, steps):
    """Hidden states of the queries at some distances from the start of the forecast."""
    queries = batch.start[:, None] + jnp.asarray(steps)[None] - 1
    return apply("encode", batch, queries=queries).ahead


def test_the_first_step_is_that_of_the_sample_paths():
    batch = some_batch()
    hidden, scale = apply("one_pass", batch, STEPS)
    context, _, paths = apply("prefill", batch, 2, STEPS)
    assert np.array_equal(hidden[:, 0], paths.hidden[:, 0])
    assert np.array_equal(scale.scale, context.scale.scale)


@given(steps=st.lists(st.integers(1, STEPS - 1), min_size=1, max_size=6))
@settings(max_examples=15, deadline=None)
def test_queries_do_not_see_one_another(steps):
    batch = some_batch()
    whole, _ = apply("one_pass", batch, STEPS)
    assert np.allclose(ahead(batch, steps), whole[:, np.array(steps)], atol=1e-5)


@pytest.mark.parametrize("field", ["values", "observed"])
def test_a_hidden_future_changes_nothing(field):
    batch = some_batch(future=STEPS - 1)
    points = jnp.arange(batch.values.shape[-1])
    other = jnp.where(
        points >= CONFIG.past_length, 1 - getattr(batch, field), getattr(batch, field)
    )
    changed = batch._replace(**{field: other.astype(getattr(batch, field).dtype)})
    steps = np.arange(1, STEPS)
    assert np.array_equal(ahead(batch, steps), ahead(changed, steps))


def test_a_window_of_training_gives_the_forecast_of_its_past():
    window = some_batch(future=STEPS - 1)
    past = window._replace(
        values=window.values[..., : CONFIG.past_length],
        observed=window.observed[..., : CONFIG.past_length],
    )
    hidden, _ = apply("one_pass", past, STEPS)
    assert np.allclose(ahead(window, np.arange(1, STEPS)), hidden[:, 1:], atol=1e-5)


def test_the_past_matters_to_every_query():
    batch = some_batch()
    other = batch._replace(values=batch.values.at[..., -1].add(5.0))
    one, two = (apply("one_pass", each, STEPS)[0] for each in (batch, other))
    assert (jnp.abs(one - two).max(axis=(0, 2)) > 1e-4).all()


def test_a_group_does_not_see_the_others():
    batch = some_batch(groups=4)
    alone = jax.tree.map(lambda leaf: leaf[1:2], batch)
    whole, single = apply("one_pass", batch, STEPS)[0], apply("one_pass", alone, STEPS)[0]
    assert np.allclose(whole[1:2], single, atol=1e-5)


def test_one_pass_needs_flags_of_missing_lags():
    with pytest.raises(ValueError, match="one_pass=True needs observed_features"):
        ModelConfig.tiny(one_pass=True)
