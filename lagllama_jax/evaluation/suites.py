"""The suites of tasks: GIFT-Eval's, the paper's, validation, covariates, several targets."""

import functools
import itertools
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from lagllama_jax.corpus.catalogue import find_data_set
from lagllama_jax.corpus.tfds.store import how_to_build, is_built
from lagllama_jax.errors import ConfigError
from lagllama_jax.evaluation.datasets import (
    ETT_GRIDS,
    built_series,
    covariate_series,
    ett,
    exchange_rate,
    parquet_series,
    together,
)
from lagllama_jax.evaluation.suite_names import Suite
from lagllama_jax.evaluation.tasks import Task, horizon
from lagllama_jax.evaluation.validation import validation_tasks

SUITES = get_args(Suite)


def suite_tasks(
    suite: str, data_dir: Path | str, terms: Sequence[str] = ("short", "medium", "long")
) -> list[Task]:
    """The tasks of a suite.

    Args:
      suite: One of `SUITES`. `all` is `gift-eval-ett` and `m4_hourly`. `multivariate` has the tasks
        of `gift-eval-ett`, where the seven variables are the targets of one item.
      data_dir: Folder of the evaluation sets; for `validation`, of a corpus' Parquet files.
      terms: Terms of GIFT-Eval, which `paper` and `covariates` ignore.

    Raises:
      ConfigError: If there is no such suite, or it has no task of these terms.
    """
    if suite not in SUITES:
        raise ConfigError(f"suite={suite!r} is not one of {', '.join(SUITES)}.")
    folder = Path(data_dir)
    tasks = validation_tasks(folder) if suite == "validation" else []
    if suite in ("gift-eval-ett", "all"):
        tasks += ett_tasks(folder)
    if suite == "multivariate":
        tasks += map(_joint, ett_tasks(folder))
    if suite in ("m4_hourly", "all"):
        tasks.append(m4_hourly_task(folder))
    tasks = [task for task in tasks if task.term in terms]
    if suite == "paper":
        tasks = paper_tasks(folder)
    if suite == "covariates":
        tasks = covariate_tasks(folder)
    if not tasks:
        asked = ", ".join(terms) or "none"
        raise ConfigError(f"suite={suite!r} has no task of terms={asked}: add one, such as short.")
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


def _joint(task: Task) -> Task:
    """The task with its series as the targets of one item."""
    return replace(task, read=lambda: together(task.read()))


def m4_hourly_task(data_dir: Path) -> Task:
    """GIFT-Eval's task m4_hourly/H/short: the last 48 hours of 414 series, as in M4."""
    read = functools.partial(parquet_series, Path(data_dir) / "m4_hourly.parquet")
    return Task("m4_hourly", "H", "short", horizon("H"), 1, "Econ/Fin", 1, read)


def paper_tasks(data_dir: Path) -> list[Task]:
    """Test sets of the Lag-Llama paper: the last window of each series, with its horizon.

    Weather and pedestrian counts are data sets that `lagllama data build` built in `data_dir`. If
    they were not, they are left out with a warning. The files of the other two test sets of the
    paper, of Huawei's cloud, were not published.
    """
    folder = Path(data_dir)
    ettm2 = functools.partial(ett, folder / "ETTm2.csv.gz", "15T")
    pm25 = functools.partial(parquet_series, folder / "beijing_pm25.parquet", items=["pm2.5"])
    rates = functools.partial(exchange_rate, folder / "exchange_rate.txt.gz")
    return [
        Task("ettm2", "15T", "paper", 24, 1, "Energy", 7, ettm2),
        Task("beijing_pm25", "H", "paper", 24, 1, "Nature", 1, pm25),
        Task("exchange_rate", "B", "paper", 30, 1, "Econ/Fin", 8, rates),
        *_built_task("weather", "D", "Nature", 3010, folder),
        *_built_task("pedestrian_counts", "H", "Transport", 66, folder),
    ]


def _built_task(
    name: str, frequency: str, domain: str, num_variates: int, folder: Path
) -> list[Task]:
    """The task of a data set of the catalogue, or none if it was not built in the folder."""
    if not is_built(name, folder):
        warnings.warn(
            f"The suite paper is scored without {name}, which is not in {folder}; "
            f"{how_to_build(name, folder)}",
            stacklevel=4,
        )
        return []
    read = functools.partial(built_series, name, folder)
    points = find_data_set(name).horizon
    return [Task(name, frequency, "paper", points, 1, domain, num_variates, read)]


COVARIATE_TASKS = (
    ("vic_electricity", "30T", 48, 60, None),
    ("vic_electricity", "H", 24, 60, "h"),
    ("m5_small", "D", 28, 1, None),
    ("buildings_daily", "D", 30, 2, None),
)
"""Data set, frequency, number of points per window, number of windows, and grid of means."""


def covariate_tasks(data_dir: Path) -> list[Task]:
    """Tasks with known covariates: electricity demand, sales, and energy use of buildings."""
    tasks = []
    for name, frequency, points, windows, rule in COVARIATE_TASKS:
        path = Path(data_dir) / "covariates" / f"{name}.parquet"
        read = functools.partial(covariate_series, path, rule)
        tasks.append(Task(name, frequency, "covariates", points, windows, "own", 1, read))
    return tasks
