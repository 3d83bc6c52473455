"""Bayesian linear regression with ARMA(1, 1) errors, mixed over a grid of hyperparameters."""

import itertools
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.signal import lfilter
from scipy.special import logsumexp

from lagllama_jax.errors import DataError
from lagllama_jax.typing import Float

AUTOREGRESSION = (0.0, 0.2, 0.4, 0.6, 0.75, 0.85, 0.92, 0.97, 1.0)
MOVING_AVERAGE = (-0.8, -0.6, -0.3, 0.0, 0.3)
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
"""Prior precisions of the coefficients, in units of the innovations' precision."""
INTERCEPT_PENALTY = 1e-3
MEMORY = 60
"""Number of past errors from which the last innovation is computed."""
FEWEST_POINTS = 6
MOST_POINTS = 1500
"""The regression uses this many points before the intervention at most."""


class Posterior(NamedTuple):
    """Draws of the coefficients, and of the errors that follow the series.

    Attributes:
      coefficients: One row per draw, for columns in the units of the data.
      intercept: Intercept of each draw.
      errors: Errors of the points that follow the series: what the columns do not explain.
    """

    coefficients: Float[np.ndarray, "S K"]
    intercept: Float[np.ndarray, "S"]
    errors: Float[np.ndarray, "S P"]


class _Data(NamedTuple):
    """The series and the columns, centred and of unit variance, without missing values."""

    target: Float[np.ndarray, "T"]
    columns: Float[np.ndarray, "T K"]
    kept: np.ndarray


class _Model(NamedTuple):
    """The posterior of one point of the grid: normal given the variance, inverse gamma."""

    phi: float
    theta: float
    mean: Float[np.ndarray, "K"]
    factor: Float[np.ndarray, "K K"]
    shape: float
    rate: float
    evidence: float


def regress(
    target: Float[np.ndarray, "T"],
    columns: Float[np.ndarray, "T K"],
    steps: int,
    count: int,
    rng: np.random.Generator,
) -> Posterior:
    """Draws from the posterior of a regression of a series on columns.

    The errors follow an ARMA(1, 1) process, whose autoregression may be 1, so that the error may be
    a level that wanders. The penalty of the coefficients and the process are mixed by their
    marginal likelihoods.

    Args:
      target: The series, which ends with an observed value; NaN where a value is missing.
      columns: The regressors at the same points. There may be none.
      steps: Number of points that follow.
      count: Number of draws.
      rng: Source of random numbers.

    Raises:
      DataError: If the series has fewer than `FEWEST_POINTS` values.
    """
    target, columns = target[-MOST_POINTS:], columns[-MOST_POINTS:]
    if np.isfinite(target).sum() < FEWEST_POINTS:
        raise DataError(
            f"The past has {int(np.isfinite(target).sum())} observed points, and a regression "
            f"needs {FEWEST_POINTS}."
        )
    level, unit = float(np.nanmean(target)), float(np.nanstd(target)) or 1.0
    middle, spread = columns.mean(axis=0), columns.std(axis=0)
    spread = np.where(spread > 1e-12 * np.maximum(np.abs(middle), 1e-300), spread, np.inf)
    data = _prepared((target - level) / unit, (columns - middle) / spread)
    models = [model for pair in _processes() for model in _models(data, *pair)]
    evidence = np.array([model.evidence for model in models])
    weights = np.exp(evidence - logsumexp(evidence))
    numbers = rng.choice(len(models), count, p=weights / weights.sum())
    beta, deviation = _coefficients(models, numbers, rng)
    phi, theta = (np.array([part[n] for part in models])[numbers] for n in (0, 1))
    process = _Process(phi, theta, deviation)
    recent = slice(-MEMORY, None)
    past = data.target[recent, None] - data.columns[recent] @ beta.T
    coefficients = unit * beta[:, 1:] / spread
    intercept = level + unit * beta[:, 0] - coefficients @ middle
    return Posterior(coefficients, intercept, unit * process.continued(past, steps, rng))


def _processes() -> list[tuple[float, float]]:
    """The autoregression and the moving average of each process, without those that cancel."""
    pairs = itertools.product(AUTOREGRESSION, MOVING_AVERAGE)
    return [(phi, theta) for phi, theta in pairs if phi > 0 or theta == 0]


def _prepared(target: Float[np.ndarray, "T"], columns: Float[np.ndarray, "T K"]) -> _Data:
    observed = np.isfinite(target)
    places = np.arange(len(target))
    filled = np.interp(places, places[observed], target[observed])
    with_one = np.concatenate([np.ones((len(target), 1)), columns], axis=1)
    return _Data(filled, with_one, observed[1:] & observed[:-1])


def _whitened(values: Float[np.ndarray, "T *K"], phi: float, theta: float) -> np.ndarray:
    """Innovations of the process from the second point on, given the first one."""
    return np.asarray(lfilter([1.0], [1.0, theta], values[1:] - phi * values[:-1], axis=0))


def _models(data: _Data, phi: float, theta: float) -> list[_Model]:
    """The posteriors of all penalties for one process."""
    x = _whitened(data.columns, phi, theta)[data.kept]
    y = _whitened(data.target, phi, theta)[data.kept]
    size, shape = x.shape[1], 1.0 + len(y) / 2
    penalties = np.array(PENALTIES if size > 1 else PENALTIES[:1])
    precision = np.repeat(penalties[:, None], size, axis=1)
    precision[:, 0] = INTERCEPT_PENALTY
    moment = x.T @ y
    matrix = x.T @ x + precision[:, :, None] * np.eye(size)
    factor = np.linalg.cholesky(matrix)
    mean = np.linalg.solve(matrix, np.broadcast_to(moment[:, None], (len(matrix), size, 1)))[..., 0]
    rate = 1e-4 + np.maximum(float(y @ y) - mean @ moment, 0.0) / 2
    # The intercept has no part in the comparison: a wandering level would win by having none.
    log_det = 2 * np.log(np.einsum("pii->pi", factor)).sum(axis=1) - np.log(matrix[:, 0, 0])
    evidence = 0.5 * (np.log(precision[:, 1:]).sum(axis=1) - log_det) - shape * np.log(rate)
    return [
        _Model(phi, theta, mean[n], factor[n], shape, float(rate[n]), float(evidence[n]))
        for n in range(len(penalties))
    ]


def _coefficients(
    models: list[_Model], numbers: np.ndarray, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "S K"], Float[np.ndarray, "S"]]:
    """Draws of the coefficients, and of the standard deviation of the innovations."""
    beta = np.empty((len(numbers), len(models[0].mean)))
    deviation = np.empty(len(numbers))
    for number in np.unique(numbers):
        model, rows = models[number], np.flatnonzero(numbers == number)
        scale = np.sqrt(model.rate / rng.gamma(model.shape, size=len(rows)))
        normals = rng.normal(size=(len(model.mean), len(rows)))
        random = scale * solve_triangular(model.factor.T, normals, lower=False)
        beta[rows], deviation[rows] = (model.mean[:, None] + random).T, scale
    return beta, deviation


class _Process(NamedTuple):
    """An ARMA(1, 1) process for each draw."""

    phi: Float[np.ndarray, "S"]
    theta: Float[np.ndarray, "S"]
    deviation: Float[np.ndarray, "S"]

    def continued(
        self, past: Float[np.ndarray, "T S"], steps: int, rng: np.random.Generator
    ) -> Float[np.ndarray, "S P"]:
        """Draws of the points that follow some past points."""
        innovation = np.zeros(past.shape[1])
        for before, now in zip(past[:-1], past[1:], strict=True):
            innovation = now - self.phi * before - self.theta * innovation
        error, coming = past[-1], np.empty((past.shape[1], steps))
        fresh = self.deviation * rng.normal(size=(steps, past.shape[1]))
        for step in range(steps):
            error = self.phi * error + self.theta * innovation + fresh[step]
            innovation = fresh[step]
            coming[:, step] = error
        return coming
