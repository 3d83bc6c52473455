"""Runs a job in this process, one shard after another."""

from collections.abc import Callable, Iterator, Sequence

from lagllama_jax.config.base import check
from lagllama_jax.distributed.output import ShardResult

Work = Callable[[str], ShardResult]
"""Forecasts the shard of a name. It is sent to the workers of an engine."""


def check_engine(workers: int | None, cluster: str | None) -> None:
    """Raises `ConfigError` if several workers or a cluster are asked for."""
    check(
        workers in (None, 1) and cluster is None,
        "The engine local is one process: choose the engine ray or spark for several workers.",
    )


def run(
    work: Work, shards: Sequence[str], workers: int | None, cluster: str | None
) -> Iterator[ShardResult]:
    """Forecasts the shards in turn.

    Args:
      work: The function that forecasts one shard.
      shards: Names of the shards.
      workers: `None` or 1, as there is one process.
      cluster: `None`.
    """
    return map(work, shards)


def cause_of(error: Exception) -> str:
    """The error of this package within the message of an engine, or the first line of that."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    own = [line.split(": ", 1)[-1] for line in lines if "lagllama_jax.errors." in line]
    return (own or lines or [type(error).__name__])[0][:500]
