"""`SyntheticControl`: a weighted mean of the controls."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from lagllama_jax.causal.cases import Case, forecast_of
from lagllama_jax.causal.regression import regress
from lagllama_jax.config import ForecastConfig
from lagllama_jax.errors import ConfigError
from lagllama_jax.inference.forecast import Forecast
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float

CONSTANT_PAYS = 2.0
FOLDS = 5
"""Number of blocks of the past by which the error of synthetic control is estimated."""
SHRINKAGE = 1e-3
"""Penalty of the weights of synthetic control, relative to the deviation of the controls."""


@dataclass(frozen=True)
class SyntheticControl:
    """A weighted mean of the controls with weights of at least 0 that sum to 1.

    The weights fit the past (Abadie, Diamond and Hainmueller, 2010). If the fit is much better with
    a constant, as for a unit above all controls, there is one (Ferman and Pinto, 2021). What is
    left of the past is an ARMA process, from which the sample paths are drawn.
    """

    def predict(
        self, dataset: SeriesDataset, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        """Draws sample paths of the points that follow each unit.

        Raises:
          ConfigError: If there are no controls.
          DataError: If a control has a missing value, or a unit has too few points.
        """
        if dataset.known_covariates is None:
            raise ConfigError("Synthetic control needs controls: name them (controls).")

        def draw(case: Case, count: int, steps: int) -> Float[np.ndarray, "S n"]:
            past = len(case.target)
            mean = case.controls @ simplex_weights(case.target, case.controls[:past])
            left, columns = case.target - mean[:past], case.season
            fit = regress(left, columns[:past], steps, count, case.rng)
            seasonal = fit.coefficients @ columns[past : past + steps].T
            errors = fit.errors * _optimism(left, case.target, case.controls[:past])
            return fit.intercept[:, None] + mean[past : past + steps] + seasonal + errors

        return forecast_of(dataset, prediction_length, config, draw)


def simplex_weights(
    target: Float[np.ndarray, "T"], controls: Float[np.ndarray, "T K"]
) -> Float[np.ndarray, "K"]:
    """Weights of at least 0 that sum to 1, by least squares.

    They fit the values, or deviations from the means if this fit is better by a factor of more than
    `CONSTANT_PAYS`.

    >>> controls = np.array([[1.0, 5.0], [2.0, 3.0], [4.0, 4.0]])
    >>> simplex_weights(controls @ [0.25, 0.75], controls).round(2).tolist()
    [0.25, 0.75]
    """
    observed = np.isfinite(target)
    x, y = controls[observed], target[observed]
    centred = x - x.mean(axis=0), y - y.mean()
    plain, moved = _simplex(x, y), _simplex(*centred)
    errors = [float(np.std(y - x @ plain)), float(np.std(y - x @ moved))]
    errors[0] = float(np.hypot(errors[0], np.mean(y - x @ plain)))
    return plain if errors[0] <= CONSTANT_PAYS * errors[1] else moved


def _optimism(
    left: Float[np.ndarray, "T"],
    target: Float[np.ndarray, "T"],
    controls: Float[np.ndarray, "T K"],
) -> float:
    """How much larger errors are in blocks of the past that the weights were not fitted to."""
    apart = np.empty(len(target))
    for block in np.array_split(np.arange(len(target)), FOLDS):
        others = np.setdiff1d(np.arange(len(target)), block)
        weights = simplex_weights(target[others], controls[others])
        apart[block] = target[block] - controls[block] @ weights
    least = max(float(np.nanstd(left)), 1e-9 * float(np.nanstd(target)))
    return max(float(np.nanstd(apart)) / least, 1.0)


def _simplex(x: Float[np.ndarray, "T K"], y: Float[np.ndarray, "T"]) -> Float[np.ndarray, "K"]:
    unit = max(float(x.std(axis=0).mean()), 1e-300)
    rows, count = x.shape
    small = SHRINKAGE * np.sqrt(rows) * np.eye(count)
    sum_row = 1e4 * max(float(np.abs(x).max()) / unit, 1.0)
    left = np.concatenate([x / unit, small, np.full((1, count), sum_row)])
    weights, _ = nnls(left, np.concatenate([y / unit, np.zeros(count), [sum_row]]))
    return np.asarray(weights / weights.sum())
