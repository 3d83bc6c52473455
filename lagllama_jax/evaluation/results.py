"""A folder of results: one table in GIFT-Eval's columns, one of calibration, kept row by row."""

import dataclasses
import functools
from collections.abc import Callable, Iterable
from pathlib import Path

from lagllama_jax.errors import DataError
from lagllama_jax.evaluation.backtest import Row, evaluate_task
from lagllama_jax.evaluation.fingerprint import fingerprint
from lagllama_jax.evaluation.forecasters import Forecaster, Prediction
from lagllama_jax.evaluation.windows import Task, Windows
from lagllama_jax.files import read_rows, write_rows

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
    "fingerprint",
)
"""What the benchmark does not ask: shares of points at or below each decile, the cost, and a hash
of what was asked and of whom."""

TABLES = {"calibration.csv": CALIBRATION_COLUMNS, "all_results.csv": GIFT_EVAL_COLUMNS}
"""In the order of writing: a row that is in the second table is in the first as well."""
TEXT = ("dataset", "model", "domain", "fingerprint")
WHOLE = ("num_variates", "windows")


def read_table(path: Path) -> list[Row]:
    """Rows of a results table, numbers as numbers.

    Raises:
      DataError: a cell that is no number; names file, row and column.
    """
    rows: list[Row] = [dict(row) for row in read_rows(path)]
    for number, row in enumerate(rows, start=2):
        for column in row.keys() - set(TEXT):
            try:
                row[column] = (int if column in WHOLE else float)(row[column])
            except (TypeError, ValueError) as error:
                raise DataError(
                    f"{path}, line {number}, column {column!r}: {row[column]!r} is no number."
                ) from error
    return rows


def read_results(folder: Path) -> list[Row]:
    """Every row of a results folder, both tables joined; empty where there is none yet.

    A row whose writing was cut off has the columns of the first of `TABLES` alone.

    Raises:
      DataError: a cell that is no number; names file, row and column.
    """
    joined: dict[tuple[str, str], Row] = {}
    for name in TABLES:
        if (folder / name).exists():
            for row in read_table(folder / name):
                joined.setdefault((row["dataset"], row["model"]), {}).update(row)
    return list(joined.values())


def add_result(folder: Path, row: Row) -> None:
    """Adds a row to the tables of a folder; an older one of the same task and model goes.

    Args:
      folder: made where it is not there.
      row: as `evaluate_task` returns it, perhaps with its `fingerprint`.

    Raises:
      DataError: a table that is there cannot be read, or one cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    others = {name: _without(folder / name, row["dataset"], row["model"]) for name in TABLES}
    # The old scores go first, so that they never stand beside the new row's fingerprint.
    write_rows(folder / "all_results.csv", others["all_results.csv"], GIFT_EVAL_COLUMNS)
    for name, columns in TABLES.items():
        write_rows(folder / name, [*others[name], row], columns)


def _without(path: Path, task: str, model: str) -> list[Row]:
    """The rows of a table that are not of this task and model."""
    rows = read_table(path) if path.exists() else []
    return [row for row in rows if (row["dataset"], row["model"]) != (task, model)]


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

    What it holds must be of the same forecaster, options, series and windows, told by the row's
    `fingerprint`; this is seen to before anything is forecast.

    Args:
      folder: where `all_results.csv` and `calibration.csv` are, or will be.
      forecaster: what is evaluated; its name is the model's name in the tables.
      tasks: what it is asked.
      overwrite: evaluate again what is there.
      on_row: called with every new row.
      on_forecast: called with task, windows and prediction before they are dropped.

    Returns:
      The rows of this model for these tasks, old and new.

    Raises:
      DataError: a row that is there was computed from something else, or does not tell from what;
        a damaged table; or a task that cannot be evaluated.
    """
    tasks = list(tasks)
    old = {} if overwrite else _finished(folder, forecaster.name)
    for task in tasks:
        if task.name in old and old[task.name].get("fingerprint") != fingerprint(forecaster, task):
            raise _another(folder, old[task.name])
    rows = []
    for task in tasks:
        row = old.get(task.name)
        if row is None:
            row = _evaluate_once(forecaster, task, on_forecast)
            add_result(folder, row)
            if on_row is not None:
                on_row(row)
        rows.append(row)
    return rows


def _finished(folder: Path, model: str) -> dict[str, Row]:
    """The rows of a model that are in `all_results.csv`, hence whole, by task."""
    rows = [row for row in read_results(folder) if row["model"] == model]
    return {row["dataset"]: row for row in rows if "domain" in row}


def _evaluate_once(
    forecaster: Forecaster,
    task: Task,
    on_forecast: Callable[[Task, Windows, Prediction], None] | None,
) -> Row:
    """A task's row with its fingerprint; the series are read once for both."""
    task = dataclasses.replace(task, panel=functools.cache(task.panel))
    asked = fingerprint(forecaster, task)
    return evaluate_task(forecaster, task, on_forecast=on_forecast) | {"fingerprint": asked}


def _another(folder: Path, row: Row) -> DataError:
    told = "other series, windows, options or weights than these"
    return DataError(
        f"{folder} holds a row of {row['model']} for {row['dataset']} that was computed from "
        f"{told if row.get('fingerprint') else 'something that it does not tell'}: --overwrite "
        "computes it again, another --output-dir or --name keeps it."
    )
