"""Runs a job on Spark (extra `spark`), by `DataFrame.mapInPandas`."""

import dataclasses
import functools
import json
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from lagllama_jax.distributed.frames import (
    ERROR,
    LongColumns,
    forecast_table,
    number_names,
    whole_series,
)
from lagllama_jax.distributed.job import Job
from lagllama_jax.distributed.local import Work, cause_of
from lagllama_jax.distributed.output import ShardResult
from lagllama_jax.errors import EngineError, require

RETRIES = 4
"""Number of attempts at a shard on this machine. A cluster has a setting of its own."""


def check_engine(workers: int | None, cluster: str | None) -> None:
    """Raises `MissingExtraError` if PySpark is not installed."""
    require("pyspark", "spark")


def run(
    work: Work, shards: Sequence[str], workers: int | None, cluster: str | None
) -> Iterator[ShardResult]:
    """Forecasts the shards in tasks of Spark, of which it repeats those that were lost.

    Args:
      work: The function that forecasts one shard.
      shards: Names of the shards.
      workers: Number of tasks at once on this machine. `None`: one. A cluster runs as many as it
        has cores for tasks.
      cluster: URL of the master of a cluster. `None`: the session of this process, or this machine.

    Raises:
      EngineError: If Spark cannot be started or is lost, as without Java.
    """
    sql = require("pyspark.sql", "spark")
    started = sql.SparkSession.getActiveSession() is None
    session = None
    try:
        session = sql.SparkSession.getActiveSession() or _session(sql, workers, cluster)
        rows = session.range(0, len(shards), numPartitions=len(shards))
        task = functools.partial(_task, work, list(shards))
        for row in rows.mapInPandas(task, "result string").collect():
            yield _parsed(row["result"])
    except Exception as error:  # of PySpark, of Py4J and of the network
        raise EngineError(f"Spark failed: {cause_of(error)}") from error
    finally:
        if started and session is not None:
            session.stop()


def _session(sql: Any, workers: int | None, cluster: str | None) -> Any:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = sql.SparkSession.builder.appName("lagllama")
    master = cluster or f"local[{workers or 1},{RETRIES}]"
    with warnings.catch_warnings():
        # JAX warns of processes that go on after a fork. Java is started at once instead.
        warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)
        return builder.master(master).config("spark.ui.enabled", "false").getOrCreate()


def _task(
    work: Work, shards: Sequence[str], batches: Iterator[pd.DataFrame]
) -> Iterator[pd.DataFrame]:
    for batch in batches:
        results = [work(shards[number]) for number in batch["id"]]
        texts = [json.dumps(dataclasses.asdict(result)) for result in results]
        yield pd.DataFrame({"result": texts})


def _parsed(text: str) -> ShardResult:
    fields = json.loads(text)
    return ShardResult(**{**fields, "warnings": tuple(fields["warnings"])})


def forecast_df(
    df: Any,
    prediction_length: int,
    *,
    freq: str,
    model: Any = None,
    id_column: str | None = None,
    timestamp_column: str | None = None,
    target: str | None = None,
    partitions: int | None = None,
    **options: Any,
) -> Any:
    """Forecasts the series of a long Spark data frame, when its result is asked for.

    The rows are brought together by series (`DataFrame.repartition`), and each partition is
    forecast by `DataFrame.mapInPandas`. The forecasts are those of `LagLlama.predict_df`.

    Args:
      df: The data frame, with the columns `item_id, timestamp, target` or `unique_id, ds, y`.
      prediction_length: Number of time steps to forecast.
      freq: Frequency as a pandas alias. It is not inferred, as a partition may hold series that are
        too short to tell.
      model: A model, or where each worker loads it from, as in `LagLlama.from_pretrained`.
      id_column: Column of the names of the series, if it has another name.
      timestamp_column: Column of the time stamps, if it has another name.
      target: Column of the values, if it has another name.
      partitions: Number of partitions. `None`: as Spark is set.
      **options: Fields of `ForecastConfig`, such as `seed` or `quantile_levels`.

    Returns:
      A data frame with the table of `predict_df` and a column `error`. A series that cannot be
      forecast has one row with its name and the message; `error` is null in all other rows.

    Raises:
      DataError: If a column is not there.
      ConfigError: If an option is invalid.
    """
    given = (id_column, timestamp_column, target)
    columns = LongColumns.of(df.columns, given)
    job = columns.job(model, prediction_length, freq, options)
    kinds = dict(df.dtypes)
    fields = [f"`{name}` {kinds[name]}" for name in (columns.item_id, columns.timestamp)]
    fields += [f"`{name}` double" for name in number_names(job)]
    rows = df.select(columns.item_id, columns.timestamp, columns.target)
    count = () if partitions is None else (partitions,)
    apart = rows.repartition(*count, columns.item_id).sortWithinPartitions(columns.item_id)
    task = functools.partial(_forecast_partition, job, columns.item_id)
    return apart.mapInPandas(task, ", ".join([*fields, f"`{ERROR}` string"]))


def _forecast_partition(
    job: Job, item_id: str, batches: Iterator[pd.DataFrame]
) -> Iterator[pd.DataFrame]:
    for frame in whole_series(batches, item_id):
        yield forecast_table(job, frame)
