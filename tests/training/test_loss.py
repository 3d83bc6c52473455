"""The loss and its gradients are the reference's, and missing points do not count."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagllama_jax.checkpoints.torch.converter import from_torch, parameters_from_torch
from lagllama_jax.config import DataConfig, ModelConfig, TrainConfig
from lagllama_jax.inference.one_pass import distributions
from lagllama_jax.model.heads import StudentT
from lagllama_jax.model.network import bind_head, init_parameters
from lagllama_jax.training.loss import draw_steps, point_losses, targets_loss
from lagllama_jax.training.recipe import Recipe
from tests.training.conftest import batch_of

TRAIN = TrainConfig()


def recorded(repository, name):
    """A recorded window, the model, and the results."""
    folder = repository / "tests/goldens"
    config, parameters = from_torch(folder / f"{name}.ckpt", reference_scaling=True)
    with np.load(folder / f"{name}.npz") as file:
        results = dict(file)
    join = lambda kind: np.concatenate([results[f"past_{kind}"], results[f"future_{kind}"]], 1)  # noqa: E731
    values, observed = join("target"), join("observed_values") > 0
    clock = join("time_feat")[:, config.max_lag :]
    windows = batch_of(values, observed, clock, results["past_target"].shape[1])
    return config, parameters, windows, results


@pytest.mark.parametrize("name", ["robust", "std", "neg_bin"])
def test_loss_and_gradients_are_the_references(repository, name):
    config, parameters, windows, results = recorded(repository, name)
    tolerance = 2e-3 if name == "neg_bin" else 2e-5

    @jax.jit
    def everything(parameters):
        gradient = jax.grad(targets_loss, has_aux=True)
        grads, metrics = gradient(parameters, Recipe(config, train=TRAIN), windows, None)
        losses, weight, _ = point_losses(parameters, config, TRAIN, windows, None).near
        return grads, metrics["loss"], jnp.where(weight, losses, 0)

    grads, loss, losses = everything(parameters)
    scale = np.abs(results["loss_per_point"]).max()
    np.testing.assert_allclose(losses, results["loss_per_point"], atol=tolerance * scale)
    np.testing.assert_allclose(loss, results["loss"], rtol=tolerance)
    theirs = {k.removeprefix("grad/"): v for k, v in results.items() if k.startswith("grad/")}
    expected = parameters_from_torch(theirs, config, "recorded gradients")
    for ours, other in zip(jax.tree.leaves(grads), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, other, atol=10 * tolerance * np.abs(other).max())


def made(config, batch=3, future=4, seed=0):
    generator = np.random.default_rng(seed)
    length = config.past_length + future
    values = generator.normal(size=(batch, length)).astype(np.float32)
    observed = generator.random(values.shape) < 0.9
    clock = generator.random((batch, config.context_length + future, 6)).astype(np.float32) - 0.5
    return batch_of(values, observed, clock, config.past_length)


SMALL = ModelConfig.tiny(lags=(0, 1, 3), context_length=6)


@pytest.fixture(scope="module")
def parameters():
    return init_parameters(SMALL, jax.random.key(0))


def small_loss(parameters, windows, train=TRAIN):
    return targets_loss(parameters, Recipe(SMALL, train=train), windows, None)[0]


@pytest.fixture(scope="module")
def loss(parameters):
    return jax.jit(lambda windows: small_loss(parameters, windows))


def test_a_missing_or_far_target_does_not_count(parameters, loss):
    windows = made(SMALL)
    hidden = windows._replace(observed=windows.observed.at[..., -1].set(False))
    wild = windows._replace(values=windows.values.at[..., -1].set(1e6))
    wild_hidden = hidden._replace(values=hidden.values.at[..., -1].set(1e6))
    assert float(loss(hidden)) == float(loss(wild_hidden))
    assert float(loss(wild)) > float(loss(windows)) + 1
    capped = TrainConfig(max_scaled=1e3)
    got = jax.jit(lambda w: small_loss(parameters, w, capped))(wild)
    np.testing.assert_allclose(got, loss(hidden), rtol=1e-6)


def test_a_window_without_an_observed_past_does_not_count(parameters, loss):
    windows = made(SMALL)
    blind = windows.observed.at[0, :, : SMALL.past_length].set(False)
    without = jax.tree.map(lambda leaf: leaf[1:], windows)
    np.testing.assert_allclose(loss(windows._replace(observed=blind)), loss(without), rtol=1e-5)


def test_the_attention_window_limits_what_a_target_depends_on(parameters):
    windows = made(SMALL, batch=1)
    changed = windows._replace(time_features=windows.time_features.at[0, 0].add(5.0))

    def last(windows, window):
        losses = point_losses(parameters, SMALL, TRAIN, windows, None, window=window)
        return float(losses.near.values[0, -1])

    assert last(windows, 4) == last(changed, 4)
    assert last(windows, None) != last(changed, None)


@pytest.mark.parametrize("dtype", ["bfloat16"])
def test_bfloat16_computes_nearly_the_same_with_float32_parameters(parameters, loss, dtype):
    windows, low = made(SMALL), TrainConfig(dtype=dtype)
    gradient = jax.jit(jax.grad(lambda p: small_loss(p, windows, low)))
    rounded = jax.jit(lambda p: small_loss(p, windows, low))(parameters)
    assert abs(float(rounded) - float(loss(windows))) < 0.05
    assert float(rounded) != float(loss(windows))
    assert {leaf.dtype for leaf in jax.tree.leaves(gradient(parameters))} == {jnp.dtype("float32")}


QUERIES = DataConfig(future_length=3, queries=40, farthest=9)


def one_pass_config():
    return ModelConfig.tiny(lags=(0, 1, 3), context_length=6, observed_features=True, one_pass=True)


@pytest.mark.parametrize("farthest", [2, 9, 30])
def test_steps_of_one_pass_are_spread_from_the_first_to_the_last_observed_point(farthest):
    windows = made(SMALL, batch=3, future=20)
    observed = windows.observed.at[1, :, SMALL.past_length + 5 :].set(False)
    observed = observed.at[2, :, SMALL.past_length :].set(False).at[:2, :, -1].set(False)
    windows = windows._replace(observed=observed.at[0, :, -2].set(True))
    data = QUERIES.replace(farthest=farthest)
    steps = np.asarray(draw_steps(jax.random.key(0), windows, data))
    last = int(np.flatnonzero(windows.observed[1, 0])[-1]) - SMALL.past_length
    assert steps.min() == 1
    assert steps.max(1).tolist() == [min(18, farthest - 1), min(last, farthest - 1), 1]


def test_the_objective_is_the_weighted_mean_of_both_losses():
    config = one_pass_config()
    parameters = init_parameters(config, jax.random.key(0))
    windows = made(config, future=9)
    whole = jax.jit(
        lambda share: targets_loss(
            parameters,
            Recipe(config, QUERIES, TrainConfig(one_pass_share=share)),
            windows,
            None,
        )[0],
        static_argnums=0,
    )
    near, both, ahead = whole(0.0), whole(0.25), whole(1.0)
    np.testing.assert_allclose(both, 0.75 * near + 0.25 * ahead, rtol=1e-5)
    cut = jax.tree.map(lambda leaf: leaf, windows)._replace(
        values=windows.values[..., : config.past_length + 3],
        observed=windows.observed[..., : config.past_length + 3],
    )
    plain = Recipe(config.replace(one_pass=False), QUERIES)
    np.testing.assert_allclose(near, targets_loss(parameters, plain, cut, None)[0], rtol=1e-5)


def test_one_pass_losses_are_those_of_the_distributions_that_are_forecast():
    config = one_pass_config()
    parameters = init_parameters(config, jax.random.key(0))
    windows = made(config, future=9)
    steps = jnp.arange(1, 9)[None]
    losses_of = jax.jit(lambda w: point_losses(parameters, config, TRAIN, w, None, steps=steps))
    losses, weight, _ = losses_of(windows).ahead
    past = windows._replace(
        values=windows.values[..., : config.past_length],
        observed=windows.observed[..., : config.past_length],
    )
    forecast = jax.jit(lambda batch: distributions(parameters, config, batch, 9))
    df, loc, scale = forecast(past)[:, :, 0, 1:]
    expected = -StudentT(df, loc, scale).log_prob(windows.values[:, 0, -8:])
    np.testing.assert_allclose(
        jnp.where(weight, losses, 0), jnp.where(weight, expected, 0), atol=2e-4
    )
    assert np.array_equal(weight, windows.observed[:, 0, -8:])


@pytest.mark.parametrize("head", ["student_t", "implicit_quantile"])
def test_a_loss_free_of_units_does_not_change_with_them(head):
    config = ModelConfig.tiny(
        lags=(0, 1), context_length=4, head=head, scaling="std", scale_features="relative"
    )
    parameters = init_parameters(config, jax.random.key(0))

    @jax.jit
    def free(windows):
        losses, weight, scale = point_losses(parameters, config, TRAIN, windows, None).near
        return jnp.where(weight, bind_head(config, parameters).rescale_loss(losses, 1 / scale), 0)

    windows = made(config)
    larger = windows._replace(values=1000 * windows.values)
    np.testing.assert_allclose(free(windows), free(larger), rtol=2e-3, atol=2e-3)
    others = windows._replace(unit=1024 * windows.unit)
    np.testing.assert_allclose(free(windows), free(others), rtol=1e-5, atol=1e-5)


def test_the_published_pretraining_is_the_default():
    train, data = TrainConfig(), DataConfig()
    published = json.loads(train.to_json()) | json.loads(data.to_json())
    expected = {"learning_rate": 1e-4, "weight_decay": 0.0, "steps": 128 * 1000}
    expected |= {"future_length": 1, "augmentation": 0.5, "mixture": "series", "min_past": None}
    assert expected.items() <= published.items()
