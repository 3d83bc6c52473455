"""`lagllama forecast`."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from lagllama_jax.cli.arguments import (
    Horizon,
    Model,
    OptionalCount,
    OptionalFile,
    OptionalName,
    TableOptions,
    options_of,
)
from lagllama_jax.config import ForecastConfig
from lagllama_jax.config.base import check

OPTIONS = options_of(ForecastConfig)
DEFAULTS = vars(ForecastConfig())


def main(
    data: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="INPUT")],
    /,
    *,
    prediction_length: Horizon,
    future: OptionalFile = None,
    output: Annotated[OptionalFile, tyro.conf.arg(aliases=["-o"])] = None,
    plot: OptionalFile = None,
    model: Model = None,
    engine: Literal["local", "ray", "spark"] = "local",
    workers: OptionalCount = None,
    cluster: OptionalName = None,
    table: tyro.conf.OmitArgPrefixes[TableOptions],
    forecast: tyro.conf.OmitArgPrefixes[Annotated[dict[str, Any], OPTIONS]] = DEFAULTS,
) -> int:
    """Forecasts the series of a CSV or Parquet file, of GluonTS JSON lines, or of a folder.

    The table is long, with the columns item_id, timestamp, target (or unique_id, ds, y; a single
    series needs no name), or wide, with time stamps and one column per series. Rows may be in any
    order, and time steps may be missing. The result has one row per series and time step, with
    the name, the time stamp, `predictions` (the median) and one column per quantile level.

    A folder of CSV or Parquet files of the same columns is forecast into a folder, file by file, on
    this machine, Ray or Spark. The same command continues a run that was stopped. Series that
    cannot be forecast are listed in OUTPUT/errors.

    Args:
      data: CSV, Parquet, Excel (extra `excel`), JSON or .tsf file, compressed or not; or a folder
        of CSV or Parquet files; or - for CSV or Parquet from the standard input.
      prediction_length: Number of time steps to forecast after the last row of each series.
      future: Table with a row per series and time step to forecast, and the covariates that are
        known there, such as prices or holidays, in columns that FILE has too.
      output: CSV or Parquet file to write. Without it, CSV goes to the standard output. For a
        folder, the folder to write.
      plot: Picture to write (png, svg or pdf): the past, the median and intervals of the first 8
        series.
      model: Folder, authors' .ckpt file or hub id. If not given, the bundled weights.
      engine: For a folder, what runs the forecasts: this process, Ray (extra ray) or Spark (extra
        spark and Java).
      workers: Number of workers of Ray, or of tasks at once of Spark on this machine.
      cluster: Address of a Ray cluster, or URL of a Spark master, instead of this machine.
      table: How the table is read.
      forecast: Configuration of the forecast.
    """
    from lagllama_jax.files import atomic_path, check_outputs
    from lagllama_jax.series.table_files import check_suffix, write_table

    config = ForecastConfig.of(**forecast)
    if data.is_dir():
        check(output is not None, "A folder of series needs --output, the folder to write.")
        check(plot is None, "--plot draws the series of a file, not of a folder.")
        check(future is None, "--future is for the series of a file, not of a folder.")
        options = {"model": model, "engine": engine, "workers": workers, "cluster": cluster}
        return _folder(data, output, prediction_length, table, options | vars(config))
    alone = engine == "local" and workers is None and cluster is None
    check(alone, "--engine, --workers and --cluster are for a folder of series, not for a file.")
    if output is not None:
        check_suffix(output)
    if plot is not None:
        check_picture(plot)
    check_outputs(files=[output, plot], inputs=[data, future, model])
    series = table.read(data, future, prediction_length)
    from lagllama_jax.forecaster import LagLlama
    from lagllama_jax.inference.forecast import frame_columns

    series.check_columns(frame_columns(config.quantile_levels, series.target_names))

    drawn = LagLlama.from_pretrained(model).predict(series, prediction_length, **vars(config))
    if plot is not None:
        with atomic_path(plot) as temporary:
            drawn.plot().savefig(temporary, dpi=150)
    if output is None:
        drawn.to_frame().to_csv(sys.stdout, index=False)
    else:
        write_table(drawn.to_frame(), output)
    return 0


def _folder(
    data: Path, output: Any, prediction_length: int, table: TableOptions, options: dict[str, Any]
) -> int:
    """Forecasts a folder, and tells how it ended. The exit code is 1 if a file cannot be read."""
    from lagllama_jax.distributed import forecast_folder

    reading = vars(table) | {"target": list(table.target) or None}
    done = forecast_folder(data, output, prediction_length, reading=reading, **options)
    print(f"{done.finished} of {done.shards} files are forecast ({done.forecast} now): {output}")
    if len(done.errors):
        print(f"{len(done.errors)} errors, such as: {done.errors.error[0]} See {output}/errors.")
    return 0 if done.finished == done.shards else 1


def check_picture(path: Path) -> None:
    """Checks that Matplotlib can write a picture of this suffix.

    Raises:
      MissingExtraError: If Matplotlib is not installed.
      DataError: If the suffix of the file is not that of a picture.
    """
    from lagllama_jax.errors import DataError, require

    require("matplotlib", "plot").use("agg")
    known = require("matplotlib.backend_bases", "plot").FigureCanvasBase.get_supported_filetypes()
    if path.suffix.lower().lstrip(".") not in known:
        raise DataError(f"{path}: a picture's name ends in .png, .svg or .pdf.")
