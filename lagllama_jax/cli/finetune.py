"""`lagllama finetune`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from lagllama_jax.cli.arguments import Points

if TYPE_CHECKING:
    from lagllama_jax.corpus.store import Corpus


def main(
    data: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    prediction_length: Annotated[int, tyro.conf.arg(aliases=["-p"])],
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    model: str | None = None,
    validation: int = 1,
    learning_rate: tuple[float, ...] = (1e-4,),
    context_length: tuple[int, ...] = (),
    coarsen: Points = "auto",
    freeze: tuple[str, ...] = (),
    epochs: int = 20,
    steps_per_epoch: int = 50,
    batch_size: int = 32,
    patience: int = 3,
    last_k_percentage: float = 100.0,
    dtype: Literal["float32", "bfloat16"] = "float32",
    seed: int = 0,
    freq: str | None = None,
    id_column: str | None = None,
    timestamp_column: str | None = None,
    target_column: str | None = None,
    progress: bool | None = None,
) -> None:
    """Trains a model further on the series of a file, which is read as by `lagllama forecast`.

    The end of every series validates. If validation does not improve, the model that is written is
    the one it began with, and the last line says so. Several learning rates or contexts are all
    tried, and the best by validation is kept.

    Args:
      data: CSV (packed or not) or Parquet file; or a folder as `lagllama pretrain` takes it.
      prediction_length: points of the forecasts that are wanted.
      output: folder for the new model.
      model: folder, authors' .ckpt file or hub id; `box` or none: the weights in the box.
      validation: forecasts' lengths at the end of each series that validate; 0: none.
      learning_rate: one, or several to try.
      context_length: steps of the past that attention sees, one or several; as the model has it
        if not given.
      coarsen: points whose mean is one step of the model, by default as `lagllama forecast` chooses
        it, or 1 where that differs between the series.
      freeze: parts that stay as they are, such as embedding, block_0 or head.
      epochs: at most so many, each with a validation.
      steps_per_epoch: optimizer steps of one.
      batch_size: windows in one step.
      patience: epochs without improvement after which training stops.
      last_k_percentage: share of each series' history that is trained on, from its end.
      dtype: of the computation.
      seed: decides the windows.
      freq: step of the time stamps; told from them if not given.
      id_column: column of series names.
      timestamp_column: column of time stamps.
      target_column: column of values.
      progress: show a bar, or none; without it, a bar in a terminal.
    """
    from lagllama_jax.checkpoints.hub import from_pretrained, save_pretrained
    from lagllama_jax.cli.pretrain import read_corpus
    from lagllama_jax.config import FitConfig
    from lagllama_jax.training.finetune import sweep, sweep_table

    options = FitConfig(
        validation=validation,
        learning_rate=learning_rate[0],
        context_length=context_length[0] if context_length else None,
        coarsen=coarsen,
        freeze=freeze,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        batch_size=batch_size,
        patience=patience,
        last_k_percentage=last_k_percentage,
        dtype=dtype,
        seed=seed,
    )
    columns = {"freq": freq, "id": id_column, "time": timestamp_column, "target": target_column}
    corpus = read_corpus(data) if data.is_dir() else _read_file(data, columns)
    config, parameters = from_pretrained(model)
    fitted, tried = sweep(
        parameters,
        config,
        corpus,
        prediction_length,
        options,
        learning_rates=learning_rate,
        context_lengths=context_length or (None,),
        progress=progress,
    )
    save_pretrained(output, fitted.config, fitted.parameters)
    if len(tried) > 1:
        print(sweep_table(tried))
    print(f"{str(fitted.report).capitalize()}. The model is in {output}/.")


def _read_file(path: Path, columns: dict[str, str | None]) -> "Corpus":
    from lagllama_jax.corpus.store import Corpus
    from lagllama_jax.series.dataframe import read_frame
    from lagllama_jax.series.table_files import read_table

    series = read_frame(
        read_table(path, columns["id"]),
        freq=columns["freq"],
        id_column=columns["id"],
        timestamp_column=columns["time"],
        target_column=columns["target"],
    )
    return Corpus.from_dataset(series, path.stem)
