"""`lagllama pretrain`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from lagllama_jax.cli import arguments
from lagllama_jax.cli.arguments import options_of
from lagllama_jax.config import DataConfig, LoopConfig, ModelConfig, TrainConfig
from lagllama_jax.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    import numpy as np

    from lagllama_jax.corpus.store import Corpus
    from lagllama_jax.training.loop import Trained
    from lagllama_jax.training.pretrain import Placement
    from lagllama_jax.training.recipe import Recipe

FREE_OF_WEIGHTS = (
    "context_length",
    "attention_window",
    "max_context_length",
    "dropout",
    "one_pass",
)
"""Fields of the architecture that can be changed after training."""


@dataclass(frozen=True)
class StartOptions:
    """What a run starts from if there is no checkpoint in the output folder.

    Attributes:
      continue_from: Folder of a run whose weights, optimizer state and step are taken over.
      initialise_from: Model whose weights and architecture are taken over, except for the context
        length, attention window, dropout and one_pass: folder, authors' .ckpt file or hub id.
        --model.variate-attention adds its layers, which change nothing until they are trained.
      add_lags: Lags to add to the model of --initialise-from.
    """

    continue_from: arguments.OptionalFolder = None
    initialise_from: arguments.Model = None
    add_lags: tuple[int, ...] = ()

    def model(self, changes: dict[str, Any], preset: ModelConfig) -> tuple[ModelConfig, Any]:
        """The changed architecture, and the weights to start from. `None`: random weights.

        The `preset` is for random weights. Raises `ConfigError` if other weights forbid a change.
        """
        if self.initialise_from is None and self.add_lags:
            raise ConfigError("--add-lags needs --initialise-from. Without it, use --model.lags.")
        if self.initialise_from is None:
            return preset.replace(**changes), None
        import jax

        from lagllama_jax.checkpoints.hub import from_pretrained
        from lagllama_jax.model.growth import add_lags, add_variate_attention

        config, parameters = from_pretrained(self.initialise_from)
        if changes.get("variate_attention"):
            key = jax.random.key(0)
            config, parameters = add_variate_attention(config, parameters, key)
        asked = config.replace(**changes)
        if asked.replace(**{name: getattr(config, name) for name in FREE_OF_WEIGHTS}) != config:
            raise ConfigError(
                "--initialise-from brings the model: of the --model options only "
                f"{', '.join(FREE_OF_WEIGHTS)} can change it, and variate_attention can be added."
            )
        return add_lags(asked, parameters, self.add_lags)


@dataclass(frozen=True)
class DeviceOptions:
    """The devices, and where windows are drawn.

    Attributes:
      path: Where windows are drawn: on the device within the compiled steps, or on the host by
        grain.
      workers: Number of processes of grain. 0: one thread.
      fsdp: Number of devices that share one copy of the parameters. It must divide the width of
        the model.
      hosts: Whether this process is one of several whose addresses the cluster provides (TPU pods,
        Slurm).
      coordinator: HOST:PORT of the first process, if the cluster does not provide it.
      processes: Number of processes, if the cluster does not provide it.
      process: Number of this process, if the cluster does not provide it.
    """

    path: Literal["device", "host"] = "device"
    workers: int = 0
    fsdp: int = 1
    hosts: bool = False
    coordinator: arguments.OptionalName = None
    processes: arguments.OptionalCount = None
    process: arguments.OptionalCount = None

    def placement(self) -> "Placement":
        """Connects the processes, and arranges their devices."""
        from lagllama_jax.training.pretrain import Placement
        from lagllama_jax.training.sharding import initialize_hosts, make_mesh

        if self.hosts or self.coordinator is not None:
            initialize_hosts(self.coordinator, self.processes, self.process)
        return Placement(make_mesh(fsdp=self.fsdp), self.path == "device", self.workers)


def main(
    corpus: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CORPUS")],
    /,
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")],
    preset: Literal["published", "small", "box", "tiny"] = "published",
    exclude: tuple[str, ...] = (),
    mixture: dict[str, float] | None = None,
    validation: Literal["tails", "suite", "none"] = "tails",
    tail: int = 14,
    progress: bool | None = None,
    start: tyro.conf.OmitArgPrefixes[StartOptions],
    devices: tyro.conf.OmitArgPrefixes[DeviceOptions],
    model: tyro.conf.FlagConversionOff[Annotated[dict[str, Any], options_of(ModelConfig)]],
    data: tyro.conf.FlagConversionOff[Annotated[dict[str, Any], options_of(DataConfig)]],
    train: tyro.conf.FlagConversionOff[Annotated[dict[str, Any], options_of(TrainConfig)]],
    loop: tyro.conf.FlagConversionOff[Annotated[dict[str, Any], options_of(LoopConfig)]],
) -> int:
    """Trains a model on a corpus. `lagllama forecast --model FOLDER` then uses it.

    The same command continues a run that was stopped. After Ctrl-C or SIGTERM, a run saves a
    checkpoint and exits with 0. After any other interruption, it continues from its last
    checkpoint. A run starts from the first of these that exists: the last checkpoint in the output
    folder, --continue-from, --initialise-from, or random weights.

    Args:
      corpus: Folder of Parquet files, or one that `lagllama data corpus` wrote.
      output: Folder for the model (config.json, model.safetensors), checkpoints, metrics.csv and
        loss.png.
      preset: Recipe whose settings are used if they are not given: the published recipe, a small
        one for a laptop, that of the bundled weights (box), or a tiny one to test the command.
      exclude: Datasets to leave out.
      mixture: Weights of datasets by name, such as --mixture nab 1 ercot 2, in place of
        --data.mixture.
      validation: Points that are held back for validation: the ends of all series (tails), the
        ends of the series of the validation suite, or none.
      tail: Number of points at the end of each series that --validation tails holds back.
      progress: Whether to show a progress bar. None: in a terminal.
      start: What the run starts from if there is no checkpoint in the output folder.
      devices: The devices, and where windows are drawn.
      model: Changes to the architecture of the preset.
      data: Changes to the training windows of the preset.
      train: Changes to the optimizer of the preset.
      loop: Changes to the intervals of the preset.
    """
    from lagllama_jax.files import check_outputs

    check_outputs(folders=[output], inputs=[corpus, start.initialise_from])
    from lagllama_jax.training.presets import PRESETS
    from lagllama_jax.training.pretrain import Start, pretrain
    from lagllama_jax.training.recipe import Recipe

    placement, base = devices.placement(), PRESETS[preset]
    architecture, initial = start.model(model, base.model)
    changed = base.data.replace(**data), base.train.replace(**train), base.loop.replace(**loop)
    recipe = Recipe(architecture, *changed)
    series = read_corpus(corpus, exclude)
    trained = pretrain(
        series,
        output,
        recipe,
        lengths=_lengths(series, recipe, validation, tail),
        mixture=mixture,
        start=Start(start.continue_from, initial),
        placement=placement,
        progress=progress,
    )
    return _finish(trained, recipe, output)


def read_corpus(folder: Path, exclude: tuple[str, ...] = ()) -> "Corpus":
    """Reads a corpus folder as memory maps, or a folder of Parquet files.

    Raises:
      DataError: If the folder cannot be read, or has no dataset of a name in `exclude`.
    """
    from lagllama_jax.corpus.store import Corpus

    if not (folder / "corpus.json").is_file():
        return Corpus.from_parquet(folder, exclude)
    corpus = Corpus.load(folder)
    for name in exclude:
        corpus = corpus.select(corpus.dataset != corpus.dataset_index(name))
    return corpus


def _lengths(corpus: "Corpus", recipe: "Recipe", validation: str, tail: int) -> "np.ndarray | None":
    """Number of points of each series to train on; the other points are held back."""
    from lagllama_jax.training.sources.corpus_arrays import held_back, shortest_series

    if validation == "none":
        return None
    if validation == "tails":
        return held_back(corpus, tail, shortest_series(recipe.model, recipe.data))
    from lagllama_jax.evaluation.validation import seen_lengths

    return seen_lengths(corpus)


def _finish(trained: "Trained", recipe: "Recipe", output: Path) -> int:
    """Writes the model and the picture, or prints how to continue. Returns the exit code."""
    import jax

    from lagllama_jax.checkpoints.hub import save_pretrained
    from lagllama_jax.training.plots import loss_curve
    from lagllama_jax.training.sharding import to_host

    step = int(trained.state.step)
    weights = to_host(trained.weights)
    if jax.process_index() > 0:
        return 0
    if trained.stopped == "signal":
        print(f"Stopped by a signal after step {step}, saved. The same command continues.")
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
