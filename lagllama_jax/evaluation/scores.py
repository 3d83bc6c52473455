"""The scores of a forecast, and means of scores over tasks."""

import warnings
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from lagllama_jax.evaluation import metrics
from lagllama_jax.evaluation.windows import EvaluationWindows
from lagllama_jax.inference.forecast import Forecast

LEVELS: tuple[float, ...] = (0.025, *metrics.LEVELS, 0.975)
"""Quantile levels that `score` needs: the deciles, and the ends of the 95 % interval of MSIS."""

CRPS = "eval_metrics/mean_weighted_sum_quantile_loss"
MASE = "eval_metrics/MASE[0.5]"

Row: TypeAlias = dict[str, Any]
"""A row of a results table by column. `dataset`, `model`, `domain` and `fingerprint` are text, and
the others numbers: scores in the units of `metrics`, `windows`, and wall-clock `seconds`."""


def score(windows: EvaluationWindows, forecast: Forecast) -> dict[str, float]:
    """Computes all scores of a task under GIFT-Eval's names, and the calibration of the quantiles.

    The forecast is that of `windows.dataset`. Without samples, it must have `LEVELS`.

    Raises:
      ConfigError: If the forecast lacks one of `LEVELS`.
      DataError: If the forecast is not finite.
    """
    target, error, mean = windows.target, windows.seasonal_error, forecast.mean
    at = dict(zip(LEVELS, np.moveaxis(forecast.quantiles(LEVELS), 1, 0), strict=True))
    deciles = np.stack([at[level] for level in metrics.LEVELS], axis=1)
    below = metrics.coverage(target, deciles)
    values = {
        "eval_metrics/MSE[mean]": metrics.mse(target, mean),
        "eval_metrics/MSE[0.5]": metrics.mse(target, at[0.5]),
        "eval_metrics/MAE[0.5]": metrics.mae(target, at[0.5]),
        MASE: metrics.mase(target, at[0.5], error),
        "eval_metrics/MAPE[0.5]": metrics.mape(target, at[0.5]),
        "eval_metrics/sMAPE[0.5]": metrics.smape(target, at[0.5]),
        "eval_metrics/MSIS": metrics.msis(target, at[0.025], at[0.975], error),
        "eval_metrics/RMSE[mean]": np.sqrt(metrics.mse(target, mean)),
        "eval_metrics/NRMSE[mean]": metrics.nrmse(target, mean),
        "eval_metrics/ND[0.5]": metrics.nd(target, at[0.5]),
        CRPS: metrics.mean_weighted_quantile_loss(target, deciles, metrics.LEVELS),
        "coverage_80": metrics.interval_coverage(target, at[0.1], at[0.9]),
        "calibration_error": metrics.calibration_error(target, deciles, metrics.LEVELS),
        **{f"below_{level}": share for level, share in zip(metrics.LEVELS, below, strict=True)},
    }
    return {name: float(value) for name, value in values.items()}


def geometric_mean(values: Iterable[float]) -> float:
    """Geometric mean of numbers of at least 0; NaN if there are none.

    >>> geometric_mean([1.0, 4.0])
    2.0
    """
    with np.errstate(divide="ignore"):  # the logarithm of 0, whose mean is 0
        logs = np.log(np.fromiter(values, np.float64))
    return float(np.exp(logs.mean())) if len(logs) else float("nan")


def divides(score: float) -> bool:
    """Whether other scores can be divided by this score: it is above 0 and finite."""
    return bool(0 < score < np.inf)


def relative_score(rows: Iterable[Row], reference: Iterable[Row], column: str = CRPS) -> float:
    """Geometric mean over tasks of the ratio of a score to the reference's score; lower is better.

    Tasks on which the reference's score is 0 or undefined are left out, and a warning names them.

    Args:
      rows: Rows of the model.
      reference: Rows of the reference on the same tasks.
      column: Column of the score.

    Returns:
      A ratio without a unit; NaN if no task is left.

    Raises:
      KeyError: If the reference lacks a task.
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
