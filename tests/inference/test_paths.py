"""The decoder: cached against uncached, its memory, its draws."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagllama_jax.config import ModelConfig
from lagllama_jax.inference.paths import Sampling, sample_paths
from lagllama_jax.model.batch import Batch, rows_of
from lagllama_jax.model.calendar_features import calendar_features
from lagllama_jax.model.network import LagLlamaNetwork, bind_head, init_parameters
from lagllama_jax.model.tokens import model_inputs, series_scale, tokens

BATCH, SAMPLES, STEPS = 3, 4, 12
SEED = jnp.uint32(0)

CONFIGS = {
    "as published": {},
    "a window shorter than the context": {"context_length": 8, "attention_window": 5},
    "grouped heads, everything else unlike": {
        "context_length": 8,
        "attention_window": 40,
        "num_kv_heads": 1,
        "rope": "linear",
        "rope_factor": 2.0,
        "observed_features": True,
        "squash": "arcsinh",
        "scale_features": "relative",
        "imputation": "loc",
        "scaling": "std",
    },
    "dynamic rotation": {
        "context_length": 8,
        "attention_window": 20,
        "rope": "dynamic",
        "rope_factor": 2.0,
        "max_context_length": 10,
        "time_features": False,
    },
}


def some_batch(config: ModelConfig, groups: int = BATCH, steps: int = STEPS) -> Batch:
    """Random walks with gaps, a day per point."""
    random = np.random.default_rng(0)
    observed = random.uniform(size=(groups, 1, config.past_length)) < 0.9
    values = np.where(observed, random.normal(size=observed.shape).cumsum(-1), 0)
    day = np.tile(np.arange(config.context_length + steps, dtype=np.int32), (groups, 1))
    features = calendar_features(day, np.zeros_like(day))
    start = np.full(groups, config.past_length)
    zero, seed = np.zeros((groups, 1), np.float32), np.arange(groups, dtype=np.uint32)[:, None]
    parts = values.astype(np.float32), observed, features, zero.astype(int), start
    return Batch(*map(jnp.asarray, (*parts, zero, zero + 1, seed)))


def network(config, parameters, *arguments, method):
    return LagLlamaNetwork(config).apply({"params": parameters}, *arguments, method=method)


def extended(batch: Batch, drawn: jax.Array) -> Batch:
    """The batch with the points of one path per group after its own."""
    steps = drawn.shape[-1]
    return batch._replace(
        values=jnp.concatenate([batch.values, drawn[:, None]], axis=-1),
        observed=jnp.pad(batch.observed, ((0, 0), (0, 0), (0, steps)), constant_values=True),
    )


@functools.partial(jax.jit, static_argnums=0)
def uncached(config, parameters, batch, drawn):
    """Hidden states of the whole sequence, of one path per group."""
    model, rows = LagLlamaNetwork(config), rows_of(extended(batch, drawn))
    features = tokens(config, rows, series_scale(config, rows))
    if config.rope != "dynamic":
        apply = functools.partial(model.apply, window=config.window, method="transform")
        return apply({"params": parameters}, features)
    # `transform` takes the base of the rotation from the sequence's length, forecasts from that of
    # the window.
    bound = model.bind({"params": parameters})
    x = bound.embedding(features)
    for block in bound.blocks:
        x, *_ = block(x, True, config.window, config.window)
    return bound.final_norm(x)


@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS)
def test_cached_hidden_states_equal_those_of_the_whole_sequence(changes):
    config = ModelConfig.tiny(**changes)
    parameters, batch = init_parameters(config, jax.random.key(0)), some_batch(config)
    random = np.random.default_rng(1)
    fed = jnp.asarray(random.normal(size=(STEPS, BATCH, SAMPLES)).cumsum(0), jnp.float32)

    @jax.jit
    def cached(parameters, batch):
        context, turn, paths = network(config, parameters, batch, SAMPLES, STEPS, method="prefill")

        def step_on(paths, step):
            known = jnp.ones(fed[step].shape, bool)
            inputs = model_inputs(config, fed[step], known, context.scale, context.level)
            paths = paths._replace(drawn=paths.drawn.at[step].set(inputs))
            extend = (context, turn, paths, step)
            return network(config, parameters, *extend, method="extend"), paths.hidden

        return jnp.moveaxis(jax.lax.scan(step_on, paths, jnp.arange(STEPS))[1], 0, 2)

    hidden = cached(parameters, batch)
    each = [uncached(config, parameters, batch, fed[:, :, s].T) for s in range(SAMPLES)]
    expected = jnp.stack(each, axis=1)[:, :, config.context_length - 1 : -1]
    assert float(jnp.abs(expected).max()) > 0.1
    np.testing.assert_allclose(hidden, expected, atol=1e-5 * float(jnp.abs(expected).max()))


def test_first_draws_cover_the_distribution_that_the_whole_model_gives(
    tiny_config, tiny_parameters
):
    batch, samples = some_batch(tiny_config, steps=1), 2000

    @jax.jit
    def first(parameters, batch):
        sampling = Sampling(samples, 1)
        drawn = sample_paths(parameters, tiny_config, batch, jnp.int32(1), SEED, sampling)
        hidden, scale, *_ = network(tiny_config, parameters, batch, method="encode")
        law = bind_head(tiny_config, parameters)(hidden[:, -1], scale.loc[:, 0], scale.scale[:, 0])
        return drawn[:, 0, :, 0], law.cdf(drawn[:, 0, :, 0].T)

    drawn, level = first(tiny_parameters, batch)
    assert drawn.shape == (BATCH, samples)
    even = (np.arange(samples) + 0.5) / samples
    assert np.abs(np.sort(level, axis=0) - even[:, None]).max() < 0.05


def test_draws_are_clipped_at_a_raw_zero_and_fed_back_so(tiny_config, tiny_parameters):
    plain = some_batch(tiny_config)

    def draw(nonnegative, batch):
        sampling = Sampling(SAMPLES, STEPS, nonnegative=nonnegative)
        run = jax.jit(sample_paths, static_argnums=(1, 5))
        return run(tiny_parameters, tiny_config, batch, jnp.int32(3), SEED, sampling)[..., :3]

    zero = float(np.median(draw(False, plain)[..., 0]))
    batch = plain._replace(level=plain.level - zero)  # where a raw 0 lies
    free, clipped = draw(False, batch), draw(True, batch)
    below = np.asarray(free[..., 0] < zero)
    assert below.any() and not below.all() and (clipped >= zero).all()
    np.testing.assert_allclose(clipped[..., 0], np.maximum(free[..., 0], zero), rtol=1e-6)
    assert not np.allclose(clipped[..., 1][below], np.maximum(free[..., 1][below], zero))
    np.testing.assert_allclose(clipped[..., 1][~below], np.maximum(free[..., 1][~below], zero))


def test_paths_that_run_away_stay_finite(tiny_config, tiny_parameters):
    head = tiny_parameters["head"]
    constant = lambda kernel, bias: {"kernel": kernel * 0, "bias": jnp.full(1, bias)}  # noqa: E731
    wild = {
        "df": constant(head["df"]["kernel"], -100.0),
        "loc": head["loc"],
        "scale": constant(head["scale"]["kernel"], 1e30),
    }
    sampling = Sampling(SAMPLES, 64)
    run = jax.jit(sample_paths, static_argnums=(1, 5))
    batch = some_batch(tiny_config, steps=64)
    given = {**tiny_parameters, "head": wild}, tiny_config, batch, jnp.int32(64), SEED, sampling
    paths = run(*given)
    assert np.isfinite(paths).all() and np.abs(paths).max() > 1e5


def compiled_bytes(config: ModelConfig, samples: int, capacity: int) -> int:
    parameters = jax.eval_shape(lambda: init_parameters(config, jax.random.key(0)))
    batch = some_batch(config, groups=2, steps=capacity)
    program = jax.jit(sample_paths, static_argnums=(1, 5))
    lowered = program.lower(
        parameters, config, batch, jnp.int32(8), SEED, Sampling(samples, capacity)
    )
    return lowered.compile().memory_analysis().temp_size_in_bytes


def test_memory_grows_neither_with_the_horizon_nor_with_context_copies():
    config = ModelConfig.tiny(num_layers=1, context_length=128, attention_window=16)
    a_token = 2 * config.width * 4  # key and value
    few, long, many = (
        compiled_bytes(config, *sizes) for sizes in ((50, 64), (50, 1024), (100, 64))
    )
    paths = 2 * 50 * (1024 - 64) * 3 * 4  # drawn values, model inputs, and the result
    assert long - few < 1.5 * paths < 2 * 50 * (1024 - 64) * a_token / 5
    ring = 2 * 50 * 16 * a_token
    assert 0.9 * ring < many - few < 3 * ring < 2 * 50 * 128 * a_token


def test_the_decoder_lowers_for_accelerators(tiny_config, tiny_parameters):
    program = jax.jit(sample_paths, static_argnums=(1, 5))
    arguments = (
        tiny_parameters,
        tiny_config,
        some_batch(tiny_config),
        jnp.int32(8),
        SEED,
        Sampling(2, STEPS),
    )
    exported = jax.export.export(program, platforms=("cuda", "tpu"))(*arguments)
    assert exported.platforms == ("cuda", "tpu")
