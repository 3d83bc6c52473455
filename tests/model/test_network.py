"""The network as a whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.batch import TARGET, Batch
from lagllama_jax.model.growth import add_lags
from lagllama_jax.model.layers import RMSNorm
from lagllama_jax.model.network import LagLlamaNetwork, init_parameters
from lagllama_jax.model.tokens import series_scale, tokens
from tests.model.test_tokens import rows

CONFIG = ModelConfig.tiny()


@pytest.fixture(scope="module")
def parameters():
    return init_parameters(CONFIG, jax.random.key(0))


def run(parameters, features, config=CONFIG, **settings):
    network = LagLlamaNetwork(config, **settings)
    return network.apply({"params": parameters}, features, method="transform")


def features(length=40):
    return jax.random.normal(jax.random.key(1), (2, length, CONFIG.num_features))


def test_the_published_size_has_the_published_number_of_parameters():
    shapes = jax.eval_shape(lambda: init_parameters(ModelConfig.released(), jax.random.key(0)))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 2_449_299


def test_a_future_change_alters_nothing_earlier(parameters):
    x = features()
    one, two = run(parameters, x), run(parameters, x.at[:, 25:].add(1.0))
    assert np.array_equal(one[:, :25], two[:, :25])
    assert not np.allclose(one[:, 25:], two[:, 25:])


def test_a_series_does_not_see_its_neighbours(parameters):
    x = features()
    assert np.allclose(run(parameters, x)[:1], run(parameters, x[:1]), atol=1e-6)


def test_recomputing_activations_changes_no_gradient(parameters):
    x = features()

    def gradient(remat):
        return jax.grad(lambda p: jnp.sum(run(p, x, remat=remat) ** 2))(parameters)

    for one, two in zip(*map(jax.tree.leaves, (gradient(False), gradient(True))), strict=True):
        assert np.allclose(one, two, rtol=1e-4, atol=1e-5)


def test_dropout_is_active_in_training_only(parameters):
    config, x = CONFIG.replace(dropout=0.5), features()
    network = LagLlamaNetwork(config)

    def train(seed):
        rngs = {"dropout": jax.random.key(seed)}
        settings = {"deterministic": False, "rngs": rngs, "method": "transform"}
        return network.apply({"params": parameters}, x, **settings)

    assert np.array_equal(run(parameters, x, config), run(parameters, x))
    assert not np.allclose(train(0), run(parameters, x))
    assert not np.allclose(train(0), train(1))
    assert np.array_equal(train(0), train(0))


def test_bfloat16_stays_near_float32(parameters):
    x = features()
    exact, rough = run(parameters, x), run(parameters, x, dtype=jnp.bfloat16)
    assert rough.dtype == jnp.bfloat16
    assert np.abs(exact - rough.astype(jnp.float32)).mean() < 0.03 * np.abs(exact).mean()


def test_fresh_parameters_keep_the_references_bounds(parameters):
    for name, fan_in in (("gate", 16), ("down", 256)):
        kernel = np.asarray(parameters["block_0"]["mlp"][name]["kernel"])
        assert np.abs(kernel).max() <= fan_in**-0.5
        assert np.isclose(kernel.std(), (3 * fan_in) ** -0.5, rtol=0.05)


def test_the_norm_takes_its_statistics_in_float32():
    x = jnp.full((1, 8), 300.0, jnp.bfloat16)
    norm = RMSNorm(jnp.bfloat16)
    assert np.allclose(norm.apply({"params": {"scale": jnp.ones(8)}}, x).astype(float), 1.0)


@pytest.mark.parametrize("flags", [True, False])
def test_lags_that_are_added_change_no_forecast_until_they_are_trained(flags):
    config = CONFIG.replace(lags=(0, 2, 9), observed_features=flags)
    parameters = init_parameters(config, jax.random.key(0))
    more, grown = add_lags(config, parameters, (1, 2, 6))
    assert more.lags == (0, 1, 2, 6, 9)
    values = jax.random.normal(jax.random.key(1), (2, 9 + 20))
    observed = jax.random.bernoulli(jax.random.key(2), 0.8, values.shape)
    past = rows(values, observed, jax.random.normal(jax.random.key(3), (2, 20, 6)))
    scale = series_scale(config, past)
    one = run(parameters, tokens(config, past, scale), config)
    two = run(grown, tokens(more, past, scale), more)
    assert np.allclose(one, two, atol=1e-5)
    expected = init_parameters(more, jax.random.key(0))
    assert jax.tree.map(jnp.shape, grown) == jax.tree.map(jnp.shape, expected)


def test_hidden_states_depend_on_nothing_after_their_own_point():
    config = CONFIG.replace(lags=(0, 1, 5), context_length=8)
    parameters, batch = init_parameters(config, jax.random.key(0)), some_batch(config)
    encode = lambda batch: LagLlamaNetwork(config).apply(  # noqa: E731
        {"params": parameters}, batch, method="encode"
    )
    later = jnp.arange(batch.values.shape[-1]) >= config.max_lag + 6
    # The first six tokens are before the forecast's start, which decides loc and scale.
    batch = batch._replace(start=batch.start * 0 + config.max_lag + 6)
    one, two = (
        encode(b).hidden for b in (batch, batch._replace(values=batch.values + 9.0 * later))
    )
    assert np.array_equal(one[:, :6], two[:, :6])
    assert not np.allclose(one[:, 6:], two[:, 6:])


def test_a_variate_is_encoded_as_it_is_alone():
    config = CONFIG.replace(lags=(0, 1, 5), context_length=8)
    parameters, batch = init_parameters(config, jax.random.key(0)), some_batch(config, variates=3)
    apply = lambda batch: LagLlamaNetwork(config).apply(  # noqa: E731
        {"params": parameters}, batch, method="encode"
    )
    together = apply(batch).hidden.reshape(2, 3, 8, -1)
    for variate in range(3):
        each = {name: getattr(batch, name)[:, variate, None] for name in ("values", "observed")}
        each |= {name: getattr(batch, name)[:, variate, None] for name in ("role", "level", "unit")}
        alone = apply(batch._replace(**each)).hidden
        assert np.allclose(alone, together[:, variate], atol=1e-6)


def some_batch(config, groups=2, variates=1):
    length = config.past_length
    values = jax.random.normal(jax.random.key(4), (groups, variates, length)).cumsum(-1)
    observed = jax.random.bernoulli(jax.random.key(5), 0.9, values.shape)
    clock = jax.random.uniform(jax.random.key(6), (groups, config.context_length, 6)) - 0.5
    zeros = jnp.zeros((groups, variates))
    role, start = jnp.full(zeros.shape, TARGET), jnp.full(groups, length)
    seed = jnp.arange(groups * variates, dtype=jnp.uint32).reshape(groups, variates)
    values = jnp.where(observed, values, 0)
    return Batch(values, observed, clock, role, start, zeros, zeros + 1, seed)
