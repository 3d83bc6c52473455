"""Calibration: how wide the intervals must be, by what was found at false interventions."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from lagllama_jax.causal.placebos import Trial, false_dates, middles
from lagllama_jax.causal.study import Study
from lagllama_jax.typing import Float

PRIOR = 4.0
"""The prior of the variance of scores is worth this many trials."""
PRIOR_SQUARES = {
    "network": 1.0,
    "regression_network": 1.0,
    "synthetic_control": 2.0,
    "ridge": 2.0,
}
"""Mean squared score of each method before it is tried. On real series (`experiments/causal`), the
sample paths of the network are about as wide as its errors. Those of one linear model are narrower
than its errors, as they do not tell how wrong the model is."""
SPACE_WEIGHT = 0.5
"""Weight of a trial on a control, as errors of controls in one period are not independent."""


class Null(NamedTuple):
    """The distribution of effects where there is none: a scaled t distribution.

    Attributes:
      factor: Factor of the standard deviation of a predicted mean.
      df: Degrees of freedom.
    """

    factor: float = 1.0
    df: float = np.inf

    def widened(
        self, samples: Float[np.ndarray, "S P"], seed: int, copies: int = 8
    ) -> Float[np.ndarray, "s P"]:
        """Sample paths whose means have this distribution.

        The trials tell how wrong means are, so the part of each point that goes with the mean of
        its path is widened, and not the noise of single points.

        Args:
          samples: The sample paths.
          seed: Seed of the random numbers.
          copies: Number of copies of each path, of different widths.
        """
        middle = middles(samples)
        apart = samples - middle
        mean = apart.mean(axis=1)
        slope = _smooth(mean @ apart / max(float(mean @ mean), 1e-300))
        copies = copies if np.isfinite(self.df) else 1  # all would be alike
        count = copies * len(samples)
        widths = np.full(count, self.factor)
        if np.isfinite(self.df):
            levels = (np.arange(count) + 0.5) / count
            widths *= np.sqrt(self.df / stats.chi2.ppf(levels, self.df))
        widths = np.random.default_rng(seed).permutation(widths)
        more = (widths - 1) * np.tile(mean, copies)
        return np.asarray(middle + np.tile(apart, (copies, 1)) + more[:, None] * slope)


def _smooth(values: Float[np.ndarray, "P"]) -> Float[np.ndarray, "P"]:
    """A parabola through values, whose mean is the same."""
    times = np.linspace(-1, 1, len(values))
    return np.polynomial.Polynomial.fit(times, values, min(2, len(values) - 1))(times)


def null_of(trials: list[Trial], effective: float, prior_square: float) -> Null:
    """The null distribution by the trials.

    The scores are normal with an unknown variance, which has a scaled inverse chi-squared prior. So
    a new score has a t distribution.

    Args:
      trials: The trials.
      effective: Number of independent trials in time that those in time are worth.
      prior_square: Mean squared score of the estimator where it was not tried.
    """
    weights, squares = [PRIOR], [prior_square]
    for kind, weight in (("time", effective), ("space", SPACE_WEIGHT)):
        scores = np.array([trial.score for trial in trials if trial.kind == kind])
        if len(scores):
            weights.append(weight if kind == "time" else weight * len(scores))
            squares.append(float((scores**2).mean()))
    total = float(np.sum(weights))
    return Null(float(np.sqrt(np.average(squares, weights=weights))), total)


def nulls_of(study: Study, trials: list[Trial], count: int, prior_square: float) -> list[Null]:
    """The null distributions of the units, and last that of their mean.

    Args:
      study: The data.
      trials: The trials of all units.
      count: Number of false dates that were asked for. 0: nothing is calibrated.
      prior_square: As in `null_of`.
    """
    if count == 0:
        return [Null()] * (len(study.units) + 1)
    _, _, effective = false_dates(study, count)
    space = [trial for trial in trials if trial.kind == "space"]
    by_unit = [[one for one in trials if one.kind == "time" and one.unit == u] for u in study.units]
    nulls = [null_of([*own, *space], effective, prior_square) for own in by_unit]
    if len(nulls) == 1:
        return nulls * 2
    return [*nulls, null_of(_together(by_unit), effective, prior_square)]


def _together(by_unit: list[list[Trial]]) -> list[Trial]:
    """Trials of the mean of the units, from those of each unit at the same times."""
    times = {str(trial.time): trial for own in by_unit for trial in own}
    together: list[Trial] = []
    for time in times:
        same = [trial for own in by_unit for trial in own if str(trial.time) == time]
        effect = float(np.mean([trial.effect for trial in same]))
        deviation = float(np.sqrt(np.sum([trial.deviation**2 for trial in same])) / len(same))
        together.append(same[0]._replace(unit="average", effect=effect, deviation=deviation))
    return together
