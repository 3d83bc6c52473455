"""Runs a job on Spark (extra `spark`), by `DataFrame.mapInPandas`."""

import dataclasses
import functools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from lagllama_jax.distributed.local import Work
from lagllama_jax.distributed.output import ShardResult
from lagllama_jax.errors import EngineError, require

RETRIES = 4
"""Number of attempts at a shard on this machine. A cluster has a setting of its own."""


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
      MissingExtraError: If PySpark is not installed.
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
        raise EngineError(f"Spark failed: {_cause(error)}") from error
    finally:
        if started and session is not None:
            session.stop()


def _session(sql: Any, workers: int | None, cluster: str | None) -> Any:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = sql.SparkSession.builder.appName("lagllama")
    master = cluster or f"local[{workers or 1},{RETRIES}]"
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


def _cause(error: Exception) -> str:
    """The last line of a Python traceback within a message of Spark, or its first line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if line.startswith("lagllama_jax.errors.")]
    return (named or lines or [type(error).__name__])[0][:500]
