"""Evaluates a predictor on tasks, and optionally stores the results in a folder."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Sequence
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
) -> Row:
    """Forecasts the windows of one task and scores them.

    Args:
      predictor: The predictor to evaluate.
      task: The task.
      name: Name of the model in tables. `None`: the predictor's `name`, or that of its class.
      config: Configuration of the forecasts. `scores.LEVELS` replace its quantile levels.
      limit: Largest number of windows, evenly spread. `None`: all windows, as in the protocol.

    Returns:
      GIFT-Eval's columns, then `coverage_80`, `calibration_error`, `below_0.1` ... `below_0.9`,
      `windows` and `seconds` (of forecasting alone, compilation included).

    Raises:
      ConfigError: If a number of the task is not a whole number of at least 1.
      DataError: If the series cannot be read, one is too short, or a forecast is not finite.
    """
    return _evaluate(predictor, task, name, config, task.windows(limit))[0]


def _evaluate(
    predictor: Predictor,
    task: Task,
    name: str | None,
    config: ForecastConfig,
    windows: EvaluationWindows,
) -> tuple[Row, Forecast]:
    begun = time.perf_counter()
    asked = config.replace(quantile_levels=LEVELS)
    forecast = predictor.predict(windows.dataset, task.prediction_length, asked)
    seconds = time.perf_counter() - begun
    row: Row = {"dataset": task.name, "model": name or name_of(predictor)}
    row |= score(windows, forecast)
    row |= {"domain": task.domain, "num_variates": task.num_variates}
    row |= {"windows": len(windows), "seconds": round(seconds, 3)}
    return row, forecast


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
      name: Name of the model in the tables.
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
    rows = {} if overwrite else _finished(folder, predictor, tasks, name, config)
    for task in tasks:
        if task.name in rows:
            continue
        task = dataclasses.replace(task, read=functools.cache(task.read))
        windows = task.windows()
        row, forecast = _evaluate(predictor, task, name, config, windows)
        row["fingerprint"] = fingerprint(predictor, task, config)
        add_result(folder, row)
        if on_row is not None:
            on_row(row, task, windows, forecast)
        rows[task.name] = row
    return [rows[task.name] for task in tasks]


def _finished(
    folder: Path, predictor: Predictor, tasks: Sequence[Task], model: str, config: ForecastConfig
) -> dict[str, Row]:
    """The complete rows of a model by task, after a check of their fingerprints."""
    # A complete row is also in `all_results.csv`, which has a domain.
    rows = [row for row in read_results(folder) if row["model"] == model and "domain" in row]
    finished = {row["dataset"]: row for row in rows}
    for task in tasks:
        row = finished.get(task.name)
        if row and row.get("fingerprint") != fingerprint(predictor, task, config):
            known = "other series, windows, options or weights than these"
            raise DataError(
                f"{folder} holds a row of {model} for {task.name} that was computed from "
                f"{known if row.get('fingerprint') else 'something that it does not state'}: "
                "--overwrite computes it again, another --output-dir or --name keeps it."
            )
    return finished
