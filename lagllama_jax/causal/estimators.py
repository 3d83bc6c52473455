"""Estimators of what would have been: each a `Predictor` whose known covariates are the controls.

A dataset holds the past of the treated units, and the controls, as known covariates, through the
period after the intervention. An estimator draws joint sample paths of the period after.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from lagllama_jax.causal.cases import DEFAULT_SAMPLES, Case, cases, forecast_of
from lagllama_jax.causal.regression import regress
from lagllama_jax.causal.synthetic_control import SyntheticControl
from lagllama_jax.config import ForecastConfig
from lagllama_jax.errors import ConfigError
from lagllama_jax.inference.forecast import Forecast, Predictor
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float


@dataclass(frozen=True)
class Ridge:
    """Bayesian ridge regression on the controls and the season, with ARMA errors (`regress`)."""

    def predict(
        self, dataset: SeriesDataset, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        """Draws sample paths of the points that follow each unit.

        Raises:
          DataError: If a control has a missing value, or a unit has too few points.
        """

        def draw(case: Case, count: int, steps: int) -> Float[np.ndarray, "S n"]:
            columns = np.concatenate([case.controls, case.season], axis=1)
            past = len(case.target)
            fit = regress(case.target, columns[:past], steps, count, case.rng)
            explained = fit.coefficients @ columns[past : past + steps].T
            return fit.intercept[:, None] + explained + fit.errors

        return forecast_of(dataset, prediction_length, config, draw)


@dataclass(frozen=True)
class RegressionNetwork:
    """Linear regression on the controls, and the network for what it does not explain.

    It needs fewer points than `CovariateRegression`, and weighs nothing in a backtest.

    Attributes:
      predictor: Predictor of series without covariates, which draws sample paths.
    """

    predictor: Predictor

    def predict(
        self, dataset: SeriesDataset, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        """Draws sample paths of the points that follow each unit.

        Raises:
          DataError: If a control has a missing value, or a unit has too few points.
        """
        config = config.replace(num_samples=config.num_samples or DEFAULT_SAMPLES)
        fits = [_linear(case, config) for case in cases(dataset, prediction_length, config)]
        targets = [
            target - fit.mean[: target.shape[1]]
            for target, fit in zip(dataset.targets, fits, strict=True)
        ]
        alone = replace(dataset, targets=targets, known_covariates=None, known_names=())
        left = self.predictor.predict(alone, prediction_length, config.replace(nonnegative=False))
        if left.samples is None:
            raise ConfigError("The predictor draws no sample paths, which effects need.")
        coming = np.stack([fit.drawn(prediction_length) for fit in fits])
        lowest = 0.0 if config.nonnegative else -np.inf
        samples = np.maximum(left.samples + coming, lowest)
        return Forecast(dataset, samples, config.quantile_levels, lowest=lowest)


class _Linear(NamedTuple):
    """The part of a unit that is linear in its controls.

    Attributes:
      slopes: Draws of the slopes.
      controls: The controls at all points, less their means of the past.
    """

    slopes: Float[np.ndarray, "S K"]
    controls: Float[np.ndarray, "N K"]

    @property
    def mean(self) -> Float[np.ndarray, "N"]:
        """Its mean at all points."""
        return self.controls @ self.slopes.mean(axis=0)

    def drawn(self, steps: int) -> Float[np.ndarray, "S P"]:
        """Its draws at the last points."""
        return self.slopes @ self.controls[-steps:].T


def _linear(case: Case, config: ForecastConfig) -> _Linear:
    past, count = len(case.target), config.num_samples or DEFAULT_SAMPLES
    columns = np.concatenate([case.controls, case.season], axis=1)
    fit = regress(case.target, columns[:past], 1, count, case.rng)
    slopes = fit.coefficients[:, : case.controls.shape[1]]
    return _Linear(slopes, case.controls - case.controls[:past].mean(axis=0))


METHODS = ("network", "regression_network", "synthetic_control", "ridge")


def estimator(method: str, network: Callable[[], Predictor]) -> Predictor:
    """Looks up an estimator by its name, one of `METHODS`.

    Args:
      method: The name.
      network: Function that loads the model, which is called only if it is needed.

    Raises:
      ConfigError: If there is no such estimator.
    """
    if method == "network":
        return network()
    if method == "regression_network":
        return RegressionNetwork(network())
    if method == "synthetic_control":
        return SyntheticControl()
    if method == "ridge":
        return Ridge()
    raise ConfigError(f"{method!r} is not a method. Choose from {', '.join(('auto', *METHODS))}.")
