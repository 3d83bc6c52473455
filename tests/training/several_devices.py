"""What `test_sharding` runs on one device, and in a process that has eight."""

import json
import sys
from pathlib import Path

import jax
import numpy as np

from lagllama_jax import LagLlama
from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import ConfigError
from lagllama_jax.model.network import init_parameters
from lagllama_jax.training.checkpoints import Checkpoints
from lagllama_jax.training.loop import Run
from lagllama_jax.training.sharding import Rules, batch_sharding, make_mesh, shard_state
from lagllama_jax.training.sources.corpus_arrays import corpus_arrays
from lagllama_jax.training.sources.device import DeviceSource
from lagllama_jax.training.state import init_state
from lagllama_jax.training.watch import Watch
from tests.training.conftest import RECIPE, two_waves

KEY = jax.random.key(3)
STEPS = 20


def fresh(mesh, model=RECIPE.model):
    parameters = init_parameters(model, jax.random.key(0))
    return shard_state(mesh, Rules(), init_state(parameters, RECIPE.train))


def run_on(mesh):
    corpus = two_waves()
    arrays = corpus_arrays(corpus, RECIPE.model, RECIPE.data)
    source = DeviceSource(arrays, corpus.dataset_names, RECIPE, mesh, Rules())
    return Run(RECIPE, source, Watch([], 1, 1, 1.0), key=KEY)


def curve(run, state):
    """The losses of 20 steps, and the state after them."""
    state, metrics = run.advance(state, int(state.step), STEPS)
    return np.asarray(metrics["loss"], float).tolist(), state


def refusal(call, *arguments, **named):
    try:
        call(*arguments, **named)
    except ConfigError as error:
        return str(error)
    return "accepted"


def main(folder):
    losses = {}
    even, split = make_mesh(), make_mesh(fsdp=2)
    losses["data=8"], _ = curve(run_on(even), fresh(even))
    run = run_on(split)
    losses["data=4, fsdp=2"], state = curve(run, fresh(split))
    kernel = state.parameters["block_0"]["mlp"]["up"]["kernel"]
    with Checkpoints(folder / "of 8 devices") as checkpoints:
        checkpoints.save(state, KEY, {})
    with Checkpoints(folder / "of 1 device", read_only=True) as checkpoints:
        restored = checkpoints.restore(STEPS, state, KEY).state
    losses["gone on with"], _ = curve(run, restored)
    # Weights on one device, and a batch that is divided over all of them.
    alone = jax.device_put(init_parameters(RECIPE.model, KEY), jax.devices()[0])
    options = {"epochs": 1, "steps_per_epoch": 2, "batch_size": 8, "progress": False}
    waves = np.sin(np.arange(60) / 3 + np.arange(4)[:, None])
    tuned = LagLlama(alone, RECIPE.model).fit(waves, 4, **options)
    narrow = ModelConfig.tiny(head_dim=6, lags=(0,), context_length=4)
    found = {
        "losses": losses,
        "steps of a fit": len(tuned.report.history),
        "rows of a kernel on one device": kernel.addressable_shards[0].data.shape[0],
        "refusals": [
            refusal(make_mesh, fsdp=3),
            refusal(make_mesh, data=3, fsdp=2),
            refusal(fresh, make_mesh(fsdp=8), narrow),
            refusal(batch_sharding, even, Rules(), 12),
        ],
    }
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
