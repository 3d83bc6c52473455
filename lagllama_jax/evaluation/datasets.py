"""Readers of the evaluation sets."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lagllama_jax.corpus.formats.parquet import read_parquet
from lagllama_jax.corpus.tfds.store import read_built
from lagllama_jax.errors import DataError
from lagllama_jax.series.arrays import read_arrays
from lagllama_jax.series.dataframe import read_frame
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.frequency import Frequency

FOLDER = "the folder of the evaluation sets or, for suite validation, of a corpus' Parquet files"

ETT_GRIDS = {"15T": ("15min", 69_680), "H": ("h", 17_420), "D": ("D", 725), "W": ("W-THU", 103)}
"""Pandas alias, and number of points in complete periods, by published frequency."""


def ett(path: Path, frequency: str) -> SeriesDataset:
    """Reads an ETT file: 7 series of 15 minutes, or their means over a frequency of `ETT_GRIDS`.

    Raises:
      DataError: If the file does not exist.
    """
    rule, length = ETT_GRIDS[frequency]
    frame = _ett_frame(path)
    if frequency != "15T":
        frame = frame.resample(rule).mean().iloc[:length]
    columns = [np.ascontiguousarray(frame[name], np.float64) for name in frame.columns]
    return read_arrays(columns, frame.index[0], rule, frame.columns)


@functools.lru_cache(maxsize=2)
def _ett_frame(path: Path):  # type: ignore[no-untyped-def]
    import pandas as pd

    return pd.read_csv(_existing(path), index_col="date", parse_dates=True)


def together(series: SeriesDataset) -> SeriesDataset:
    """Makes series of one grid the targets of one item.

    Raises:
      DataError: If the series have other lengths, starts or frequencies.
    """
    grids = {
        (target.shape[1], start, frequency)
        for target, start, frequency in zip(
            series.targets, series.starts, series.frequencies, strict=True
        )
    }
    if len(grids) != 1:
        raise DataError(
            f"The {len(series)} series have {len(grids)} time grids: only series with the same "
            "start, step and length can be the targets of one item."
        )
    return SeriesDataset(
        ["group"],
        [np.concatenate(series.targets)],
        series.starts[:1],
        series.frequencies[:1],
        target_names=tuple(series.item_ids),
    )


def exchange_rate(path: Path) -> SeriesDataset:
    """Reads the exchange rates of 8 currencies on business days, by convention from 1990-01-01.

    Raises:
      DataError: If the file does not exist.
    """
    values = np.loadtxt(_existing(path), delimiter=",").T
    names = [f"currency_{number}" for number in range(len(values))]
    return read_arrays(values, "1990-01-01", "B", names)


def built_series(name: str, data_dir: Path) -> SeriesDataset:
    """Reads the whole series of a data set that `lagllama data build` built in a folder of TFDS.

    Raises:
      DataError: If it was not built there. The message names the command.
      MissingExtraError: If TFDS is not installed.
    """
    return SeriesDataset.of(read_built(name, "test", data_dir))


def covariate_series(path: Path, rule: str | None = None) -> SeriesDataset:
    """Reads a long Parquet file of series with covariates, which all are known in the future.

    Series end with their last observed target.

    Args:
      path: The file, with the columns item_id, timestamp, target, and covariates.
      rule: Pandas alias of a longer step, over which means are taken. `None`: the file's step.

    Raises:
      DataError: If the file does not exist or cannot be read.
    """
    import pandas as pd

    frame = pd.read_parquet(_existing(path))
    if rule is not None:
        frame = frame.set_index("timestamp").groupby("item_id").resample(rule).mean()
        frame = frame.reset_index()
    read = read_frame(frame, target="target")
    ends = [read.observed_end(row) for row in range(len(read))]
    known = [rows[:, :end] for rows, end in zip(read.past_covariates or (), ends, strict=True)]
    return replace(
        read.truncate(np.array(ends)),
        past_covariates=None,
        past_names=(),
        known_covariates=known,
        known_names=read.past_names,
    )


def parquet_series(
    path: Path, frequency: str | None = None, items: Sequence[str] | None = None
) -> SeriesDataset:
    """Reads a Parquet file with one row per series: item_id, start, freq and target.

    Args:
      path: The file.
      frequency: Pandas alias of the series to read. `None`: all series.
      items: Names of the series to read. `None`: all series.

    Raises:
      DataError: If the file does not exist or has other columns, or if it has none of these series,
        or series of several frequencies.
    """
    dataset = read_parquet(_existing(path))
    wanted = None if frequency is None else Frequency.parse(frequency)
    kept = [
        row
        for row, item in enumerate(dataset)
        if wanted in (None, item.frequency) and (items is None or item.item_id in items)
    ]
    found = sorted({str(dataset.frequencies[row]) for row in kept})
    if not found:
        raise DataError(f"{path} holds no series of frequency {frequency!r}: give another file.")
    if len(found) > 1:
        raise DataError(f"{path} holds series of {', '.join(found)}: name one frequency.")
    return dataset.take(kept)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise DataError(f"{path} does not exist: give with --data-dir (data_dir) {FOLDER}.")
    return path
