"""AutoETS, AutoTheta and AutoARIMA of statsforecast (extra `baselines`)."""

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from lagllama_jax.errors import require
from lagllama_jax.evaluation.baselines.baseline import Asked, Baseline
from lagllama_jax.evaluation.baselines.naive import SeasonalNaive
from lagllama_jax.typing import Float

HISTORY = 1000  # number of most recent points that are fitted, as the cost grows with it


class _Statistical(Baseline):
    """Fits one model per series, or uses `SeasonalNaive` with a warning where the model refuses."""

    def quantiles(self, asked: Asked) -> Float[np.ndarray, "B Q P"]:
        """See `Baseline.quantiles`."""
        pasts, steps, season, levels, known = asked
        model = getattr(require("statsforecast.models", "baselines"), type(self).__name__)
        widths = sorted({abs(_percent(level)) for level in levels} - {0.0})
        answers, refused = [], 0
        for row, past in enumerate(pasts):
            recent = filled(past, HISTORY)
            further = {} if known is None else self.further(known[row], len(past), len(recent))
            try:
                fitted = model(season_length=season if len(recent) > season else 1)
                forecast = fitted.forecast(y=recent, h=steps, level=widths, **further)
                answer = _quantiles(forecast, levels)
            except Exception:  # the models raise various errors on series that they cannot fit
                answer = np.full((len(levels), steps), np.nan)
            if not np.isfinite(answer).all():
                refused += 1
                answer = SeasonalNaive().quantiles(asked._replace(pasts=[past]))[0]
            answers.append(answer)
        if refused:
            warnings.warn(
                f"{self.name} could not fit {refused} of {len(pasts)} series: seasonal_naive "
                "forecasts them instead.",
                stacklevel=3,
            )
        return np.stack(answers)

    def further(
        self, known: Float[np.ndarray, "K N"], length: int, recent: int
    ) -> dict[str, Float[np.ndarray, "_ k"]]:
        """Arguments of a model that uses covariates. Most models use none.

        Args:
          known: The known covariates of a series, NaN where missing.
          length: Number of points of the past.
          recent: Number of its last points that are fitted.
        """
        return {}


class AutoETS(_Statistical):
    """Exponential smoothing. Statsforecast ignores a season of more than 24 steps."""

    name: ClassVar[str] = "auto_ets"


class AutoTheta(_Statistical):
    """The Theta method."""

    name: ClassVar[str] = "auto_theta"


class AutoARIMA(_Statistical):
    """ARIMA with automatic orders; with known covariates, regression with ARIMA errors (ARIMAX)."""

    name: ClassVar[str] = "auto_arima"

    def further(
        self, known: Float[np.ndarray, "K N"], length: int, recent: int
    ) -> dict[str, Float[np.ndarray, "_ k"]]:
        """The covariates that vary in the last points of the past, for these and the future.

        Gaps are interpolated linearly.
        """
        rows = [filled(row, None) for row in known]
        rows = [np.concatenate([np.full(known.shape[1] - len(row), row[0]), row]) for row in rows]
        varying = [row for row in rows if np.ptp(row[length - recent : length]) > 0]
        if not varying:
            return {}
        columns = np.stack(varying, axis=1)
        return {"X": columns[length - recent : length], "X_future": columns[length:]}


def filled(past: Float[np.ndarray, "T"], recent: int | None) -> Float[np.ndarray, "n"]:
    """The last `recent` points, or all, in which gaps are interpolated linearly.

    Missing points before the first value are left out. If no point is observed, one 0 is returned.
    """
    last = np.asarray(past, np.float64)[-recent if recent else None :]
    there = np.flatnonzero(np.isfinite(last))
    if not len(there):
        return np.zeros(1)
    index = np.arange(there[0], len(last))
    return np.interp(index, there, last[there])


def _quantiles(forecast: dict[str, Any], levels: Sequence[float]) -> Float[np.ndarray, "Q P"]:
    """Quantiles from the interval ends that statsforecast gives; the median is its mean."""
    ends = {0.0: forecast["mean"]}
    for key, values in forecast.items():
        side, _, percent = key.partition("-")
        if percent:
            ends[float(percent) * (1 if side == "hi" else -1)] = values
    return np.stack([ends[_percent(level)] for level in levels])


def _percent(level: float) -> float:
    """Width of the central interval that ends at the quantile; negative below the median."""
    return round(200.0 * level - 100.0, 6)
