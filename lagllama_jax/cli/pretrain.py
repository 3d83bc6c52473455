"""`lagllama pretrain`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from lagllama_jax.cli.changes import apply, changes_to
from lagllama_jax.config import DataConfig, LoopConfig, ModelConfig, TrainConfig
from lagllama_jax.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    import numpy as np

    from lagllama_jax.corpus.store import Corpus
    from lagllama_jax.training.loop import Trained
    from lagllama_jax.training.recipe import Recipe

FREE_OF_WEIGHTS = ("context_length", "attention_window", "max_context_length", "dropout")
"""What may be changed of a model that has its weights."""

ModelChanges: Any = changes_to(ModelConfig)
DataChanges: Any = changes_to(DataConfig)
TrainChanges: Any = changes_to(TrainConfig)
LoopChanges: Any = changes_to(LoopConfig)


def main(
    corpus: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    preset: Literal["published", "small", "box", "tiny"] = "published",
    exclude: tuple[str, ...] = (),
    mixture: dict[str, float] | None = None,
    validation: Literal["tails", "suite", "none"] = "tails",
    tail: int = 14,
    continue_from: Path | None = None,
    initialise_from: str | None = None,
    add_lags: tuple[int, ...] = (),
    path: Literal["device", "host"] = "device",
    workers: int = 0,
    fsdp: int = 1,
    hosts: bool = False,
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    progress: bool | None = None,
    model: ModelChanges = ModelChanges(),  # noqa: B008
    data: DataChanges = DataChanges(),  # noqa: B008
    train: TrainChanges = TrainChanges(),  # noqa: B008
    loop: LoopChanges = LoopChanges(),  # noqa: B008
) -> int:
    """Trains a model on a corpus; the output folder can be forecast with.

    The same command goes on where it was stopped: by Ctrl-C or SIGTERM, after which it saves and
    exits with 0, or by anything else, after which it goes on from its last checkpoint. A run
    begins, in this order of precedence, from the output folder's last checkpoint, from
    `--continue-from`, from `--initialise-from`, or from fresh weights.

    Args:
      corpus: folder of Parquet files, or one written by `lagllama data corpus`.
      output: folder for the model (config.json, model.safetensors), checkpoints, metrics.csv and
        loss.png.
      preset: the published recipe, a small one for a laptop, that of the weights in the box, or one
        to see that everything runs.
      exclude: data sets to leave out.
      mixture: weights of data sets by name, such as `--mixture nab 1 ercot 2`, instead of a rule.
      validation: held-back points: the ends of all series, of those of the validation suite, none.
      tail: points of each end that `tails` holds back.
      continue_from: folder of a run whose weights, optimizer and step are taken over.
      initialise_from: model whose weights are taken over, with its architecture but for lengths of
        context, attention window and dropout: folder, authors' .ckpt file or hub id.
      add_lags: lags that a model of `--initialise-from` is to learn besides its own.
      path: where windows are drawn: inside the compiled steps, or by grain on the host.
      workers: processes in which grain does so; 0: a thread.
      fsdp: devices that share one copy of the parameters; must divide the model's width.
      hosts: this process is one of several; TPU pods and Slurm tell the rest.
      coordinator: HOST:PORT of the first process, where the cluster does not tell.
      processes: number of processes, likewise.
      process: number of this one, likewise.
      progress: show a bar, or none; without it, a bar in a terminal.
      model: changes to the preset's architecture.
      data: changes to its windows.
      train: changes to its optimizer.
      loop: changes to its intervals.
    """
    from lagllama_jax.training.presets import PRESETS
    from lagllama_jax.training.pretrain import pretrain
    from lagllama_jax.training.recipe import Recipe
    from lagllama_jax.training.sharding import initialize_hosts, make_mesh

    if hosts or coordinator is not None:
        initialize_hosts(coordinator, processes, process)
    base = PRESETS[preset]
    architecture, initial = _initial(initialise_from, add_lags, model, base.model)
    recipe = Recipe(
        architecture, apply(data, base.data), apply(train, base.train), apply(loop, base.loop)
    )
    read = read_corpus(corpus, exclude)
    trained = pretrain(
        read,
        output,
        recipe,
        lengths=_lengths(read, recipe, validation, tail),
        mixture=mixture,
        continue_from=continue_from,
        initial=initial,
        mesh=make_mesh(fsdp=fsdp),
        on_device=path == "device",
        workers=workers,
        progress=progress,
    )
    return _finish(trained, recipe, output)


def read_corpus(folder: Path, exclude: tuple[str, ...] = ()) -> "Corpus":
    """A corpus folder as memory maps, or a folder of Parquet files."""
    from lagllama_jax.corpus.store import Corpus

    if not (folder / "corpus.json").is_file():
        return Corpus.from_parquet(folder, exclude)
    corpus = Corpus.load(folder)
    if not exclude:
        return corpus
    import numpy as np

    left_out = [corpus.dataset_index(name) for name in exclude]
    return corpus.select(~np.isin(corpus.dataset, left_out))


def _initial(
    source: str | None, extra: tuple[int, ...], changes: Any, preset: ModelConfig
) -> tuple[ModelConfig, Any]:
    """The architecture, and weights to begin with: another model's bring their own."""
    if source is None and extra:
        raise ConfigError("--add-lags needs --initialise-from; else say --model.lags.")
    if source is None:
        return apply(changes, preset), None
    from lagllama_jax.checkpoints.hub import from_pretrained
    from lagllama_jax.model.network import add_lags

    config, parameters = from_pretrained(source)
    asked = apply(changes, config)
    if asked.replace(**{name: getattr(config, name) for name in FREE_OF_WEIGHTS}) != config:
        raise ConfigError(
            "--initialise-from brings the model: of the --model options only "
            f"{', '.join(FREE_OF_WEIGHTS)} can change it."
        )
    return add_lags(asked, parameters, extra)


def _lengths(corpus: "Corpus", recipe: "Recipe", validation: str, tail: int) -> "np.ndarray | None":
    """Points of each series that are trained on; the rest validates."""
    from lagllama_jax.training.sources.corpus_arrays import held_back, shortest_series

    if validation == "none":
        return None
    if validation == "tails":
        return held_back(corpus, tail, shortest_series(recipe.model, recipe.data))
    from lagllama_jax.evaluation.validation import seen_lengths

    return seen_lengths(corpus)


def _finish(trained: "Trained", recipe: "Recipe", output: Path) -> int:
    """Writes the model and the picture, or says how to go on."""
    import jax

    from lagllama_jax.checkpoints.hub import save_pretrained
    from lagllama_jax.training.plots import loss_curve
    from lagllama_jax.training.sharding import to_host

    step = int(trained.state.step)
    weights = to_host(trained.weights)
    if jax.process_index() > 0:
        return 0
    if trained.stopped == "signal":
        print(f"Stopped by a signal after step {step}, saved. The same command goes on.")
        return 0
    save_pretrained(output, recipe.model, weights)
    try:
        loss_curve(output / "metrics.csv", output / "loss.png")
    except MissingExtraError as error:
        print(f"No picture of the losses: {error}")
    why = "" if trained.stopped == "finished" else ", as validation no longer improved"
    best = trained.best
    score = "" if best is None else f" Best validation loss {best.loss:.4f} at step {best.step}."
    print(f"Done after {step} steps{why}.{score} The model is in {output}/.")
    return 0
