"""Estimators of what would have been: each a `Predictor` whose known covariates are the controls.

A dataset holds the past of the treated units, and the controls, as known covariates, through the
period after the intervention. An estimator draws joint sample paths of the period after.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from lagllama_jax.causal.regression import Posterior, regress
from lagllama_jax.config import ForecastConfig
from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.inference.batch import identity
from lagllama_jax.inference.forecast import Forecast, Predictor
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float

DEFAULT_SAMPLES = 200
HARMONICS = 2
CONSTANT_PAYS = 2.0
FOLDS = 5
"""Number of blocks of the past by which the error of synthetic control is estimated."""
SHRINKAGE = 1e-3
"""Penalty of the weights of synthetic control, relative to the deviation of the controls."""


class Case(NamedTuple):
    """One unit: its past, its controls, and what follows.

    Attributes:
      target: The past, up to its last observed point.
      controls: The controls at all points, also at those that follow.
      season: Columns of the seasonal cycle at all points. There may be none.
      gap: Number of missing points at the end of the past.
      rng: Source of random numbers, which depends on the seed and the name of the unit.
    """

    target: Float[np.ndarray, "T"]
    controls: Float[np.ndarray, "N K"]
    season: Float[np.ndarray, "N H"]
    gap: int
    rng: np.random.Generator


def cases(dataset: SeriesDataset, steps: int, config: ForecastConfig) -> Iterator[Case]:
    """The units of a dataset.

    Raises:
      DataError: If a control has a missing value, or a unit has several targets.
    """
    if len(dataset.target_names) > 1:
        raise DataError("The units have several targets: give each target as a unit.")
    for row, item in enumerate(dataset):
        length, end = item.target.shape[1], dataset.observed_end(row)
        controls = np.zeros((length + steps, 0))
        if item.known_covariates is not None:
            controls = item.known_covariates[:, : length + steps].T
        missing = ~np.isfinite(controls)
        if missing.any():
            place, column = (int(index[0]) for index in np.nonzero(missing))
            raise DataError(
                f"Series {item.item_id!r}, control {dataset.known_names[column]!r}: position "
                f"{place} is missing. Fill it, or leave the control out."
            )
        rng = np.random.default_rng((config.seed, identity(item.item_id)))
        period = 1 if item.frequency is None else item.frequency.season
        waves = _waves(period, length + steps, end)
        yield Case(item.target[0, :end].astype(float), controls, waves, length - end, rng)


def _waves(season: int, count: int, past: int) -> Float[np.ndarray, "N H"]:
    """Harmonics of a seasonal cycle of which the past has at least three."""
    if season < 2 or past < 3 * season:
        return np.zeros((count, 0))
    angles = [2 * np.pi * n / season * np.arange(count) for n in range(1, HARMONICS + 1)]
    waves = [wave(angle) for angle in angles for wave in (np.cos, np.sin)]
    return np.stack([wave for wave in waves if wave.std() > 1e-6], axis=1)


def _forecast(
    dataset: SeriesDataset,
    steps: int,
    config: ForecastConfig,
    draw: Callable[[Case, int, int], Float[np.ndarray, "S n"]],
) -> Forecast:
    """The forecast whose sample paths `draw` makes from a case, a count and a number of steps."""
    count = config.num_samples or DEFAULT_SAMPLES
    drawn = [
        draw(case, count, case.gap + steps)[:, case.gap :] for case in cases(dataset, steps, config)
    ]
    lowest = 0.0 if config.nonnegative else -np.inf
    return Forecast(
        dataset, np.maximum(np.stack(drawn), lowest), config.quantile_levels, lowest=lowest
    )


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

        return _forecast(dataset, prediction_length, config, draw)


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

        return _forecast(dataset, prediction_length, config, draw)


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
        fits: list[tuple[Posterior, Float[np.ndarray, "N K"]]] = []
        for case in cases(dataset, prediction_length, config):
            past, count = len(case.target), config.num_samples or DEFAULT_SAMPLES
            columns = np.concatenate([case.controls, case.season], axis=1)
            fit = regress(case.target, columns[:past], 1, count, case.rng)
            fits.append((fit, case.controls - case.controls[:past].mean(axis=0)))
        slopes = [fit.coefficients[:, : controls.shape[1]] for fit, controls in fits]
        effects = [
            controls @ slope.mean(axis=0) for slope, (_, controls) in zip(slopes, fits, strict=True)
        ]
        targets = [
            target - effect[: target.shape[1]]
            for target, effect in zip(dataset.targets, effects, strict=True)
        ]
        alone = replace(dataset, targets=targets, known_covariates=None, known_names=())
        left = self.predictor.predict(alone, prediction_length, config.replace(nonnegative=False))
        if left.samples is None:
            raise ConfigError("The predictor draws no sample paths, which effects need.")
        coming = [
            slope @ controls[-prediction_length:].T
            for slope, (_, controls) in zip(slopes, fits, strict=True)
        ]
        lowest = 0.0 if config.nonnegative else -np.inf
        samples = np.maximum(left.samples + np.stack(coming), lowest)
        return Forecast(dataset, samples, config.quantile_levels, lowest=lowest)


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
