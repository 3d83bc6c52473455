"""`lagllama forecast`."""

import sys
from pathlib import Path
from typing import Annotated, Any

import tyro

from lagllama_jax.cli.arguments import Horizon, Model, OptionalFile, TableOptions, options_of
from lagllama_jax.config import ForecastConfig

OPTIONS = options_of(ForecastConfig)
DEFAULTS = vars(ForecastConfig())


def main(
    data: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")],
    /,
    *,
    prediction_length: Horizon,
    future: OptionalFile = None,
    output: Annotated[OptionalFile, tyro.conf.arg(aliases=["-o"])] = None,
    plot: OptionalFile = None,
    model: Model = None,
    table: tyro.conf.OmitArgPrefixes[TableOptions],
    forecast: tyro.conf.OmitArgPrefixes[Annotated[dict[str, Any], OPTIONS]] = DEFAULTS,
) -> None:
    """Forecasts the series of a CSV or Parquet file, or of GluonTS JSON lines.

    The table is long, with the columns item_id, timestamp, target (or unique_id, ds, y; a single
    series needs no name), or wide, with time stamps and one column per series. Rows may be in any
    order, and time steps may be missing. The result has one row per series and time step, with
    the name, the time stamp, `predictions` (the median) and one column per quantile level.

    Args:
      data: CSV, Parquet, Excel (extra `excel`), JSON or .tsf file, compressed or not.
      prediction_length: Number of time steps to forecast after the last row of each series.
      future: Table with a row per series and time step to forecast, and the covariates that are
        known there, such as prices or holidays, in columns that FILE has too.
      output: CSV or Parquet file to write. Without it, CSV goes to the standard output.
      plot: Picture to write (png, svg or pdf): the past, the median and intervals of the first 8
        series.
      model: Folder, authors' .ckpt file or hub id. If not given, the bundled weights.
      table: How the table is read.
      forecast: Configuration of the forecast.
    """
    from lagllama_jax.files import atomic_path, check_outputs
    from lagllama_jax.series.table_files import check_suffix, write_table

    config = ForecastConfig.of(**forecast)
    if output is not None:
        check_suffix(output)
    if plot is not None:
        check_picture(plot)
    check_outputs(files=[output, plot], inputs=[data, future, model])
    series = table.read(data, future, prediction_length)
    from lagllama_jax.forecaster import LagLlama

    drawn = LagLlama.from_pretrained(model).predict(series, prediction_length, **vars(config))
    if plot is not None:
        with atomic_path(plot) as temporary:
            drawn.plot().savefig(temporary, dpi=150)
    if output is None:
        drawn.to_frame().to_csv(sys.stdout, index=False)
    else:
        write_table(drawn.to_frame(), output)


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
