"""The suites of tasks: GIFT-Eval's ETT and m4_hourly, the paper's test sets, and validation."""

import functools
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

from lagllama_jax.errors import ConfigError
from lagllama_jax.evaluation.datasets import ETT_GRIDS, ett, exchange_rate, parquet_series
from lagllama_jax.evaluation.tasks import Task, horizon
from lagllama_jax.evaluation.validation import validation_tasks
from lagllama_jax.series.dataset import SeriesDataset

SUITES = ("gift-eval-ett", "m4_hourly", "all", "paper", "validation")


def suite_tasks(
    suite: str, data_dir: Path | str, terms: Sequence[str] = ("short", "medium", "long")
) -> list[Task]:
    """The tasks of a suite.

    Args:
      suite: `gift-eval-ett`, `m4_hourly`, `all` (both of them), `paper` or `validation`.
      data_dir: Folder of the evaluation sets; for `validation`, of a corpus' Parquet files.
      terms: Terms of GIFT-Eval, which the suite `paper` ignores.

    Raises:
      ConfigError: If there is no such suite, or it has no task of these terms.
    """
    if suite not in SUITES:
        raise ConfigError(f"suite={suite!r} is not one of {', '.join(SUITES)}.")
    tasks = _suite_tasks(suite, Path(data_dir), terms)
    if not tasks:
        asked = ", ".join(terms) or "none"
        raise ConfigError(
            f"suite={suite!r} has no task of terms={asked}: give another, such as short."
        )
    return tasks


def _suite_tasks(suite: str, data_dir: Path, terms: Sequence[str]) -> list[Task]:
    if suite == "paper":
        return paper_tasks(data_dir)
    if suite == "validation":
        return [task for task in validation_tasks(data_dir) if task.term in terms]
    tasks = ett_tasks(data_dir, terms) if suite in ("gift-eval-ett", "all") else []
    if suite in ("m4_hourly", "all") and "short" in terms:
        tasks.append(m4_hourly_task(data_dir))
    return tasks


def ett_tasks(data_dir: Path, terms: Sequence[str] = ("short", "medium", "long")) -> list[Task]:
    """GIFT-Eval's 16 ETT tasks. They use the 15-minute files: ett1 is ETTm1."""
    return [
        Task(
            f"ett{number}", frequency, term, horizon(frequency, term), None, "Energy", 7,
            functools.partial(ett, Path(data_dir) / f"ETTm{number}.csv.gz", frequency),
        )
        for number, frequency, term in itertools.product((1, 2), ETT_GRIDS, terms)
        if term == "short" or frequency not in "DW"
    ]  # fmt: skip


def m4_hourly_task(data_dir: Path) -> Task:
    """GIFT-Eval's task m4_hourly/H/short: the last 48 hours of 414 series, as in M4."""
    read = functools.partial(parquet_series, Path(data_dir) / "m4_hourly.parquet")
    return Task("m4_hourly", "H", "short", horizon("H", m4=True), 1, "Econ/Fin", 1, read)


def paper_tasks(data_dir: Path) -> list[Task]:
    """Three test sets of the Lag-Llama paper: the last window of each series, with its horizon."""
    folder = Path(data_dir)
    sets: list[tuple[str, str, int, str, int, Callable[[], SeriesDataset]]] = [
        ("ettm2", "15T", 24, "Energy", 7, lambda: ett(folder / "ETTm2.csv.gz", "15T")),
        ("beijing_pm25", "H", 24, "Nature", 1,
         lambda: parquet_series(folder / "beijing_pm25.parquet", items=["pm2.5"])),
        ("exchange_rate", "B", 30, "Econ/Fin", 8,
         lambda: exchange_rate(folder / "exchange_rate.txt.gz")),
    ]  # fmt: skip
    return [
        Task(name, frequency, "paper", points, 1, domain, variates, read)
        for name, frequency, points, domain, variates, read in sets
    ]
