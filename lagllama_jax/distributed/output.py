"""The output folder of a job: its manifest, and one table of forecasts and of errors per shard.

A shard is finished when its table of forecasts is there. Each file is written aside and renamed, so
that a process that is killed leaves no part of a table, and a shard that is forecast twice, as
engines do after a worker was lost, is in the result once.
"""

import contextlib
import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from lagllama_jax.distributed.job import Job, forecast_parts
from lagllama_jax.distributed.reading import read_shard
from lagllama_jax.errors import DataError
from lagllama_jax.files import atomic_path, write_bytes

MANIFEST = "manifest.json"
ERRORS = pa.schema([("shard", pa.string()), ("series", pa.string()), ("error", pa.string())])
"""Columns of the tables of errors. `series` is null if the whole shard cannot be read."""


@dataclass(frozen=True)
class Output:
    """The folder of the results of a job, which all workers can write to.

    Attributes:
      folder: The folder.
    """

    folder: Path

    @property
    def manifest(self) -> Path:
        """The file that tells which job the folder belongs to."""
        return self.folder / MANIFEST

    @property
    def model(self) -> Path:
        """The folder of the weights, from which all workers load."""
        return self.folder / "model"

    def forecasts(self, shard: str) -> Path:
        """The table of the forecasts of a shard."""
        return self.folder / "forecasts" / f"{shard}.parquet"

    def errors(self, shard: str) -> Path:
        """The table of the series of a shard that have no forecast."""
        return self.folder / "errors" / f"{shard}.parquet"

    def finished(self, shards: Iterable[str]) -> list[str]:
        """The shards whose forecasts are written."""
        return [shard for shard in shards if self.forecasts(shard).exists()]

    def failures(self) -> pd.DataFrame:
        """The table of errors of all shards."""
        files = sorted((self.folder / "errors").glob("[!.]*.parquet"))
        tables = [parquet.read_table(file, schema=ERRORS) for file in files]
        return pa.concat_tables([ERRORS.empty_table(), *tables]).to_pandas()

    def prepare(self, job: Mapping[str, Any]) -> bool:
        """Writes the manifest of a job, or checks that the manifest that is there is the same.

        Returns:
          Whether the folder belongs to this job already.

        Raises:
          DataError: If the folder belongs to another job, or has other files and no manifest.
        """
        if self.manifest.exists():
            check_same(self.folder, self.read_manifest(), job)
            return True
        others = [entry.name for entry in self.folder.iterdir() if entry.name != ".lock"]
        if others:
            raise DataError(
                f"The folder {self.folder} holds {others[0]} and is not of a job of forecasts. "
                "Give an empty folder, or one that does not exist."
            )
        return False

    def read_manifest(self) -> dict[str, Any]:
        """The manifest.

        Raises:
          DataError: If it is damaged.
        """
        try:
            return json.loads(self.manifest.read_text())
        except (ValueError, OSError) as error:
            raise DataError(
                f"{self.manifest} is damaged ({error}): give another folder."
            ) from error

    def begin(self, job: Mapping[str, Any]) -> None:
        """Creates the folders and then the manifest."""
        for name in ("forecasts", "errors"):
            (self.folder / name).mkdir(exist_ok=True)
        write_bytes(self.manifest, (json.dumps(job, indent=1) + "\n").encode())

    def clean(self) -> None:
        """Removes what workers that were killed have left half-written."""
        for name in ("forecasts", "errors"):
            for left in (self.folder / name).glob(".*.parquet"):
                left.unlink(missing_ok=True)


def check_same(folder: Path, there: Mapping[str, Any], job: Mapping[str, Any]) -> None:
    """Raises `DataError` with the first difference, unless two manifests are of the same job."""
    for key in job:
        old, new = there.get(key), job.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            key = next(one for one in (*new, *old) if old.get(one) != new.get(one))
            old, new = old.get(key), new.get(key)
        raise DataError(
            f"{folder} holds the forecasts of another job: {key} is {old} there and {new} here. "
            "Give another folder, or repeat the command of that job to continue it."
        )


@dataclass(frozen=True)
class ShardResult:
    """What a worker tells of a shard.

    Attributes:
      shard: Name of the shard.
      series: Number of series that have a forecast.
      failed: Number of series that have none.
      warnings: Warnings of the reading, each once.
    """

    shard: str
    series: int
    failed: int
    warnings: tuple[str, ...] = ()


def forecast_shard(job: Job, source: Path, output: Output, shard: str) -> ShardResult:
    """Forecasts one shard and writes its tables, the errors first and then the forecasts.

    If the shard cannot be read, there is only a table of errors, so that a later run tries again.

    Args:
      job: What is to be forecast.
      source: The folder of the shards.
      output: The folder of the results.
      shard: Name of the shard.

    Raises:
      ConfigError: If an option is invalid for these series, or there is too little memory.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            series, failed = _forecast_file(job, source / shard, output)
        except DataError as error:
            _write_errors(output, shard, [(None, str(error))])
            return ShardResult(shard, 0, 0, (str(error),))
    texts = dict.fromkeys(str(one.message) for one in caught)
    return ShardResult(shard, series, failed, tuple(texts))


def _forecast_file(job: Job, path: Path, output: Output) -> tuple[int, int]:
    """Forecasts one file; returns the numbers of series with and without a forecast."""
    read, columns = read_shard(path, job.reading), job.columns
    assert columns is not None
    failures = dict(read.failures)
    with (
        atomic_path(output.forecasts(path.name)) as temporary,
        parquet.ParquetWriter(temporary, columns) as writer,
    ):
        for frame, failed in forecast_parts(job, read):
            failures |= failed
            if len(frame):
                writer.write_table(as_columns(frame, columns))
        _write_errors(output, path.name, list(failures.items()))
    count = 0 if read.dataset is None else len(read.dataset)
    return count - len(failures) + len(read.failures), len(failures)


def as_columns(frame: pd.DataFrame, columns: pa.Schema) -> pa.Table:
    """A result as an Arrow table of given columns.

    Raises:
      DataError: If a column has another type.
    """
    try:
        return pa.Table.from_pandas(frame, preserve_index=False).cast(columns)
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"The columns have other types than in the first shard: {error}") from error


def _write_errors(output: Output, shard: str, failures: list[tuple[Any, str]]) -> None:
    path = output.errors(shard)
    if not failures:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        return
    rows = [
        {"shard": shard, "series": None if series is None else str(series), "error": message}
        for series, message in failures
    ]
    with atomic_path(path) as temporary:
        parquet.write_table(pa.Table.from_pylist(rows, ERRORS), temporary)
