"""Training and decoding lower for TPUs and NVIDIA GPUs from a machine that has neither."""

import jax
import jax.numpy as jnp
import pytest

from lagllama_jax.config import ModelConfig
from lagllama_jax.inference.paths import Sampling, sample_paths
from lagllama_jax.model.batch import Batch
from lagllama_jax.model.network import init_parameters
from lagllama_jax.training.presets import PRESETS
from lagllama_jax.training.recipe import Recipe
from lagllama_jax.training.sharding import Rules, make_mesh
from lagllama_jax.training.sources.corpus_arrays import corpus_arrays
from lagllama_jax.training.sources.device import DeviceSource
from lagllama_jax.training.state import init_state
from lagllama_jax.training.step import compiled_steps, shapes_of

PLATFORMS = ("tpu", "cuda")


def shapes(tree):
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    ("preset", "dtype"), [("published", "float32"), ("published", "bfloat16"), ("box", "bfloat16")]
)
def test_a_training_step_lowers(corpus, platform, preset, dtype):
    recipe = PRESETS[preset]
    model, data = recipe.model.replace(num_layers=2, lags=(0, 1, 24)), recipe.data
    train = recipe.train.replace(dtype=dtype)
    key = jax.random.key(0)
    state = jax.eval_shape(lambda key: init_state(init_parameters(model, key), train), key)
    arrays = corpus_arrays(corpus, model, data)
    whole = Recipe(model, data, train)
    source = DeviceSource(arrays, corpus.dataset_names, whole, make_mesh(), Rules())
    rates = jax.ShapeDtypeStruct((10,), jnp.float32)
    steps = compiled_steps(source.batch, whole.program, shapes_of((arrays, rates)))
    exported = jax.export.export(steps, platforms=[platform])(state, shapes(arrays), key, rates)
    assert exported.platforms == (platform,)
    assert {leaf.dtype for leaf in jax.tree.leaves(state.parameters)} == {jnp.dtype("float32")}
    assert ("xbf16>" in exported.mlir_module()) == (dtype == "bfloat16")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_decoder_lowers_at_the_published_size(platform):
    config = ModelConfig.released()
    steps, sampling = 24, Sampling(100, 24)
    float32 = lambda *shape: jax.ShapeDtypeStruct(shape, jnp.float32)  # noqa: E731
    batch = Batch(
        float32(8, 1, config.past_length),
        jax.ShapeDtypeStruct((8, 1, config.past_length), bool),
        float32(8, config.context_length + steps, 6),
        jax.ShapeDtypeStruct((8, 1), jnp.int32),
        jax.ShapeDtypeStruct((8,), jnp.int32),
        float32(8, 1),
        float32(8, 1),
        jax.ShapeDtypeStruct((8,), jnp.uint32),
    )
    parameters = jax.eval_shape(lambda key: init_parameters(config, key), jax.random.key(0))
    program = jax.jit(lambda first, *rest: sample_paths(first, config, *rest, sampling))
    numbers = jax.ShapeDtypeStruct((), jnp.int32), jax.ShapeDtypeStruct((), jnp.uint32)
    exported = jax.export.export(program, platforms=[platform])(parameters, batch, *numbers)
    assert exported.platforms == (platform,)
    assert [leaf.shape for leaf in exported.out_avals] == [(8, 1, 100, 24)]
