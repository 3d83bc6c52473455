"""`lagllama forecast`."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import tyro

from lagllama_jax.cli.arguments import (
    Model,
    OptionalCount,
    OptionalFile,
    OptionalName,
    Points,
)
from lagllama_jax.inference.forecast import DEFAULT_LEVELS


def main(
    data: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")],
    /,
    *,
    prediction_length: Annotated[int, tyro.conf.arg(aliases=["-p"], metavar="N")],
    output: Annotated[OptionalFile, tyro.conf.arg(aliases=["-o"])] = None,
    plot: OptionalFile = None,
    model: Model = None,
    freq: OptionalName = None,
    quantile_levels: tuple[float, ...] = DEFAULT_LEVELS,
    num_samples: int = 100,
    seed: int = 0,
    context_length: OptionalCount = None,
    coarsen: Points = "auto",
    nonnegative: tyro.conf.FlagCreatePairsOff[bool] = False,
    batch_size: OptionalCount = None,
    id_column: OptionalName = None,
    timestamp_column: OptionalName = None,
    target_column: OptionalName = None,
) -> None:
    """Forecasts the series of a CSV or Parquet file.

    The file is long, with the columns item_id, timestamp, target (or unique_id, ds, y; a single
    series needs no name), or wide, with time stamps and one column a series. Rows may be in any
    order and steps may be missing. The result has one row a series and point: the names and time
    stamps, `predictions` (the median) and a column a quantile level.

    Args:
      data: CSV (packed or not) or Parquet file.
      prediction_length: points to forecast after each series' last row.
      output: CSV or Parquet file to write; without it CSV goes to the standard output.
      plot: picture to write (png, svg, pdf): the past, the median and intervals of the first 8
        series.
      model: folder, authors' .ckpt file or hub id; `box` or none: the weights in the box.
      freq: pandas alias of the step (h, 15min, D, W, ME); told from the rows if not given.
      quantile_levels: a column each.
      num_samples: sample paths of each series.
      seed: decides the draws.
      context_length: steps of the past that attention sees, as in training if not given.
      coarsen: points whose mean is one step of the model; by default series finer than an hour go
        by the hour, or by 30, 15, 10 or 5 minutes where the horizon has fewer than 12 such steps or
        the past fewer than 64; 1: every point is a step.
      nonnegative: never draw below 0.
      batch_size: most series at a time; by memory if not given.
      id_column: column of series names.
      timestamp_column: column of time stamps.
      target_column: column of values.
    """
    from lagllama_jax.inference.forecast import check_levels
    from lagllama_jax.series.dataframe import read_frame
    from lagllama_jax.series.table_files import check_suffix, put_table, read_table

    check_levels(quantile_levels)
    if output is not None:
        check_suffix(output)
    if plot is not None:
        check_picture(plot)
    series = read_frame(
        read_table(data, id_column),
        freq=freq,
        id_column=id_column,
        timestamp_column=timestamp_column,
        target_column=target_column,
    )
    from lagllama_jax.forecaster import LagLlama

    nothing = contextlib.nullcontext()
    with (
        result_file(output) if output else nothing as table,
        result_file(plot) if plot else nothing as picture,
    ):
        forecast = LagLlama.from_pretrained(model).predict(
            series,
            prediction_length,
            num_samples=num_samples,
            seed=seed,
            context_length=context_length,
            coarsen=coarsen,
            quantile_levels=quantile_levels,
            nonnegative=nonnegative,
            batch_size=batch_size,
        )
        if picture is not None:
            forecast.plot().savefig(picture, dpi=150)
        if table is not None:
            put_table(forecast.to_frame(), table)
    if output is None:
        forecast.to_frame().to_csv(sys.stdout, index=False)


@contextlib.contextmanager
def result_file(path: Path) -> Iterator[Path]:
    """A file to fill, which appears at `path` if all goes well; tried before the long work begins.

    Raises:
      DataError: it cannot be written.
    """
    from lagllama_jax.files import atomic_path

    with atomic_path(path) as temporary:
        temporary.touch()
        yield temporary


def make_folder(path: Path) -> None:
    """Raises `DataError` unless the folder is there or can be made."""
    from lagllama_jax.errors import DataError

    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"Cannot create the folder {path}: {error.strerror}.") from error


def check_picture(path: Path) -> None:
    """Raises an error of the package unless Matplotlib is there and can write such a file."""
    from lagllama_jax.errors import DataError, require

    require("matplotlib", "plot").use("agg")
    known = require("matplotlib.backend_bases", "plot").FigureCanvasBase.get_supported_filetypes()
    if path.suffix.lower().lstrip(".") not in known:
        raise DataError(f"{path}: a picture's name ends in .png, .svg or .pdf.")
