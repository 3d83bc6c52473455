"""Scores of probabilistic forecasts, as means over series, over time or over both.

Targets are `[B, P]`, quantile forecasts `[B, Q, P]`, and sample paths `[B, S, P]`. A missing target
is NaN and is left out. A forecast that is not finite is an error, because leaving it out would
improve the score. `axis` is an axis of the target (0: series, 1: time, `None`: both). A point whose
divisor is zero is left out (a target of zero in MAPE, a constant past in MASE). The formulas and
these rules are those of `gluonts.ev`, which GIFT-Eval uses.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from lagllama_jax.errors import DataError
from lagllama_jax.typing import Float

Axis: TypeAlias = int | tuple[int, ...] | None
Score: TypeAlias = Float[np.ndarray, "..."]
Target: TypeAlias = Float[np.ndarray, "B P"]
Points: TypeAlias = Float[np.ndarray, "B P"]
SeasonalError: TypeAlias = Float[np.ndarray, "B"]
Quantiles: TypeAlias = Float[np.ndarray, "B Q P"]

LEVELS: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Quantile levels over which CRPS is averaged, as in GIFT-Eval."""


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The quotient, or NaN if the divisor is zero. `_mean` leaves NaN out."""
    zero = denominator == 0
    return np.where(zero, np.nan, numerator / np.where(zero, 1.0, denominator))


def _mean(values: np.ndarray, axis: Axis) -> Score:
    """Mean of the values that are not NaN; NaN if there are none."""
    there = ~np.isnan(values)
    return _divide(np.where(there, values, 0.0).sum(axis), there.sum(axis))


def _error(target: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    if not np.isfinite(forecast).all():
        raise DataError("The forecast holds values that are not finite; it cannot be scored.")
    return np.asarray(target, np.float64) - forecast


def quantile_loss(
    target: Target, quantiles: Quantiles, levels: Sequence[float]
) -> Float[np.ndarray, "B Q P"]:
    """Twice the pinball loss of every point, in the target's units.

    At the median, it is the absolute error.
    """
    level = np.asarray(levels, np.float64)[:, None]
    error = _error(target[:, None], quantiles)
    return 2.0 * np.abs(error * ((error <= 0) - level))


def mean_weighted_quantile_loss(
    target: Target, quantiles: Quantiles, levels: Sequence[float], axis: Axis = None
) -> Score:
    """The approximate CRPS of most benchmarks, without a unit.

    It is the mean over levels of the summed quantile loss divided by the summed `|target|`.
    """
    loss = np.moveaxis(quantile_loss(target, quantiles, levels), 1, 0)
    axes = tuple(range(1, loss.ndim)) if axis is None else tuple(np.atleast_1d(axis) + 1)
    return _divide(np.nansum(loss, axes), np.nansum(np.abs(target), axis)).mean(0)


def sample_crps(target: Target, samples: Float[np.ndarray, "B S P"], axis: Axis = None) -> Score:
    """Continuous ranked probability score of the samples' distribution, in the target's units.

    It is `E|X - y| - E|X - X'| / 2`, computed by sorting. With `axis=()` there is one score per
    point, NaN where the target is missing.
    """
    ordered = np.sort(np.asarray(samples, np.float64), axis=1)
    count = ordered.shape[1]
    distance = np.abs(_error(target[:, None], ordered)).mean(1)
    weights = 2.0 * np.arange(1, count + 1) - count - 1
    return _mean(distance - np.einsum("s,bsp->bp", weights, ordered) / count**2, axis)


def mse(target: Target, forecast: Points, axis: Axis = None) -> Score:
    """Mean squared error, in the target's units squared."""
    return _mean(np.square(_error(target, forecast)), axis)


def mae(target: Target, forecast: Points, axis: Axis = None) -> Score:
    """Mean absolute error, in the target's units."""
    return _mean(np.abs(_error(target, forecast)), axis)


def mape(target: Target, forecast: Points, axis: Axis = None) -> Score:
    """Mean absolute percentage error as a share: 1 means 100 %."""
    return _mean(_divide(np.abs(_error(target, forecast)), np.abs(target)), axis)


def smape(target: Target, forecast: Points, axis: Axis = None) -> Score:
    """Symmetric mean absolute percentage error, between 0 and 2."""
    size = np.abs(target) + np.abs(forecast)
    return _mean(_divide(2.0 * np.abs(_error(target, forecast)), size), axis)


def nd(target: Target, forecast: Points, axis: Axis = None) -> Score:
    """Normalised deviation: summed absolute error divided by summed `|target|`. It has no unit."""
    total = np.nansum(np.abs(_error(target, forecast)), axis)
    return _divide(total, np.nansum(np.abs(target), axis))


def nrmse(target: Target, forecast: Points, axis: Axis = None) -> Score:
    """Root mean squared error divided by mean `|target|`. It has no unit."""
    return _divide(np.sqrt(mse(target, forecast, axis)), _mean(np.abs(target), axis))


def mase(
    target: Target, forecast: Points, seasonal_error: SeasonalError, axis: Axis = None
) -> Score:
    """Mean absolute error divided by the mean absolute seasonal difference of the past (MASE).

    It has no unit. At 1, the error is as large as the seasonal differences of the past.
    """
    error = np.abs(_error(target, forecast))
    return _mean(_divide(error, np.broadcast_to(seasonal_error[:, None], error.shape)), axis)


def msis(
    target: Target,
    lower: Points,
    upper: Points,
    seasonal_error: SeasonalError,
    alpha: float = 0.05,
    axis: Axis = None,
) -> Score:
    """Mean scaled interval score of the central `1 - alpha` interval (M4 competition).

    The score of a point is the width of the interval, plus `2 / alpha` times the distance of the
    target from the interval, divided by the mean absolute seasonal difference of the past. It has
    no unit.
    """
    below, above = _error(target, lower), _error(target, upper)
    miss = np.maximum(-below, 0.0) + np.maximum(above, 0.0)
    score = below - above + 2.0 / alpha * miss
    return _mean(_divide(score, np.broadcast_to(seasonal_error[:, None], score.shape)), axis)


def coverage(target: Target, quantiles: Quantiles, axis: Axis = None) -> Score:
    """Share of observed points at or below each quantile forecast. The first axis is the level."""
    below = np.where(np.isnan(target)[:, None], np.nan, _error(target[:, None], quantiles) <= 0)
    axes = (1, 2) if axis is None else tuple(np.atleast_1d(axis) + 1)
    return _mean(np.moveaxis(below, 1, 0), axes)


def interval_coverage(target: Target, lower: Points, upper: Points, axis: Axis = None) -> Score:
    """Share of observed points inside the closed interval."""
    inside = (_error(target, lower) >= 0) & (_error(target, upper) <= 0)
    return _mean(np.where(np.isnan(target), np.nan, inside), axis)


def calibration_error(
    target: Target, quantiles: Quantiles, levels: Sequence[float], axis: Axis = None
) -> Score:
    """Mean over levels of the absolute difference between `coverage` and the level."""
    reached = coverage(target, quantiles, axis)
    level = np.asarray(levels, np.float64).reshape(-1, *[1] * (reached.ndim - 1))
    return np.abs(reached - level).mean(0)
