"""`lagllama finetune`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from lagllama_jax.cli.arguments import Horizon, Model, OptionalName, options_of
from lagllama_jax.config import FitConfig

if TYPE_CHECKING:
    from lagllama_jax.corpus.store import Corpus

OPTIONS = options_of(FitConfig, learning_rate=tuple[float, ...], context_length=tuple[int, ...])
DEFAULTS = vars(FitConfig()) | {"learning_rate": (FitConfig.learning_rate,), "context_length": ()}


def main(
    data: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")],
    /,
    *,
    prediction_length: Horizon,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")],
    model: Model = None,
    freq: OptionalName = None,
    id_column: OptionalName = None,
    timestamp_column: OptionalName = None,
    target_column: OptionalName = None,
    progress: bool | None = None,
    fit: tyro.conf.OmitArgPrefixes[Annotated[dict[str, Any], OPTIONS]] = DEFAULTS,
) -> None:
    """Trains a model further on your own series.

    The end of every series is held back for validation. If validation does not improve, the
    original weights are written, and the last line of the output says so. If several learning rates
    or context lengths are given, all are tried, and the best one by validation is kept.

    Args:
      data: CSV file (compressed or not) or Parquet file, read as by `lagllama forecast`; or a
        folder, read as by `lagllama pretrain`.
      prediction_length: Number of time steps of the forecasts that the model will make.
      output: Folder for the new model.
      model: Folder, authors' .ckpt file or hub id. If not given, the bundled weights.
      freq: Step of the time stamps as a pandas alias (h, 15min, D, W, ME); inferred if not given.
      id_column: Column of series names.
      timestamp_column: Column of time stamps.
      target_column: Column of values.
      progress: Whether to show a progress bar. None: in a terminal.
      fit: Configuration of the fine-tuning.
    """
    from lagllama_jax.files import check_outputs

    rates = fit["learning_rate"] or DEFAULTS["learning_rate"]
    options = FitConfig.of(**fit | {"learning_rate": rates[0], "context_length": None})
    check_outputs(folders=[output], inputs=[data, model])
    from lagllama_jax.checkpoints.hub import from_pretrained, save_pretrained
    from lagllama_jax.cli.pretrain import read_corpus
    from lagllama_jax.training.finetune import sweep, sweep_table

    columns = {"freq": freq, "id": id_column, "time": timestamp_column, "target": target_column}
    corpus = read_corpus(data) if data.is_dir() else _read_file(data, columns)
    config, parameters = from_pretrained(model)
    fitted, tried = sweep(
        parameters,
        config,
        corpus,
        prediction_length,
        options,
        learning_rates=rates,
        context_lengths=fit["context_length"] or (None,),
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
    return Corpus.pack(series, path.stem)
