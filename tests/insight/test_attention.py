"""Attention weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.inference.batch import prepare
from lagllama_jax.model.attention import WEIGHTS
from lagllama_jax.model.causal_attention import attend_causal, one_hot_values
from lagllama_jax.model.network import LagLlamaNetwork
from lagllama_jax.series.arrays import read_series

pytestmark = pytest.mark.usefixtures("hurry")


def test_the_weights_are_those_by_which_values_are_averaged():
    draws = np.random.default_rng(0).normal(size=(3, 2, 40, 4, 8))
    draws = jnp.asarray(draws, jnp.float32)
    query, key, value = draws[0], draws[1, :, :, :2], draws[2, :, :, :2]
    weights = attend_causal(query, key, one_hot_values(value, 0, 40), 25)
    by_hand = jnp.einsum("btnu,bunh->btnh", weights, jnp.repeat(value, 2, axis=2))
    np.testing.assert_allclose(attend_causal(query, key, value, 25), by_hand, atol=1e-5)


def test_weights_are_computed_only_if_asked_for_and_change_nothing(model, walk):
    prepared = prepare(read_series(walk), np.array([0]), model.config, 4)
    batch = jax.tree.map(jnp.asarray, prepared.batch)
    config, queries = model.config, jnp.array([[model.config.past_length]])

    def encode(**options):
        options |= {"window": config.window, "queries": queries, "method": "encode"}
        given = {"params": model.parameters}
        return lambda: LagLlamaNetwork(config).apply(given, batch, **options)

    plain, asked = encode(), encode(mutable=[WEIGHTS])
    products = [str(jax.make_jaxpr(one)()).count("dot_general") for one in (plain, asked)]
    assert (
        products[1]
        > products[0]
        == str(jax.make_jaxpr(encode(mutable=["x"]))()).count("dot_general")
    )
    (same, kept), plain = jax.jit(asked)(), jax.jit(plain)()
    np.testing.assert_allclose(plain.hidden, same.hidden, atol=1e-6)
    np.testing.assert_allclose(plain.ahead, same.ahead, atol=1e-6)
    assert set(kept) == {WEIGHTS}


def test_every_query_attends_to_the_past_within_the_window(model, walk):
    found = model.attention(walk, context_length=20)
    weights = found.weights
    assert weights.shape == (2, 2, 20, 20)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
    lag = found.query_steps[:, None] - found.key_steps
    allowed = (lag >= 1) & (lag <= max(model.config.window, 20))
    assert (weights[..., ~allowed] == 0).all() and (weights[..., allowed] > 0).all()
    assert found.query_steps[-1] == 1 and found.key_steps[-1] == 0


def test_queries_of_a_forecast_see_the_past_and_themselves(one_pass, walk):
    found = one_pass.attention(walk, 5)
    assert found.weights.shape == (2, 2, 12, 9)
    np.testing.assert_allclose(found.weights.sum(-1), 1, atol=1e-5)
    assert (found.weights[:, :, :8, 8] == 0).all() and (found.weights[:, :, 8:] > 0).all()
    np.testing.assert_allclose(found.weights[:, :, :8, :8], one_pass.attention(walk).weights)


def test_the_table_names_dates_and_lags(one_pass, walk):
    table = one_pass.attention(walk, 3, start="2024-01-01 06:00", freq="h").to_frame()
    sums = table.groupby(["layer", "head", "query"])["weight"].sum()
    np.testing.assert_allclose(sums, 1, atol=1e-5)
    hours = (table["query"] - table["key"]) / pd.Timedelta("1h")
    assert (hours == table["lag"]).all() and (table["lag"] >= 1).all()
    assert table["query"].max() == pd.Timestamp("2024-01-06 08:00")  # three hours after the end
    assert table["hidden"].sum() == 2 * 4
    numbered = one_pass.attention(walk).to_frame()
    assert (numbered["query"].max(), numbered["key"].max()) == (120, 119)


@pytest.mark.parametrize("options", [{}, {"layer": 1, "head": 0}])
def test_a_picture_is_drawn(one_pass, walk, options, tmp_path):
    found = one_pass.attention(walk, 3, start="2024-01-01", freq="D")
    found.plot(**options).savefig(tmp_path / "attention.png")
    assert (tmp_path / "attention.png").stat().st_size > 5_000


@pytest.mark.parametrize(
    ("series", "options", "error", "message"),
    [
        ([[1.0] * 9] * 2, {}, DataError, "one series per call, and 2 were given"),
        ([[np.nan] * 9], {}, DataError, "no value"),
        ([[1.0] * 9], {"prediction_length": 0}, ConfigError, "prediction_length=0"),
        ([[1.0] * 9], {"prediction_length": 2}, ConfigError, "cannot forecast in one pass"),
        ([[1.0] * 9], {"context_length": 30_000}, ConfigError, "GiB"),
    ],
)
def test_bad_input_is_named(authors, series, options, error, message):
    with pytest.raises(error, match=message):
        authors.attention(series, **options)


def test_an_unknown_layer_is_named(one_pass, walk):
    with pytest.raises(ConfigError, match="layer=2 must be from 0 to 1"):
        one_pass.attention(walk).mean(layer=2)
