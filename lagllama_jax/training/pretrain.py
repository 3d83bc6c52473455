"""Pre-training in a folder, which can be stopped and resumed."""

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from lagllama_jax.config import check
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.errors import CheckpointError
from lagllama_jax.files import make_folder
from lagllama_jax.lock import locked
from lagllama_jax.model.network import init_parameters
from lagllama_jax.training.checkpoints import Checkpoints, Restored
from lagllama_jax.training.loop import Best, Run, Trained, train
from lagllama_jax.training.metrics import open_sinks
from lagllama_jax.training.recipe import Recipe
from lagllama_jax.training.sharding import Rules, batch_sharding, make_mesh, shard_state
from lagllama_jax.training.sources import BatchSource
from lagllama_jax.training.sources.corpus_arrays import corpus_arrays, host_arrays
from lagllama_jax.training.sources.device import DeviceSource
from lagllama_jax.training.sources.grain import GrainSource
from lagllama_jax.training.sources.windows import gather
from lagllama_jax.training.state import TrainState, init_state
from lagllama_jax.training.throughput import measured_peak, operations_per_token, tokens_per_step
from lagllama_jax.training.validation import Evaluate, make_evaluate, tail_draws
from lagllama_jax.training.watch import Watch
from lagllama_jax.typing import Int, Parameters

CHECKPOINTS = "checkpoints"


class Start(NamedTuple):
    """What a run starts from if its folder contains no checkpoint.

    Attributes:
      continue_from: Folder of another run of the same architecture, whose weights, optimizer state
        and step are taken over.
      initial: Initial weights. `None`: random weights.
    """

    continue_from: Path | None = None
    initial: Parameters | None = None


class Placement(NamedTuple):
    """The devices of a run, and where its windows are drawn.

    Attributes:
      mesh: The devices. `None`: all devices along the axis `data`.
      on_device: Whether windows are drawn on the device, within the compiled steps. Otherwise grain
        draws them on the host.
      workers: Number of processes of grain. 0: a thread.
    """

    mesh: Mesh | None = None
    on_device: bool = True
    workers: int = 0


def pretrain(
    corpus: Corpus,
    folder: Path,
    recipe: Recipe,
    *,
    lengths: Int[np.ndarray, "n"] | None = None,
    mixture: Mapping[str, float] | None = None,
    start: Start = Start(),  # noqa: B008
    placement: Placement = Placement(),  # noqa: B008
    progress: bool | None = None,
) -> Trained:
    """Trains a model in `folder`. A run that was stopped there is resumed.

    The run starts from the first of these that exists: the latest checkpoint in `folder`, the
    latest checkpoint of the run `start.continue_from`, the weights `start.initial`, random weights.

    Args:
      corpus: The series to train on.
      folder: Folder for checkpoints and metrics.
      recipe: Architecture, windows, optimizer and intervals.
      lengths: Number of points of each series to train on. The points after them are used for
        validation. `None`: all points are trained on, and there is no validation.
      mixture: Weights of datasets by name, in place of the rule of the recipe.
      start: What the run starts from.
      placement: The devices, and where windows are drawn.
      progress: Whether to show a progress bar. `None`: in a terminal.

    Raises:
      DataError: If the corpus or the folder cannot be used, or another run uses the folder.
      CheckpointError: If a checkpoint cannot be read, written, or belongs to another recipe.
      ConfigError: If the batch or the model does not divide over the devices, or the model cannot
        use groups of variates that are asked for.
      TrainingError: If a loss is not finite.
    """
    check(
        recipe.data.groups == 0 or recipe.model.variate_attention,
        f"groups={recipe.data.groups} needs a model whose variates see one another: set "
        "variate_attention=True.",
    )
    mesh = make_mesh() if placement.mesh is None else placement.mesh
    on_device = placement.on_device
    arrays = corpus_arrays(
        corpus, recipe.model, recipe.data, lengths=lengths, mixture=mixture, on_device=on_device
    )
    names, rules = corpus.dataset_names, Rules()
    source: BatchSource
    if on_device:
        source = DeviceSource(arrays, names, recipe, mesh, rules)
    else:
        source = GrainSource(arrays, names, recipe, mesh, rules, placement.workers)
    evaluate = None if lengths is None else _evaluate(corpus, lengths, recipe, mesh)
    with (
        _alone(folder),
        Checkpoints(folder / CHECKPOINTS, recipe.loop.keep) as checkpoints,
    ):
        first = _begin(checkpoints, recipe, mesh, start)
        watch = _watch(folder, recipe, first.state)
        run = Run(recipe, source, watch, evaluate, checkpoints, first.key)
        try:
            return train(run, first.state, _best(checkpoints, first), progress)
        finally:
            watch.close()
            source.close()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Locks the folder against other runs. The processes of one run share the lock."""
    with locked(folder) if jax.process_index() == 0 else contextlib.nullcontext():
        make_folder(folder)
        yield


def _begin(
    checkpoints: Checkpoints,
    recipe: Recipe,
    mesh: Mesh,
    start: Start,
) -> Restored:
    """The state to start from. Its record is empty unless a run in the same folder is resumed."""
    continue_from, initial = start
    key = jax.random.key(recipe.train.seed)
    if initial is None or checkpoints.latest is not None or continue_from is not None:
        initial = init_parameters(
            recipe.model, jax.random.fold_in(key, 2**32 - 1), recipe.train.residual_gain
        )
    state = shard_state(mesh, Rules(), init_state(initial, recipe.train))
    if checkpoints.latest is not None:
        _check_recipe(checkpoints, recipe, ("model", "data", "train"))
        return checkpoints.restore(checkpoints.latest, state, key)
    if continue_from is not None:
        with Checkpoints(continue_from / CHECKPOINTS, read_only=True) as other:
            if other.latest is None:
                raise CheckpointError(f"{continue_from}: holds no checkpoint to continue from.")
            _check_recipe(other, recipe, ("model",))
            return Restored(other.restore(other.latest, state, key).state, key, {})
    return Restored(state, key, {})


def _check_recipe(checkpoints: Checkpoints, recipe: Recipe, parts: tuple[str, ...]) -> None:
    """Raises `CheckpointError` if another recipe made the checkpoint. `steps` may differ."""
    assert checkpoints.latest is not None
    theirs, ours = checkpoints.record(checkpoints.latest), recipe.as_record()
    for part in parts:
        changed = [
            f"{part}.{name}={ours[part].get(name)!r} (there {value!r})"
            for name, value in theirs.get(part, {}).items()
            if ours[part].get(name) != value and name != "steps"
        ]
        if changed:
            raise CheckpointError(
                f"{checkpoints.folder}: made with other settings than {', '.join(changed)}. Use "
                "the same ones to resume, or another folder to begin anew or continue from this."
            )


def _best(checkpoints: Checkpoints, start: Restored) -> Best | None:
    """The best weights so far, if a run is resumed."""
    place = start.record.get("best")
    if place is None:
        return None
    try:
        weights = checkpoints.restore(place["step"], start.state, start.key).state.weights
    except CheckpointError:
        warnings.warn(
            f"The best weights so far, of step {place['step']}, are gone: those that follow are "
            "compared with one another only.",
            stacklevel=3,
        )
        return None
    return Best(weights, place["loss"], place["step"], place["stale"])


def _evaluate(
    corpus: Corpus, lengths: Int[np.ndarray, "n"], recipe: Recipe, mesh: Mesh
) -> Evaluate | None:
    """The validation loss of the points after `lengths`. `None`: there are no such points."""
    model, data = recipe.model, recipe.data
    draws = tail_draws(corpus, lengths, model, data, recipe.loop.validation_windows)
    if not len(draws.series):
        return None
    split = batch_sharding(mesh, Rules(), recipe.train.batch_size)
    place = lambda windows: jax.device_put(windows, split)  # noqa: E731
    windows = gather(host_arrays(corpus), draws, model, data.replace(farthest=1))
    return make_evaluate(windows, model, recipe.train, place)


def _watch(folder: Path, recipe: Recipe, state: TrainState) -> Watch:
    sinks = open_sinks(folder, int(state.step)) if jax.process_index() == 0 else []
    peak = measured_peak(recipe.train.dtype) * jax.device_count()
    tokens = tokens_per_step(recipe.model, recipe.data, recipe.train)
    return Watch(sinks, tokens, operations_per_token(state.parameters), peak)
