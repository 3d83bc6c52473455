"""Runs a job on Ray (extra `ray`): actors that hold the compiled program."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from lagllama_jax.distributed.local import Work
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
      MissingExtraError: If Ray is not installed.
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
        raise EngineError(f"Ray failed: {_first_line(error)}") from error
    finally:
        if started:
            with contextlib.suppress(Exception):
                ray.shutdown()


def _local(workers: int | None) -> dict[str, Any]:
    """Options of a cluster of this machine alone."""
    options: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False}
    if workers is not None:
        options["num_cpus"] = workers
    return options


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:500]
