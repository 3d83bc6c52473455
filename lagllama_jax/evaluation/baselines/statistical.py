"""AutoETS, AutoTheta and AutoARIMA of statsforecast as baselines (extra `baselines`)."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from lagllama_jax.errors import require
from lagllama_jax.evaluation.baselines.naive import Pasts, seasonal_naive

CLASSES = {"auto_ets": "AutoETS", "auto_theta": "AutoTheta", "auto_arima": "AutoARIMA"}
HISTORY = 1000
"""Most recent points that are fitted: the cost of these models grows with the length."""


def _filled(past: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
    """The last `HISTORY` points with gaps bridged by straight lines: the models know none."""
    recent = np.asarray(past, np.float64)[-HISTORY:]
    there = np.flatnonzero(np.isfinite(recent))
    if not len(there):
        return np.zeros(1)
    index = np.arange(there[0], len(recent))
    return np.interp(index, there, recent[there])


def _quantiles(forecast: dict[str, Any], levels: Sequence[float]) -> Float[np.ndarray, "Q P"]:
    """Quantiles from the interval ends that statsforecast gives; the median is its mean."""
    ends = {0.0: forecast["mean"]}
    for key, values in forecast.items():
        side, _, percent = key.partition("-")
        if percent:
            ends[float(percent) * (1 if side == "hi" else -1)] = values
    return np.stack([ends[_percent(level)] for level in levels])


def _percent(level: float) -> float:
    """Width of the central interval that ends at the quantile, negative below the median."""
    return round(200.0 * level - 100.0, 6)


def statistical(
    name: str, past: Pasts, prediction_length: int, season: int, levels: Sequence[float]
) -> Float[np.ndarray, "B Q P"]:
    """Fits one model a series and forecasts it.

    Args:
      name: a key of `CLASSES`.
      past: of each series; only the last `HISTORY` points are fitted, gaps are interpolated.
      prediction_length: points ahead.
      season: points of a season; statsforecast's AutoETS looks at none above 24.
      levels: quantile levels.

    A series that the model refuses (too short, constant) is forecast by `seasonal_naive`, as
    GIFT-Eval does.

    Raises:
      MissingExtraError: statsforecast is not installed.
    """
    model = getattr(require("statsforecast.models", "baselines"), CLASSES[name])
    widths = sorted({abs(_percent(level)) for level in levels} - {0.0})
    answers, refused = [], 0
    for values in past:
        filled = _filled(values)
        try:
            fitted = model(season_length=season if len(filled) > season else 1)
            forecast = fitted.forecast(y=filled, h=prediction_length, level=widths)
            answer = _quantiles(forecast, levels)
        except Exception:  # each model fails in its own ways on series it cannot fit
            answer = np.full((len(levels), prediction_length), np.nan)
        if not np.isfinite(answer).all():
            refused += 1
            answer = seasonal_naive([values], prediction_length, season, levels)[0]
        answers.append(answer)
    if refused:
        warnings.warn(
            f"{name} could not fit {refused} of {len(past)} series: seasonal_naive stands in.",
            stacklevel=2,
        )
    return np.stack(answers)
