"""`lagllama anomalies`."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from lagllama_jax.cli.arguments import Model, OptionalCount, OptionalFile, TableOptions


def main(
    data: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")],
    /,
    *,
    output: Annotated[OptionalFile, tyro.conf.arg(aliases=["-o"])] = None,
    plot: OptionalFile = None,
    threshold: float = 0.001,
    coverage: float = 0.95,
    every_step: bool = False,
    model: Model = None,
    context_length: OptionalCount = None,
    table: tyro.conf.OmitArgPrefixes[TableOptions],
) -> None:
    """Finds past values that were improbable, given the values before them.

    The file is read as by `lagllama forecast`. The result has one row per anomaly, the least
    probable first: the name of the series, the time stamp, the observed and the expected value, the
    lower and the upper end of the prediction interval, and the tail probability. The first 16
    values of a series are not scored.

    Args:
      data: CSV, Parquet, JSON or .tsf file, compressed or not.
      output: CSV or Parquet file to write. Without it, CSV goes to the standard output.
      plot: Picture to write (png, svg or pdf): the values, intervals and anomalies of the first 4
        series.
      threshold: Tail probability below which a value is an anomaly. If the predicted distributions
        are right, this share of ordinary values is below it.
      coverage: Coverage of the prediction intervals.
      every_step: Whether to write one row per step of each series, in the order of the steps.
      model: Folder, authors' .ckpt file or hub id. If not given, the bundled weights.
      context_length: Number of past steps that the model attends to. If not given, as in training.
      table: How the table is read.
    """
    from lagllama_jax.cli.forecast import check_picture
    from lagllama_jax.files import atomic_path, check_outputs
    from lagllama_jax.series.table_files import check_suffix, write_table

    if output is not None:
        check_suffix(output)
    if plot is not None:
        check_picture(plot)
    check_outputs(files=[output, plot], inputs=[data, model])
    series = table.read(data)
    from lagllama_jax.forecaster import LagLlama

    scores = LagLlama.from_pretrained(model).score(
        series, threshold=threshold, coverage=coverage, context_length=context_length
    )
    if plot is not None:
        with atomic_path(plot) as temporary:
            scores.plot().savefig(temporary, dpi=150)
    found = scores.to_frame() if every_step else scores.anomalies()
    if output is None:
        found.to_csv(sys.stdout, index=False)
    else:
        write_table(found, output)
