"""Measures time and memory of training, and a matrix product beside it.

python experiments/benchmarks/training.py

Every case runs in a process of its own, without a compilation cache, on random walks that the
script writes. Rates count 6 operations per parameter and token.
"""

import dataclasses
import functools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tyro
from record import save

RESULTS = Path(__file__).resolve().parent / "results" / "training.csv"
MILLION = 1_000_000
SERIES_LENGTH = 10_000
REPETITIONS = 5


def write_corpus(folder: Path, points: int) -> None:
    """Saves a corpus of hourly random walks."""
    from lagllama_jax.corpus.store import Corpus
    from lagllama_jax.series.arrays import read_arrays

    rng = np.random.default_rng(0)
    count = points // SERIES_LENGTH
    values = rng.standard_normal((count, SERIES_LENGTH), np.float32).cumsum(axis=1)
    Corpus.pack(read_arrays(values, "2020-01-01", "h"), "walks").save(folder)


def best_seconds(call: Callable[[], object]) -> float:
    """Time in seconds of the shortest of a few calls, after a first call that compiles."""
    call()
    taken = []
    for _ in range(REPETITIONS):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def steps(corpus: Path, preset: str, batch: int, together: int) -> dict[str, float]:
    """Measures steps that draw their windows on the device, `together` per dispatch."""
    import jax

    from lagllama_jax.corpus.store import Corpus
    from lagllama_jax.model.network import init_parameters
    from lagllama_jax.training.optimizer import learning_rates
    from lagllama_jax.training.presets import PRESETS
    from lagllama_jax.training.sharding import Rules, make_mesh, shard_state
    from lagllama_jax.training.sources.corpus_arrays import corpus_arrays
    from lagllama_jax.training.sources.device import DeviceSource, sample_batch
    from lagllama_jax.training.state import init_state
    from lagllama_jax.training.step import compiled_steps, shapes_of
    from lagllama_jax.training.throughput import (
        measured_peak,
        operations_per_token,
        tokens_per_step,
    )

    given = PRESETS[preset]
    recipe = dataclasses.replace(given, train=given.train.replace(batch_size=batch))
    model, data, train = recipe.model, recipe.data, recipe.train
    mesh, key = make_mesh(), jax.random.key(0)
    arrays = corpus_arrays(Corpus.load(corpus), model, data)
    source = DeviceSource(arrays, ("walks",), recipe, mesh, Rules())
    parameters = init_parameters(model, key, train.residual_gain)
    state = shard_state(mesh, Rules(), init_state(parameters, train))
    at_rates = learning_rates(train, 0, together)
    shapes = shapes_of((source.next(0, together), at_rates))
    advance = compiled_steps(source.batch, recipe.program, shapes)
    sample = jax.jit(lambda corpus, key: sample_batch(corpus, key, batch, model, data))
    rates = []

    def dispatch() -> None:
        nonlocal state
        state, _ = jax.block_until_ready(advance(state, source.next(0, together), key, at_rates))

    dispatch()
    seconds = []
    for _ in range(REPETITIONS):
        begun = time.perf_counter()
        dispatch()
        seconds.append((time.perf_counter() - begun) / together)
        rates.append(measured_peak(train.dtype))
    least = min(seconds)
    drawing = best_seconds(lambda: jax.block_until_ready(sample(source.corpus, key)))
    work = operations_per_token(parameters) * tokens_per_step(model, data, train) / least
    return {
        "windows": batch,
        "seconds_a_step": least,
        "windows_per_second": batch / least,
        "gflops": work / 1e9,
        "product_gflops": max(rates) / 1e9,
        "share_of_product": work / max(rates),
        "input_seconds": drawing,
        "input_share_of_step": drawing / least,
        "peak_gib": peak_gib(),
    }


def reading(corpus: Path, workers: int, batch: int = 128, count: int = 100) -> dict[str, float]:
    """Measures how fast grain gathers windows of the published model from a memory map."""
    from lagllama_jax.config import TrainConfig
    from lagllama_jax.corpus.store import Corpus
    from lagllama_jax.training.recipe import Recipe
    from lagllama_jax.training.sources.corpus_arrays import corpus_arrays
    from lagllama_jax.training.sources.grain import WindowSource, batches

    recipe = Recipe(train=TrainConfig(batch_size=batch, steps=(REPETITIONS + 1) * count))
    arrays = corpus_arrays(Corpus.load(corpus), recipe.model, recipe.data, on_device=False)
    iterator = batches(WindowSource(arrays, recipe), workers=workers)

    def read() -> None:
        for _ in range(count):
            next(iterator)

    seconds = best_seconds(read)
    iterator.close()
    return {"windows": batch, "windows_per_second": batch * count / seconds, "peak_gib": peak_gib()}


def run(corpus: Path, on_device: bool) -> dict[str, float]:
    """Measures the memory of three steps of the published pre-training and a checkpoint."""
    from lagllama_jax.config import LoopConfig
    from lagllama_jax.corpus.store import Corpus
    from lagllama_jax.training.presets import PRESETS
    from lagllama_jax.training.pretrain import Placement, pretrain
    from lagllama_jax.training.recipe import Recipe
    from lagllama_jax.training.sources.corpus_arrays import held_back, shortest_series

    preset = PRESETS["published"]
    train = preset.train.replace(steps=3)
    loop = LoopConfig(dispatch=1, checkpoint_every=3, validation_windows=train.batch_size)
    recipe = Recipe(preset.model, preset.data, train, loop)
    walks = Corpus.load(corpus)
    lengths = held_back(walks, 14, shortest_series(recipe.model, recipe.data))
    with tempfile.TemporaryDirectory() as folder:
        where = Placement(on_device=on_device)
        options = {"lengths": lengths, "placement": where, "progress": False}
        pretrain(walks, Path(folder), recipe, **options)
    return {"windows": train.batch_size, "peak_gib": peak_gib()}


def peak_gib() -> float:
    """Peak memory of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


CASES: dict[str, tuple[int, Callable[[Path], dict[str, float]]]] = {
    "published": (MILLION, functools.partial(steps, preset="published", batch=128, together=4)),
    "box": (MILLION, functools.partial(steps, preset="box", batch=32, together=4)),
    "grain memory map, thread": (10 * MILLION, functools.partial(reading, workers=0)),
    "grain memory map, 1 worker": (10 * MILLION, functools.partial(reading, workers=1)),
    "50 million points, device path": (50 * MILLION, functools.partial(run, on_device=True)),
    "50 million points, host path": (50 * MILLION, functools.partial(run, on_device=False)),
}
"""Number of points in the corpus, and the function that measures the case on it."""


def main(
    case: str | None = None, corpus: Path | None = None, points: int = 0, output: Path = RESULTS
) -> None:
    """Runs all cases, or one of them, whose result is printed as JSON.

    Args:
      case: Name of one case.
      corpus: Folder of the corpus of the case. `None`: a corpus is written first.
      points: Only write a corpus of this many points to `corpus`.
      output: CSV file to write.
    """
    if points:
        assert corpus is not None, "--points needs --corpus"
        write_corpus(corpus, points)
    elif case is not None and corpus is not None:
        print(json.dumps(CASES[case][1](corpus)))
    elif case is not None:
        print(json.dumps(measure(case)))
    else:
        rows: list[dict[str, object]] = []
        for name in CASES:
            rows.append({"case": name, **measure(name)})
            print(rows[-1], flush=True)
            save(rows, output, digits=4)


def measure(case: str) -> dict[str, float]:
    """Writes a case's corpus and measures it, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = str(Path(folder) / "corpus")
        script = [sys.executable, __file__, "--corpus", corpus]
        subprocess.run([*script, "--points", str(CASES[case][0])], check=True)
        command = [*script, "--case", case]
        environment = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"}
        run = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, env=environment
        )
    return json.loads(run.stdout)


if __name__ == "__main__":
    tyro.cli(main)
