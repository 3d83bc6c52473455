"""`lagllama finetune`."""

from pathlib import Path
from typing import Annotated, Any

import tyro

from lagllama_jax.cli.arguments import Horizon, Model, TableOptions, options_of
from lagllama_jax.config import FitConfig, check

OPTIONS = options_of(FitConfig, learning_rate=tuple[float, ...], context_length=tuple[int, ...])
DEFAULTS = vars(FitConfig()) | {"learning_rate": (FitConfig.learning_rate,), "context_length": ()}


def main(
    data: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")],
    /,
    *,
    prediction_length: Horizon,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")],
    model: Model = None,
    known_covariates: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = (),
    table: tyro.conf.OmitArgPrefixes[TableOptions],
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
      known_covariates: Columns of the table whose future will be known, with --covariates network.
        The other columns beside series, time stamps and targets are covariates of the past.
      table: How the table is read.
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
    from lagllama_jax.training.finetune_task import packed

    if data.is_dir():
        check(not known_covariates, f"{data} is a folder, and known covariates are in a table.")
        corpus = read_corpus(data)
    else:
        corpus = packed(table.read(data, known=known_covariates), options, data.stem)
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
    report = str(fitted.report)
    print(f"{report[0].upper()}{report[1:]}. The model is in {output}/.")
