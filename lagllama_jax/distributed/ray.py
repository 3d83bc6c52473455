"""Runs a job on Ray (extra `ray`): actors that hold the compiled program."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from lagllama_jax.config import Count, checked
from lagllama_jax.config.base import check
from lagllama_jax.distributed.frames import LongColumns, forecast_table, is_nested_frame
from lagllama_jax.distributed.job import CHUNK, Job
from lagllama_jax.distributed.local import Work, cause_of
from lagllama_jax.distributed.output import ShardResult
from lagllama_jax.errors import EngineError, require


class Worker:
    """An actor, which keeps the model and its compiled programs from shard to shard.

    Attributes:
      work: The function that forecasts one shard.
    """

    def __init__(self, work: Work):
        self.work = work

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Forecasts the shards of a batch, and tells of each."""
        return {"result": [self.work(str(shard)) for shard in batch["shard"]]}


def check_engine(workers: int | None, cluster: str | None) -> None:
    """Raises `MissingExtraError` if Ray is not installed."""
    require("ray", "ray")


def run(
    work: Work, shards: Sequence[str], workers: int | None, cluster: str | None
) -> Iterator[ShardResult]:
    """Forecasts the shards by actors of Ray Data, which replaces an actor that was lost.

    Args:
      work: The function that forecasts one shard.
      shards: Names of the shards.
      workers: Number of actors. `None`: one per GPU of the cluster, or one per machine.
      cluster: Address of a running cluster, as for `ray.init`. `None`: the cluster that the process
        is connected to, or this machine.

    Raises:
      EngineError: If the cluster cannot be reached or is lost.
    """
    ray = require("ray", "ray")
    data = require("ray.data", "ray")
    started = not ray.is_initialized()
    try:
        if started:
            ray.init(cluster, **({} if cluster else _local(workers)))
        gpus = int(ray.cluster_resources().get("GPU", 0))
        count = workers or gpus or len([node for node in ray.nodes() if node["Alive"]])
        count = min(count, len(shards))
        rows = data.from_items(
            [{"shard": shard} for shard in shards], override_num_blocks=len(shards)
        )
        results = rows.map_batches(
            Worker,
            fn_constructor_args=(work,),
            batch_size=1,
            compute=data.ActorPoolStrategy(size=count),
            num_cpus=1,
            num_gpus=1 if gpus else 0,
        )
        for row in results.iter_rows():
            yield row["result"]
    except (ray.exceptions.RayError, ConnectionError, RuntimeError, OSError) as error:
        raise EngineError(f"Ray failed: {cause_of(error)}") from error
    finally:
        if started:
            with contextlib.suppress(Exception):
                ray.shutdown()


def _local(workers: int | None) -> dict[str, Any]:
    """Options of a cluster of this machine alone, which shows errors only."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    options: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False}
    options["logging_level"] = logging.ERROR
    if workers is not None:
        options["num_cpus"] = workers
    return options


class TableWorker:
    """An actor that forecasts parts of a data set.

    Attributes:
      job: The job.
    """

    def __init__(self, job: Job):
        self.job = job

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Forecasts the series of a part."""
        return forecast_table(self.job, frame)


def forecast_dataset(
    dataset: Any,
    prediction_length: int,
    *,
    freq: str | None = None,
    model: Any = None,
    id_column: str | None = None,
    timestamp_column: str | None = None,
    target: str | None = None,
    workers: int = 1,
    partitions: int | None = None,
    **options: Any,
) -> Any:
    """Forecasts the series of a Ray data set, when its result is asked for.

    The rows of a long data set are brought together by series (`Dataset.repartition` by keys). The
    forecasts are those of `LagLlama.predict_df`.

    Args:
      dataset: A data set with one row per series (`item_id, start, freq, target`), or a long one
        with the columns `item_id, timestamp, target` or `unique_id, ds, y`.
      prediction_length: Number of time steps to forecast.
      freq: Frequency as a pandas alias, for a long data set.
      model: A model, or where each worker loads it from, as in `LagLlama.from_pretrained`.
      id_column: Column of the names of the series, if it has another name.
      timestamp_column: Column of the time stamps, if it has another name.
      target: Column of the values, if it has another name.
      workers: Number of actors.
      partitions: Number of parts that a long data set is cut into. Each of them should fit the
        memory of a worker. `None`: 4 per worker.
      **options: Fields of `ForecastConfig`, such as `seed` or `quantile_levels`.

    Returns:
      A data set with the table of `predict_df` and a column `error`. A series that cannot be
      forecast has one row with its name and the message; `error` is null in all other rows.

    Raises:
      DataError: If a column is not there.
      ConfigError: If an option is invalid, or `freq` is missing.
      MissingExtraError: If Ray is not installed.
    """
    data = require("ray.data", "ray")
    count = int(checked("workers", workers, Count))
    names = dataset.columns()
    actors = data.ActorPoolStrategy(size=count)
    settings = {"batch_format": "pandas", "compute": actors, "num_cpus": 1}
    if is_nested_frame(names):
        nested = LongColumns("item_id", "timestamp", "target")
        job = nested.job(model, prediction_length, None, options)
        return dataset.map_batches(
            TableWorker, fn_constructor_args=(job,), batch_size=CHUNK, **settings
        )
    check(freq is not None, "A long data set needs freq, the step of its series, such as freq='h'.")
    columns = LongColumns.of(names, (id_column, timestamp_column, target))
    job = columns.job(model, prediction_length, freq, options)
    apart = dataset.repartition(partitions or 4 * count, keys=[columns.item_id])
    return apart.map_batches(TableWorker, fn_constructor_args=(job,), batch_size=None, **settings)
