"""Forecasts of windows of the past, and their scores."""

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from lagllama_jax.evaluation import metrics
from lagllama_jax.evaluation.forecasters import Forecaster, Prediction, as_forecaster
from lagllama_jax.evaluation.windows import (
    Panel,
    Task,
    Windows,
    check_count,
    cut,
    windows_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from lagllama_jax.series.dataset import SeriesDataset
    from lagllama_jax.series.frequency import Frequency

LEVELS: tuple[float, ...] = (0.025, *metrics.LEVELS, 0.975)
"""Levels asked of a forecaster: those of the CRPS and the 95 % interval of MSIS."""

CRPS = "eval_metrics/mean_weighted_sum_quantile_loss"
MASE = "eval_metrics/MASE[0.5]"

Row: TypeAlias = dict[str, Any]
"""One row of the results: column to value. Text in `dataset`, `model` and `domain`; else numbers:
scores in the units that `metrics` gives them, `windows` a count, `seconds` of wall-clock time."""


def score(
    windows: Windows, prediction: Prediction, levels: Sequence[float] = LEVELS
) -> dict[str, float]:
    """All scores of a task under GIFT-Eval's names, and the calibration of its quantiles.

    Args:
      windows: what was asked.
      prediction: what was answered, at `levels`.
      levels: ascending; must hold 0.025, 0.1, 0.2, ..., 0.9 and 0.975.
    """
    target, error = windows.target, windows.seasonal_error
    at = {level: prediction.quantiles[:, number] for number, level in enumerate(levels)}
    deciles = np.stack([at[level] for level in metrics.LEVELS], axis=1)
    below = metrics.coverage(target, deciles)
    values = {
        "eval_metrics/MSE[mean]": metrics.mse(target, prediction.mean),
        "eval_metrics/MSE[0.5]": metrics.mse(target, at[0.5]),
        "eval_metrics/MAE[0.5]": metrics.mae(target, at[0.5]),
        MASE: metrics.mase(target, at[0.5], error),
        "eval_metrics/MAPE[0.5]": metrics.mape(target, at[0.5]),
        "eval_metrics/sMAPE[0.5]": metrics.smape(target, at[0.5]),
        "eval_metrics/MSIS": metrics.msis(target, at[0.025], at[0.975], error),
        "eval_metrics/RMSE[mean]": np.sqrt(metrics.mse(target, prediction.mean)),
        "eval_metrics/NRMSE[mean]": metrics.nrmse(target, prediction.mean),
        "eval_metrics/ND[0.5]": metrics.nd(target, at[0.5]),
        CRPS: metrics.mean_weighted_quantile_loss(target, deciles, metrics.LEVELS),
        "coverage_80": metrics.interval_coverage(target, at[0.1], at[0.9]),
        "calibration_error": metrics.calibration_error(target, deciles, metrics.LEVELS),
        **{f"below_{level}": share for level, share in zip(metrics.LEVELS, below, strict=True)},
    }
    return {name: float(value) for name, value in values.items()}


def evaluate_task(
    forecaster: Forecaster,
    task: Task,
    levels: Sequence[float] = LEVELS,
    limit: int | None = None,
    on_forecast: Callable[[Task, Windows, Prediction], None] | None = None,
) -> Row:
    """Forecasts one task and scores it.

    Args:
      forecaster: what is evaluated.
      task: what it is asked.
      levels: quantile levels, see `score`.
      limit: at most that many windows, spread evenly: a quick look, not the protocol.
      on_forecast: called with task, windows and prediction before they are dropped.

    Returns:
      GIFT-Eval's columns, then `coverage_80`, `calibration_error`, `below_0.1` ... `below_0.9`,
      `windows` and `seconds` (of forecasting alone, compilation included).

    Raises:
      ConfigError: a horizon or a number of windows that is no whole number of at least 1.
      DataError: the series cannot be read, one is too short, or a forecast is not finite.
    """
    windows = windows_of(task, limit)
    begun = time.perf_counter()
    prediction = forecaster(windows, levels)
    seconds = time.perf_counter() - begun
    if on_forecast is not None:
        on_forecast(task, windows, prediction)
    head = {"dataset": task.name, "model": forecaster.name}
    tail = {"domain": task.domain, "num_variates": task.num_variates}
    tail |= {"windows": len(windows), "seconds": round(seconds, 3)}
    return head | score(windows, prediction, levels) | tail


def evaluate_tasks(
    forecaster: Forecaster,
    tasks: Iterable[Task],
    levels: Sequence[float] = LEVELS,
    limit: int | None = None,
) -> list[Row]:
    """`evaluate_task` for each task, as rows for `report.relative_scores` or a data frame."""
    return [evaluate_task(forecaster, task, levels, limit) for task in tasks]


def geometric_mean(values: Iterable[float]) -> float:
    """Geometric mean of numbers of at least 0; NaN where there is nothing."""
    with np.errstate(divide="ignore"):  # of one that is 0, and so the mean
        logs = np.log(np.fromiter(values, np.float64))
    return float(np.exp(logs.mean())) if len(logs) else float("nan")


def divides(score: float) -> bool:
    """Whether a reference's score can be divided by: it is above 0 and defined."""
    return bool(0 < score < np.inf)


def relative_score(rows: Iterable[Row], reference: Iterable[Row], column: str = CRPS) -> float:
    """Geometric mean over tasks of score over the reference's score; lower is better.

    Tasks in which the reference's score is 0 or undefined are left out, and named in a warning.

    Args:
      rows: of what is judged.
      reference: of what it is compared with, on the same tasks.
      column: the score.

    Returns:
      A ratio without a unit; NaN where no task is left.

    Raises:
      KeyError: a task that the reference lacks.
    """
    rows, base = list(rows), {row["dataset"]: row[column] for row in reference}
    left_out = [row["dataset"] for row in rows if not divides(base[row["dataset"]])]
    if left_out:
        warnings.warn(
            f"{', '.join(left_out)}: left out of the mean, as the reference's score is 0 or "
            f"undefined there; {len(rows) - len(left_out)} task(s) remain.",
            stacklevel=2,
        )
    kept = (row for row in rows if row["dataset"] not in left_out)
    return geometric_mean(row[column] / base[row["dataset"]] for row in kept)


def cross_validate(
    model: Any,
    df: Any,
    prediction_length: int,
    num_windows: int = 1,
    step: int | None = None,
    *,
    quantile_levels: Sequence[float] = metrics.LEVELS,
    season: int | None = None,
    freq: str | None = None,
) -> "pd.DataFrame":
    """Forecasts the last windows of every series of a user's own frame, each from what preceded it.

    Args:
      model: the name of a baseline, a model with `parameters` and `config`, or a `Forecaster`.
      df: as `predict_df` reads it: `item_id, timestamp, target` or `unique_id, ds, y`, or wide.
      prediction_length: points of a window.
      num_windows: windows at the end of each series.
      step: points from one window to the next; `None`: `prediction_length`, without overlap.
      quantile_levels: quantiles to return, one column each.
      season: points of a season, for baselines; `None`: by frequency.
      freq: pandas alias; `None`: told from the time stamps.

    Returns:
      One row a series, window and step: the name and time columns of `df`, `cutoff` (the last time
      that the model saw), what came (`target`, or `y` beside `ds`), `predictions` (the median) and
      one column a quantile level.

    Raises:
      ConfigError: a number, a length, a step or a season that is no whole number of at least 1, a
        level outside (0, 1), or an unknown baseline.
      DataError: a frame that cannot be read, or a series too short for its windows.
      MissingExtraError: a baseline of an extra that is not installed.
    """
    from lagllama_jax.inference.forecast import check_levels
    from lagllama_jax.series.dataframe import read_frame

    check_count("num_windows", num_windows)
    levels = check_levels(quantile_levels)
    table = read_frame(df, freq=freq)
    frequency = table.frequency
    assert frequency is not None  # a frame has time stamps
    panel = Panel(
        tuple(table.item_ids),
        tuple(target[0] for target in table.targets),
        tuple(table.starts),
        frequency.alias,
    )
    season = frequency.season if season is None else season
    windows = cut(panel, prediction_length, season, num_windows, step)
    quantiles = as_forecaster(model)(windows, (0.5, *levels)).quantiles
    frame = _window_times(table, frequency, windows, num_windows)
    frame["y" if table.timestamp_column == "ds" else "target"] = windows.target.ravel()
    for number, name in enumerate(("predictions", *map(str, levels))):
        frame[name] = quantiles[:, number].ravel()
    return frame


def _window_times(
    table: "SeriesDataset", frequency: "Frequency", windows: Windows, num_windows: int
) -> "pd.DataFrame":
    """Name, time stamp and cutoff of every point of the windows."""
    import pandas as pd

    points = windows.prediction_length
    times = [
        frequency.timestamps(start, len(past) - 1, points + 1)
        for start, past in zip(windows.starts, windows.past, strict=True)
    ]
    names = table.item_ids if table.labels is None else table.labels
    return pd.DataFrame(
        {
            table.id_column: np.repeat(np.asarray(names), num_windows * points),
            table.timestamp_column: np.concatenate([stamps[1:] for stamps in times]),
            "cutoff": np.repeat([stamps[0] for stamps in times], points),
        }
    )
