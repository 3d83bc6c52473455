"""One step, and many: what they compute does not depend on how they are cut."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lagllama_jax.errors import ConfigError
from lagllama_jax.model.network import init_parameters
from lagllama_jax.training.loss import targets_loss
from lagllama_jax.training.optimizer import learning_rate, learning_rates, make_optimizer
from lagllama_jax.training.sharding import Rules, make_mesh
from lagllama_jax.training.sources.complete import complete, num_synthetic
from lagllama_jax.training.sources.corpus_arrays import corpus_arrays
from lagllama_jax.training.sources.device import DeviceSource, sample_batch
from lagllama_jax.training.state import apply_gradients, init_state
from lagllama_jax.training.step import batch_key, make_steps, step_keys

KEY = jax.random.key(4)


@pytest.fixture(scope="module")
def arrays(corpus, recipe):
    return corpus_arrays(corpus, recipe.model, recipe.data)


@pytest.fixture(scope="module")
def parameters(recipe):
    return init_parameters(recipe.model, jax.random.key(0))


def run(recipe, arrays, parameters, train, count):
    whole = dataclasses.replace(recipe, train=train)
    source = DeviceSource(arrays, ("waves", "other"), whole, make_mesh(), Rules())
    steps = jax.jit(make_steps(source.batch, whole))

    def some(state):
        rates = learning_rates(train, int(state.step), count)
        return steps(state, source.next(0, count), KEY, rates)

    return some


def close(one, two, tolerance=1e-6):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def stepped(state, grads, train):
    step = jax.jit(lambda *given: apply_gradients(*given[:2], train, given[2]))
    return step(state, grads, learning_rate(train)(state.step))


def test_many_steps_in_one_call_are_those_of_many_calls(recipe, arrays, parameters):
    many = run(recipe, arrays, parameters, recipe.train, 6)
    few = run(recipe, arrays, parameters, recipe.train, 3)
    state = init_state(parameters, recipe.train)
    once, metrics = many(state)
    first, early = few(state)
    second, late = few(first)
    close(once, second)
    close(metrics["loss"], jnp.concatenate([early["loss"], late["loss"]]))
    assert len(np.unique(metrics["loss"])) == 6


def test_accumulated_batches_give_the_mean_gradient(recipe, arrays, parameters):
    train = recipe.train.replace(accumulate=3, clip_norm=None, ema_decay=0.0)
    after, metrics = run(recipe, arrays, parameters, train, 1)(init_state(parameters, train))
    window_key, _ = step_keys(KEY, 0)

    @jax.jit
    def part(index):
        key = batch_key(window_key, index, train)
        windows = sample_batch(arrays, key, train.batch_size, recipe.model, recipe.data)
        loss = lambda p: targets_loss(p, dataclasses.replace(recipe, train=train), windows, None)[0]  # noqa: E731
        return jax.value_and_grad(loss)(parameters)

    losses, grads = jax.tree.map(lambda *parts: np.stack(parts), *map(part, range(3)))
    mean = jax.tree.map(lambda leaf: leaf.mean(0), grads)
    close(metrics["loss"][0], losses.mean(), 1e-5)
    close(after, stepped(init_state(parameters, train), mean, train), 1e-4)


def test_only_the_parts_that_are_not_frozen_move(recipe, parameters):
    train = recipe.train.replace(freeze=("embedding", "block_0/mlp"), weight_decay=0.1)
    state = init_state(parameters, train)
    grads = jax.tree.map(jnp.ones_like, parameters)
    after = stepped(state, grads, train).parameters
    moved = jax.tree.map(lambda a, b: bool((a != b).all()), parameters, after)
    assert not any(jax.tree.leaves(moved["embedding"])) and not any(
        jax.tree.leaves(moved["block_0"]["mlp"])
    )
    assert all(jax.tree.leaves(moved["block_0"]["attention"])) and all(
        jax.tree.leaves(moved["block_1"])
    )
    with pytest.raises(ConfigError, match="block_9.*block_0, block_1, embedding"):
        make_optimizer(train.replace(freeze=("block_9",))).init(parameters)


def test_matrices_alone_decay(recipe, parameters):
    train = recipe.train.replace(weight_decay=0.1, clip_norm=None)
    zero = jax.tree.map(jnp.zeros_like, parameters)
    after = stepped(init_state(parameters, train), zero, train).parameters
    shrunk = jax.tree.map(lambda a, b: bool((a != b).any()), parameters, after)
    assert shrunk["block_0"]["mlp"]["up"]["kernel"] and shrunk["embedding"]["kernel"]
    assert not shrunk["embedding"]["bias"] and not shrunk["final_norm"]["scale"]


def test_a_moving_average_follows_the_weights_and_is_what_counts(recipe, parameters):
    train = recipe.train.replace(ema_decay=0.5)
    state = init_state(parameters, train)._replace(step=jnp.int32(100))
    ones = jax.tree.map(jnp.ones_like, parameters)
    after = stepped(state, ones, train)
    half = jax.tree.map(lambda old, new: (old + new) / 2, parameters, after.parameters)
    close(after.weights, half)
    without = init_state(parameters, train.replace(ema_decay=0.0))
    assert without.ema is None and without.weights is without.parameters


def test_a_rate_warms_up_and_falls_as_its_schedule_says(recipe):
    train = recipe.train.replace(learning_rate=1.0, warmup_steps=10, steps=110)
    constant = learning_rate(train)
    assert [float(constant(n)) for n in (0, 5, 10, 100)] == [0, 0.5, 1, 1]
    cosine = learning_rate(train.replace(schedule="cosine"))
    assert float(cosine(10)) == 1 and abs(float(cosine(110)) - 0.01) < 1e-6
    assert abs(float(cosine(60)) - 0.505) < 1e-6
    trapezoid = learning_rate(train.replace(schedule="trapezoid", decay_steps=20))
    rates = [float(trapezoid(n)) for n in (0, 10, 90, 100, 110)]
    np.testing.assert_allclose(rates, [1 / 11, 1, 1, 0.5, 0], atol=1e-6)


def moved(parameters, train, grads):
    """How far one step of the optimizer moves each weight, in learning rates."""
    after = stepped(init_state(parameters, train), grads, train)
    far = lambda new, old: (new - old) / train.learning_rate  # noqa: E731
    return jax.tree.map(far, after.parameters, parameters), after


@pytest.fixture(scope="module")
def noise(parameters):
    """Gradients, none of them near 0."""
    generator = np.random.default_rng(0)

    def drawn(leaf):
        sign = generator.choice([-1, 1], leaf.shape)
        return (sign * generator.uniform(0.5, 1.5, leaf.shape)).astype("f4")

    return jax.tree.map(drawn, parameters)


def test_adam_moves_by_the_rate_and_clipping_bounds_the_gradient(recipe, parameters, noise):
    train = recipe.train.replace(clip_norm=0.5, ema_decay=0.0)
    distance, after = moved(parameters, train, noise)
    for far, gradient in zip(jax.tree.leaves(distance), jax.tree.leaves(noise), strict=True):
        np.testing.assert_allclose(far, -np.sign(gradient), atol=2e-3)
    momentum = optax.tree.get(after.optimizer, "mu")
    np.testing.assert_allclose(optax.tree.norm(momentum), 0.1 * 0.5, rtol=1e-5)


def test_muon_turns_the_blocks_matrices_and_leaves_the_rest_to_adam(recipe, parameters, noise):
    train = recipe.train.replace(optimizer="muon", clip_norm=None, ema_decay=0.0)
    distance, _ = moved(parameters, train, noise)
    for path, far in jax.tree_util.tree_leaves_with_path(distance):
        if str(path[0].key).startswith("block_") and far.ndim == 2:
            usual = 0.2 * np.sqrt(max(far.shape))
            sizes = np.linalg.svd(np.asarray(far), compute_uv=False) / usual
            assert sizes.min() > 0.4 and sizes.max() < 1.5, path
        else:
            nesterov = 1 + 0.9 * 0.1 / (1 - 0.9**2)
            np.testing.assert_allclose(np.abs(far), nesterov, rtol=2e-3, err_msg=str(path))


def test_recomputed_activations_give_the_same_gradients(recipe, arrays, parameters):
    sample = jax.jit(lambda key: sample_batch(arrays, key, 8, recipe.model, recipe.data))
    windows = sample(KEY)

    def gradient(remat):
        train = recipe.train.replace(remat=remat)
        loss = lambda p: targets_loss(p, dataclasses.replace(recipe, train=train), windows, None)[0]  # noqa: E731
        program = jax.jit(jax.grad(loss)).lower(parameters)
        return program.as_text().count("optimization_barrier"), program.compile()(parameters)

    (kept, one), (again, other) = gradient(False), gradient(True)
    assert kept == 0 < again
    close(one, other)


def test_a_batch_has_the_share_of_synthetic_windows_last(recipe, arrays):
    data = recipe.data.replace(synthetic=0.25)
    assert num_synthetic(8, data) == 2
    sample = jax.jit(lambda key: sample_batch(arrays, key, 8, recipe.model, data))
    windows = sample(KEY)
    # Only synthetic windows are made in raw units; no series of the corpus has its median at 0.
    assert (windows.level[:-2] != 0).all() and (windows.level[-2:] == 0).all()
    real = jax.tree.map(lambda leaf: leaf[:6], windows)
    again = jax.jit(lambda real: complete(KEY, real, 8, recipe.model, data))(real)
    close(windows, again)
