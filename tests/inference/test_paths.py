"""The decoder: cached against uncached, its memory, its draws."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagllama_jax.config import ModelConfig
from lagllama_jax.inference.batch import Past
from lagllama_jax.inference.paths import Drawing, advance, decode, draw, feed, prefill
from lagllama_jax.model.calendar_features import calendar_features
from lagllama_jax.model.network import bind_head, init_parameters
from lagllama_jax.model.scalers import Scale
from lagllama_jax.model.tokens import tokens
from lagllama_jax.model.transformer import Transformer

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


def some_past(config: ModelConfig, batch: int = BATCH, steps: int = STEPS) -> Past:
    """Random walks with gaps, a day a point."""
    random = np.random.default_rng(0)
    observed = random.uniform(size=(batch, config.past_length)) < 0.9
    values = np.where(observed, random.normal(size=observed.shape).cumsum(1), 0)
    day = np.tile(np.arange(config.context_length + steps, dtype=np.int32), (batch, 1))
    features = calendar_features(day, np.zeros_like(day))
    parts = (values.astype(np.float32), observed, features, np.arange(batch, dtype=np.uint32))
    return Past(*map(jnp.asarray, parts))


@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS)
def test_cached_hidden_states_equal_those_of_the_whole_sequence(changes):
    config = ModelConfig.tiny(**changes)
    parameters, past = init_parameters(config, jax.random.key(0)), some_past(config)
    random = np.random.default_rng(1)
    paths_fed = jnp.asarray(random.normal(size=(STEPS, BATCH, SAMPLES)).cumsum(0), jnp.float32)

    @jax.jit
    def cached(parameters, past):
        series, paths = prefill(parameters, config, past, Drawing(SAMPLES, STEPS), SEED)

        def step_on(paths, step):
            fed = feed(config, series, paths, paths_fed[step], step)
            return advance(parameters, config, series, fed, step), paths.hidden

        hidden = jax.lax.scan(step_on, paths, jnp.arange(STEPS))[1]
        return jnp.moveaxis(hidden, 0, 2), series.scale

    @jax.jit
    def uncached(parameters, past, scale):
        def copies(array):
            return jnp.repeat(array, SAMPLES, axis=0)

        own = paths_fed.transpose(1, 2, 0).reshape(-1, STEPS)
        values = jnp.concatenate([copies(past.values), own], axis=1)
        observed = jnp.concatenate([copies(past.observed), jnp.ones_like(own, bool)], axis=1)
        scale = Scale(*map(copies, scale))
        features = tokens(config, values, observed, scale, copies(past.time_features))
        model = Transformer(config)
        if config.rope == "dynamic":  # `__call__` takes the base from the sequence's own length
            apply = partial(model.apply, window=config.window, method="prefill")
        else:
            apply = partial(model.apply, window=config.window)
        hidden, _ = apply({"params": parameters}, features)
        kept = hidden[:, config.context_length - 1 : -1]
        return kept.reshape(BATCH, SAMPLES, STEPS, -1)

    hidden, scale = cached(parameters, past)
    expected = uncached(parameters, past, scale)
    assert float(jnp.abs(expected).max()) > 0.1
    np.testing.assert_allclose(hidden, expected, atol=1e-5 * float(jnp.abs(expected).max()))


def test_first_draws_cover_the_distribution_that_the_whole_model_gives(
    tiny_config, tiny_parameters
):
    past, samples = some_past(tiny_config), 2000

    @jax.jit
    def first(parameters, past):
        drawing = Drawing(samples, 1)
        series, paths = prefill(parameters, tiny_config, past, drawing, SEED)
        drawn = draw(parameters, tiny_config, drawing, series, paths, jnp.int32(0)).samples[0]
        context = past.time_features[:, : tiny_config.context_length]
        features = tokens(tiny_config, past.values, past.observed, series.scale, context)
        hidden = Transformer(tiny_config).apply({"params": parameters}, features)[0][:, -1]
        loc, scale = (part[:, 0] for part in series.scale)
        return drawn, bind_head(tiny_config, parameters)(hidden, loc, scale).cdf(drawn.T)

    drawn, level = first(tiny_parameters, past)
    assert drawn.shape == (BATCH, samples)
    even = (np.arange(samples) + 0.5) / samples
    assert np.abs(np.sort(level, axis=0) - even[:, None]).max() < 0.05


def test_draws_are_clipped_before_they_are_fed_back(tiny_config, tiny_parameters):
    drawing = Drawing(SAMPLES, 2, nonnegative=True)

    @jax.jit
    def drawn(parameters, past):
        series, paths = prefill(parameters, tiny_config, past, drawing, SEED)
        paths = draw(parameters, tiny_config, drawing, series, paths, jnp.int32(0))
        return paths, series.scale

    paths, scale = drawn(tiny_parameters, some_past(tiny_config))
    assert (paths.samples[0] == 0).any() and (paths.samples[0] >= 0).all()
    np.testing.assert_allclose(paths.inputs[0], scale.standardise(paths.samples[0]), rtol=1e-6)


def test_paths_that_run_away_stay_finite(tiny_config, tiny_parameters):
    head = tiny_parameters["head"]
    constant = lambda kernel, bias: {"kernel": kernel * 0, "bias": jnp.full(1, bias)}  # noqa: E731
    wild = {
        "df": constant(head["df"]["kernel"], -100.0),
        "loc": head["loc"],
        "scale": constant(head["scale"]["kernel"], 1e30),
    }
    drawing = Drawing(SAMPLES, 64)
    run = jax.jit(decode, static_argnums=(1, 5))
    past = some_past(tiny_config, steps=64)
    paths = run({**tiny_parameters, "head": wild}, tiny_config, past, jnp.int32(64), SEED, drawing)
    assert np.isfinite(paths).all() and np.abs(paths).max() > 1e5


def compiled_bytes(config: ModelConfig, samples: int, capacity: int) -> int:
    parameters = jax.eval_shape(lambda: init_parameters(config, jax.random.key(0)))
    past = some_past(config, batch=2, steps=capacity)
    program = jax.jit(decode, static_argnums=(1, 5))
    lowered = program.lower(
        parameters, config, past, jnp.int32(8), SEED, Drawing(samples, capacity)
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
    program = jax.jit(decode, static_argnums=(1, 5))
    arguments = (
        tiny_parameters,
        tiny_config,
        some_past(tiny_config),
        jnp.int32(8),
        SEED,
        Drawing(2, STEPS),
    )
    exported = jax.export.export(program, platforms=("cuda", "tpu"))(*arguments)
    assert exported.platforms == ("cuda", "tpu")
