"""A folder of results: one table in GIFT-Eval's columns, one of calibration, kept row by row."""

import csv
import dataclasses
import datetime
import json
import os
import platform
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from lagllama_jax import __version__
from lagllama_jax.config import ForecastConfig
from lagllama_jax.errors import DataError
from lagllama_jax.evaluation.backtest import Row, evaluate_task
from lagllama_jax.evaluation.forecasters import Forecaster, Prediction
from lagllama_jax.evaluation.protocols import Task, Windows
from lagllama_jax.files import atomic_path

GIFT_EVAL_COLUMNS = (
    "dataset",
    "model",
    "eval_metrics/MSE[mean]",
    "eval_metrics/MSE[0.5]",
    "eval_metrics/MAE[0.5]",
    "eval_metrics/MASE[0.5]",
    "eval_metrics/MAPE[0.5]",
    "eval_metrics/sMAPE[0.5]",
    "eval_metrics/MSIS",
    "eval_metrics/RMSE[mean]",
    "eval_metrics/NRMSE[mean]",
    "eval_metrics/ND[0.5]",
    "eval_metrics/mean_weighted_sum_quantile_loss",
    "domain",
    "num_variates",
)
"""Columns of the benchmark's `all_results.csv`, in its order."""

CALIBRATION_COLUMNS = (
    "dataset",
    "model",
    "coverage_80",
    "calibration_error",
    *(f"below_{level / 10}" for level in range(1, 10)),
    "windows",
    "seconds",
)
"""What the benchmark does not ask: shares of points at or below each decile, and the cost."""

TABLES = {"all_results.csv": GIFT_EVAL_COLUMNS, "calibration.csv": CALIBRATION_COLUMNS}
TEXT = ("dataset", "model", "domain")
WHOLE = ("num_variates", "windows")


def read_table(path: Path) -> list[Row]:
    """Rows of a results table, numbers as numbers.

    Raises:
      DataError: a cell that is no number; names file, row and column.
    """
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows, start=2):
        for column in row.keys() - set(TEXT):
            try:
                row[column] = (int if column in WHOLE else float)(row[column])
            except (TypeError, ValueError) as error:
                raise DataError(
                    f"{path}, line {number}, column {column!r}: {row[column]!r} is no number."
                ) from error
    return rows


def write_table(path: Path, rows: Iterable[Row], columns: Sequence[str]) -> None:
    """Writes some columns of the rows as CSV, whole or not at all."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_results(folder: Path) -> list[Row]:
    """Every row of a results folder, both tables joined; empty where there is none yet."""
    joined: dict[tuple[str, str], Row] = {}
    for name in TABLES:
        if (folder / name).exists():
            for row in read_table(folder / name):
                joined.setdefault((row["dataset"], row["model"]), {}).update(row)
    return list(joined.values())


def add_result(folder: Path, row: Row) -> None:
    """Adds a row to the tables of a folder; an older one of the same task and model goes."""
    folder.mkdir(parents=True, exist_ok=True)
    key = (row["dataset"], row["model"])
    rows = [old for old in read_results(folder) if (old["dataset"], old["model"]) != key]
    for name, columns in TABLES.items():
        write_table(folder / name, [*rows, row], columns)


def evaluate_into(
    folder: Path,
    forecaster: Forecaster,
    tasks: Iterable[Task],
    *,
    overwrite: bool = False,
    on_row: Callable[[Row], None] | None = None,
    on_forecast: Callable[[Task, Windows, Prediction], None] | None = None,
) -> list[Row]:
    """Evaluates the tasks that a folder does not hold yet, writing each row as it is done.

    Args:
      folder: where `all_results.csv` and `calibration.csv` are, or will be.
      forecaster: what is evaluated; its name is the model's name in the tables.
      tasks: what it is asked.
      overwrite: evaluate again what is there.
      on_row: called with every new row.
      on_forecast: called with task, windows and prediction before they are dropped.

    Returns:
      The rows of this model for these tasks, old and new.
    """
    old = {row["dataset"]: row for row in read_results(folder) if row["model"] == forecaster.name}
    rows = []
    for task in tasks:
        row = None if overwrite else old.get(task.name)
        if row is None:
            row = evaluate_task(forecaster, task, on_forecast=on_forecast)
            add_result(folder, row)
            if on_row is not None:
                on_row(row)
        rows.append(row)
    return rows


def record_run(folder: Path, name: str, config: ForecastConfig) -> None:
    """Writes beside the tables how, when and on what they came about, one entry a model.

    `run.json`: the command, the time, the forecast's configuration, versions and hardware.
    """
    import jax

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.json"
    runs = json.loads(path.read_text()) if path.exists() else {}
    runs[name] = {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "forecast": dataclasses.asdict(config),
        "versions": {"lagllama_jax": __version__, "jax": jax.__version__},
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores",
        "devices": [device.device_kind for device in jax.local_devices()],
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(runs, indent=2) + "\n")
