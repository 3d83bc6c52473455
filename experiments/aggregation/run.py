"""Compares forecasts of sub-hourly series with and without aggregation, and checks their paths.

python experiments/aggregation/run.py
"""

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from lagllama_jax import ForecastConfig, LagLlama
from lagllama_jax.evaluation.baselines.naive import SeasonalNaive
from lagllama_jax.evaluation.run import evaluate_task
from lagllama_jax.evaluation.scores import CRPS
from lagllama_jax.evaluation.tasks import Task
from lagllama_jax.evaluation.validation import validation_tasks
from lagllama_jax.series.dataset import SeriesDataset

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("LAGLLAMA_SHARED", HERE / "../../../shared"))
FINE = ("5min", "10min", "30min")
START = "2024-03-01"


@dataclass(frozen=True)
class Arguments:
    """What is compared.

    Attributes:
      data_dir: Folder of the Parquet files of the corpus.
      limit: Largest number of windows per task.
      num_samples: Number of sample paths.
      output: CSV file to write.
    """

    data_dir: Path = SHARED / "data/corpus"
    limit: int = 40
    num_samples: int = 20
    output: Path = HERE / "results.csv"


def ending_earlier(task: Task) -> Task:
    """The same task with all series half an hour shorter, so that they end within an hour."""
    points = 30 // int(task.frequency.removesuffix("min"))

    def read() -> SeriesDataset:
        given = task.read()
        return replace(given, targets=[target[:, :-points] for target in given.targets])

    return replace(task, dataset=f"{task.dataset} to half past", read=read)


def scores(model: LagLlama, arguments: Arguments) -> Iterator[tuple[str, str, float]]:
    """Yields task, aggregation and CRPS relative to seasonal naive, for short sub-hourly tasks."""
    tasks = [task for task in validation_tasks(arguments.data_dir) if task.term == "short"]
    tasks = [task for task in tasks if task.frequency in FINE]
    for task in [*tasks, *map(ending_earlier, tasks)]:
        naive = evaluate_task(SeasonalNaive(), task, limit=arguments.limit)
        for coarsen in (1, "auto"):
            config = ForecastConfig(num_samples=arguments.num_samples, coarsen=coarsen)
            row = evaluate_task(model.predictor(), task, config=config, limit=arguments.limit)
            yield task.name, str(coarsen), row[CRPS] / naive[CRPS]


def checks(model: LagLlama, arguments: Arguments) -> Iterator[tuple[str, str, float]]:
    """Yields check, aggregation and value, for random walks and for nights of solar power."""
    walks = np.random.default_rng(7).normal(size=(10, 12_000)).cumsum(axis=1)
    past, coming = walks[:, :-240], walks[:, -240:]
    naive, true = (np.abs(x).mean() for x in (past[:, -1] - coming[:, 0], np.diff(walks, axis=1)))
    between = np.arange(1, 240) % 60 == 0
    for coarsen in (1, 60):
        options = {"num_samples": arguments.num_samples, "coarsen": coarsen, "start": START}
        paths = model.predict(past, 240, freq="min", **options).samples
        error = np.abs(np.median(paths[..., 0], axis=1) - coming[:, 0]).mean()
        steps = np.abs(np.diff(paths, axis=2))
        yield "walk: first error over naive's", str(coarsen), error / naive
        yield "walk: steps between hours over true", str(coarsen), steps[..., between].mean() / true
        yield "walk: steps inside hours over true", str(coarsen), steps[..., ~between].mean() / true
    days = np.arange(144 * 40)
    sun = np.maximum(np.sin(2 * np.pi * (days / 144 - 0.25)), 0)
    power = sun * np.random.default_rng(3).uniform(0.2, 1.0, size=(8, len(days) // 6)).repeat(6, 1)
    for coarsen in (1, 6):
        options = {"num_samples": arguments.num_samples, "coarsen": coarsen, "start": START}
        paths = model.predict(power[:, :-60], 60, freq="10min", **options).samples
        night = np.abs(paths[..., sun[-60:] == 0]).mean() / power.mean()
        yield "sun: mean absolute value at night over mean", str(coarsen), night


def main(arguments: Arguments) -> None:
    """Writes one row per check and setting."""
    model = LagLlama.from_pretrained()
    with arguments.output.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("check", "coarsen", "value"))
        for part in (checks, scores):
            for check, coarsen, value in part(model, arguments):
                table.writerow((check, coarsen, f"{value:.4f}"))
                file.flush()


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
