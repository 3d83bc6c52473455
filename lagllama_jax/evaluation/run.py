"""Evaluates a predictor on tasks, and optionally stores the results in a folder."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from lagllama_jax.config import ForecastConfig
from lagllama_jax.errors import DataError
from lagllama_jax.evaluation.fingerprint import DEFAULTS, fingerprint
from lagllama_jax.evaluation.results import add_result, read_results
from lagllama_jax.evaluation.scores import LEVELS, Row, score
from lagllama_jax.evaluation.tasks import Task
from lagllama_jax.evaluation.windows import EvaluationWindows
from lagllama_jax.inference.forecast import Forecast, Predictor

OnRow: TypeAlias = Callable[[Row, Task, EvaluationWindows, Forecast], None]
"""A function that is called with each new row, its task, its windows and their forecast."""


def evaluate_task(
    predictor: Predictor,
    task: Task,
    name: str | None = None,
    config: ForecastConfig = DEFAULTS,
    limit: int | None = None,
    on_row: OnRow | None = None,
) -> Row:
    """Forecasts the windows of one task and scores them.

    Args:
      predictor: The predictor to evaluate.
      task: The task.
      name: Name of the model in tables. `None`: the predictor's `name`, or that of its class.
      config: Configuration of the forecasts. `scores.LEVELS` replace its quantile levels.
      limit: Largest number of windows, evenly spread, for a quick test. `None`: all windows, as in
        the protocol.
      on_row: See `OnRow`.

    Returns:
      GIFT-Eval's columns, then `coverage_80`, `calibration_error`, `below_0.1` ... `below_0.9`,
      `windows` and `seconds` (of forecasting alone, compilation included).

    Raises:
      ConfigError: If a number of the task is not a whole number of at least 1.
      DataError: If the series cannot be read, one is too short, or a forecast is not finite.
    """
    windows = task.windows(limit)
    begun = time.perf_counter()
    asked = config.replace(quantile_levels=LEVELS)
    forecast = predictor.predict(windows.dataset, task.prediction_length, asked)
    seconds = time.perf_counter() - begun
    row: Row = {"dataset": task.name, "model": name or name_of(predictor)}
    row |= score(windows, forecast)
    row |= {"domain": task.domain, "num_variates": task.num_variates}
    row |= {"windows": len(windows), "seconds": round(seconds, 3)}
    if on_row is not None:
        on_row(row, task, windows, forecast)
    return row


def evaluate_tasks(
    predictor: Predictor,
    tasks: Iterable[Task],
    name: str | None = None,
    config: ForecastConfig = DEFAULTS,
    limit: int | None = None,
) -> list[Row]:
    """`evaluate_task` for each task, as rows for `scores.relative_score` or a data frame."""
    return [evaluate_task(predictor, task, name, config, limit) for task in tasks]


def name_of(predictor: Predictor) -> str:
    """The predictor's `name`, or that of its class."""
    return str(getattr(predictor, "name", type(predictor).__name__))


def evaluate_into(
    folder: Path,
    predictor: Predictor,
    tasks: Iterable[Task],
    name: str | None = None,
    config: ForecastConfig = DEFAULTS,
    *,
    overwrite: bool = False,
    on_row: OnRow | None = None,
) -> list[Row]:
    """Evaluates the tasks that are missing in a results folder, and writes each row at once.

    Existing rows must come from the same predictor, options, series and windows. This is checked
    by their `fingerprint` before anything is forecast.

    Args:
      folder: The folder of `all_results.csv` and `calibration.csv`; it is created if necessary.
      predictor: The predictor to evaluate.
      tasks: The tasks.
      name: Name of the model in the tables. `None`: the predictor's `name`, or that of its class.
      config: Configuration of the forecasts.
      overwrite: Whether to evaluate tasks again whose rows exist.
      on_row: See `OnRow`. It is called after the row is written.

    Returns:
      The existing and the new rows of this model for these tasks.

    Raises:
      DataError: If the fingerprint of an existing row differs or is missing, a table is damaged, or
        a task cannot be evaluated.
    """
    tasks, name = list(tasks), name or name_of(predictor)
    old = {} if overwrite else _finished(folder, name)
    for task in tasks:
        row = old.get(task.name)
        if row and row.get("fingerprint") != fingerprint(predictor, task, config):
            raise _another(folder, row)
    return [
        old.get(task.name) or _evaluate_once(folder, predictor, task, name, config, on_row)
        for task in tasks
    ]


def _evaluate_once(
    folder: Path,
    predictor: Predictor,
    task: Task,
    name: str,
    config: ForecastConfig,
    on_row: OnRow | None,
) -> Row:
    """Evaluates a task and writes its row. The series are read only once."""
    task = dataclasses.replace(task, read=functools.cache(task.read))
    asked = fingerprint(predictor, task, config)

    def write(row: Row, task: Task, windows: EvaluationWindows, forecast: Forecast) -> None:
        row["fingerprint"] = asked
        add_result(folder, row)
        if on_row is not None:
            on_row(row, task, windows, forecast)

    return evaluate_task(predictor, task, name, config, on_row=write)


def _finished(folder: Path, model: str) -> dict[str, Row]:
    """The complete rows of a model by task. A complete row is in `all_results.csv`."""
    rows = [row for row in read_results(folder) if row["model"] == model]
    return {row["dataset"]: row for row in rows if "domain" in row}


def _another(folder: Path, row: Row) -> DataError:
    known = "other series, windows, options or weights than these"
    return DataError(
        f"{folder} holds a row of {row['model']} for {row['dataset']} that was computed from "
        f"{known if row.get('fingerprint') else 'something that it does not state'}: --overwrite "
        "computes it again, another --output-dir or --name keeps it."
    )
