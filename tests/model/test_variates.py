"""Groups of variates in the network: who sees whom, and when."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.batch import KNOWN_COVARIATE, PADDING, PAST_COVARIATE, TARGET, Batch
from lagllama_jax.model.growth import add_variate_attention
from lagllama_jax.model.network import LagLlamaNetwork, init_parameters

PLAIN = ModelConfig.tiny(
    num_kv_heads=1,
    context_length=8,
    attention_window=12,
    lags=(0, 1, 2, 5),
    imputation="loc",
    scale_features="relative",
    observed_features=True,
    one_pass=True,
)
CONFIG = PLAIN.replace(variate_attention=True)
STEPS, GROUPS, PAST = 6, 2, PLAIN.past_length
ROLES = (TARGET, TARGET, PAST_COVARIATE, KNOWN_COVARIATE, KNOWN_COVARIATE, PADDING)
GROUP = TARGET, PAST_COVARIATE, PADDING, KNOWN_COVARIATE
roles = st.lists(st.sampled_from(ROLES), min_size=4, max_size=4)

pytestmark = pytest.mark.usefixtures("hurry")


@functools.cache
def plain():
    return init_parameters(PLAIN, jax.random.key(0))


@functools.cache
def fresh():
    return add_variate_attention(PLAIN, plain(), jax.random.key(1))[1]


@functools.cache
def trained():
    """Parameters with which the variates matter."""
    found = jax.tree.map(lambda leaf: leaf, fresh())
    for number in range(CONFIG.num_layers):
        layer = found[f"block_{number}"]["variate_attention"]
        shape = layer["output"]["kernel"].shape
        layer["output"] = {"kernel": jax.random.normal(jax.random.key(number), shape)}
    return found


def some_batch(role, seed=0, groups=GROUPS):
    """Random walks, of which only known covariates go on beyond the start."""
    random = np.random.default_rng(seed)
    role = np.tile(np.asarray(role, np.int32), (groups, 1))
    values = random.normal(size=(*role.shape, PAST + STEPS)).cumsum(-1).astype(np.float32)
    later = np.arange(PAST + STEPS) >= PAST
    known, padding = (role == kind for kind in (KNOWN_COVARIATE, PADDING))
    observed = (~later | known[..., None]) & ~padding[..., None]
    zeros = np.zeros(role.shape, np.float32)
    seed = np.arange(role.size, dtype=np.uint32).reshape(role.shape)
    time_features = random.normal(size=(groups, PLAIN.context_length + STEPS, 6))
    start = np.full(groups, PAST, np.int32)
    fields = (np.where(observed, values, 0), observed, time_features.astype(np.float32), role)
    return Batch(*map(jnp.asarray, (*fields, start, zeros, zeros + 1, seed)))


@functools.partial(jax.jit, static_argnums=2)
def encode(parameters, batch, config=CONFIG, steps=tuple(range(1, STEPS))):
    """Hidden states of all tokens and of queries, group by group."""
    network = LagLlamaNetwork(config)
    queries = batch.start[:, None] + jnp.asarray(steps) - 1
    queries = jnp.repeat(queries, batch.role.shape[1], axis=0)
    found = network.apply(
        {"params": parameters}, batch, queries=queries, window=config.window, method="encode"
    )
    shape = batch.role.shape
    return tuple(part.reshape(*shape, *part.shape[1:]) for part in (found.hidden, found.ahead))


@functools.partial(jax.jit, static_argnums=2)
def one_pass(parameters, batch, config=CONFIG):
    network = LagLlamaNetwork(config)
    hidden, _ = network.apply({"params": parameters}, batch, STEPS, method="one_pass")
    return hidden.reshape(*batch.role.shape, *hidden.shape[1:])


def changed(batch, variate, begin, end=None, by=3.0):
    """The batch with other values of one variate at some points, where they are observed."""
    place = (slice(None), variate, slice(begin, end))
    return batch._replace(values=batch.values.at[place].add(by * batch.observed[place]))


def shown(batch):
    """The batch with all values observed, as in training."""
    values = np.random.default_rng(9).normal(size=batch.values.shape).cumsum(-1)
    there = (batch.role != PADDING)[..., None]
    values = jnp.where(batch.observed, batch.values, values.astype(np.float32))
    return batch._replace(values=values * there, observed=there | jnp.zeros(values.shape, bool))


def difference(one, two):
    """Largest difference of hidden states at each token of each variate of any group."""
    return np.abs(np.asarray(one) - np.asarray(two)).max(axis=(0, 3))


def test_a_variate_alone_is_that_of_the_univariate_network_bit_for_bit():
    batch = some_batch([TARGET])
    for function in (encode, one_pass):
        pairs = zip(
            jax.tree.leaves(function(trained(), batch, CONFIG)),
            jax.tree.leaves(function(plain(), batch, PLAIN)),
            strict=True,
        )
        assert all(np.array_equal(one, two) for one, two in pairs)


def test_a_variate_alone_costs_nothing():
    batch = some_batch([TARGET])
    with_it, without = (
        jax.jit(encode.__wrapped__, static_argnums=2).lower(plain(), batch, config).as_text()
        for config in (CONFIG, PLAIN)
    )
    assert with_it == without


@given(role=roles)
@settings(max_examples=8)
def test_new_layers_change_nothing_until_they_are_trained(role):
    batch = shown(some_batch(role))
    new, old = encode(fresh(), batch, CONFIG), encode(plain(), batch, PLAIN)
    shown_ones = np.isin(role, (TARGET, PAST_COVARIATE))
    for one, two in zip(new, old, strict=True):
        np.testing.assert_array_equal(one[:, shown_ones], two[:, shown_ones])


@given(role=roles, order=st.permutations(range(4)), seed=st.integers(0, 99))
@settings(max_examples=12)
def test_permuted_variates_have_permuted_forecasts(role, order, seed):
    batch, order = some_batch(role, seed), np.array(order)
    per_variate = {"values", "observed", "role", "level", "unit", "seed"}
    fields = {name: getattr(batch, name)[:, order] for name in per_variate}
    for function in (encode, one_pass):
        one, two = function(trained(), batch), function(trained(), batch._replace(**fields))
        for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
            np.testing.assert_allclose(left[:, order], right, atol=2e-4)


@given(role=roles, begin=st.integers(PAST - 6, PAST + STEPS - 1), variate=st.integers(0, 3))
@settings(max_examples=25)
def test_a_token_sees_points_up_to_its_own_and_known_covariates_one_step_ahead(
    role, begin, variate
):
    batch = shown(some_batch(role))
    batch = batch._replace(start=batch.start * 0 + PAST - 6)  # before it, scales are fitted
    one, _ = encode(trained(), batch)
    two, _ = encode(trained(), changed(batch, variate, begin))
    token, known = begin - CONFIG.max_lag, role[variate] == KNOWN_COVARIATE
    moved = difference(one, two)
    for other, kind in enumerate(role):
        sees = kind != PADDING and role[variate] != PADDING
        sees &= other == variate or kind != KNOWN_COVARIATE or known
        first = token - known
        assert not moved[other, :first].any()
        assert moved[other, first:].any() == sees
        if sees:
            assert moved[other, first] > 1e-5


@given(role=roles, variate=st.integers(0, 3))
@settings(max_examples=12)
def test_only_the_future_of_known_covariates_is_seen_by_queries(role, variate):
    batch = shown(some_batch(role))
    _, one = encode(trained(), batch)
    _, two = encode(trained(), changed(batch, variate, PAST + 3))
    moved, known = difference(one, two), role[variate] == KNOWN_COVARIATE
    for other, kind in enumerate(role):
        sees = known and kind != PADDING
        assert not moved[other, :2].any()  # these describe points 1 and 2 after the start
        assert (moved[other, 2:] > 1e-6).all() == sees
        assert sees or not moved[other].any()


@given(steps=st.lists(st.integers(1, STEPS - 1), min_size=3, max_size=3), role=roles)
@settings(max_examples=8)
def test_queries_do_not_see_one_another(steps, role):
    batch = some_batch(role)
    whole, (_, some) = one_pass(trained(), batch), encode(trained(), batch, CONFIG, np.array(steps))
    there = np.array(role) != PADDING
    np.testing.assert_allclose(some[:, there], whole[:, there][:, :, steps], atol=1e-4)


def test_queries_of_a_window_that_goes_on_are_those_of_its_past():
    batch = shown(some_batch([TARGET, TARGET, PAST_COVARIATE, KNOWN_COVARIATE]))
    _, window = encode(trained(), batch)
    np.testing.assert_allclose(window, one_pass(trained(), batch)[:, :, 1:], atol=1e-4)


def test_tokens_of_a_part_of_a_window_leave_its_queries_the_known_future():
    batch, length = some_batch(GROUP), PAST + 1
    network, steps = LagLlamaNetwork(CONFIG), np.arange(1, STEPS)
    queries = jnp.tile(PAST + steps - 1, (batch.role.size, 1))
    settings = {"window": CONFIG.window, "queries": queries, "length": length}
    run = lambda p, b: network.apply({"params": p}, b, method="encode", **settings)  # noqa: E731
    part, (hidden, ahead) = jax.jit(run)(trained(), batch), encode(trained(), batch)
    tokens = CONFIG.context_length + 1
    assert part.hidden.shape[1] == tokens
    there = np.array(GROUP) != PADDING
    for found, whole in ((part.hidden, hidden[:, :, :tokens]), (part.ahead, ahead)):
        found = found.reshape(whole.shape)
        np.testing.assert_allclose(found[:, there], whole[:, there], atol=1e-4)


SAMPLES, DRAWN = 3, 3


def test_one_pass_begins_with_the_first_step_of_the_paths():
    batch = some_batch(GROUP)
    found = jax.jit(
        lambda p, b: LagLlamaNetwork(CONFIG).apply(
            {"params": p}, b, SAMPLES, STEPS, DRAWN, method="prefill"
        )
    )(trained(), batch)
    first = found[2].hidden.reshape(GROUPS, DRAWN, SAMPLES, -1)
    expected = one_pass(trained(), batch)[:, :DRAWN, 0]
    np.testing.assert_allclose(first, np.repeat(expected[:, :, None], SAMPLES, 2), atol=1e-5)


def test_paths_with_caches_have_the_hidden_states_of_the_whole_sequence():
    batch = some_batch(GROUP)
    drawn = np.random.default_rng(3).normal(size=(SAMPLES, GROUPS, DRAWN, STEPS))
    drawn = drawn.astype(np.float32)

    @jax.jit
    def cached(parameters, batch):
        apply = functools.partial(LagLlamaNetwork(CONFIG).apply, {"params": parameters})
        context, turn, paths = apply(batch, SAMPLES, STEPS, DRAWN, method="prefill")
        values = jnp.asarray(drawn).reshape(SAMPLES, -1, STEPS).transpose(2, 1, 0)
        paths = paths._replace(drawn=jax.vmap(context.scale.standardise)(values))
        found = []
        for step in range(STEPS - 1):
            paths = apply(context, turn, paths, jnp.int32(step), method="extend")
            found.append(paths.hidden)
        return jnp.stack(found, 2).reshape(GROUPS, DRAWN, SAMPLES, STEPS - 1, -1)

    hidden = cached(trained(), batch)
    there = np.array(GROUP[:DRAWN]) != PADDING
    for sample in range(SAMPLES):
        values = batch.values.at[:, :DRAWN, PAST:].set(drawn[sample])
        observed = batch.observed.at[:, :DRAWN, PAST:].set(there[:, None])
        whole, _ = encode(trained(), batch._replace(values=values, observed=observed))
        expected = whole[:, :DRAWN, CONFIG.context_length : -1]
        np.testing.assert_allclose(hidden[:, there, sample], expected[:, there], atol=1e-3)


def test_padding_changes_nothing():
    small = [TARGET, PAST_COVARIATE, KNOWN_COVARIATE]
    few, place = some_batch(small), np.array([0, 1, 3])
    many = some_batch(GROUP)
    for name in ("values", "observed"):
        full = getattr(many, name).at[:, place].set(getattr(few, name))
        many = many._replace(**{name: full})
    many = many._replace(time_features=few.time_features)
    one, two = one_pass(trained(), few), one_pass(trained(), many)
    np.testing.assert_allclose(one, two[:, place], atol=1e-4)


def test_a_group_does_not_see_the_others():
    batch = some_batch(GROUP)
    alone = jax.tree.map(lambda leaf: leaf[1:2], batch)
    whole, single = one_pass(trained(), batch), one_pass(trained(), alone)
    np.testing.assert_allclose(whole[1:2], single, atol=1e-4)
