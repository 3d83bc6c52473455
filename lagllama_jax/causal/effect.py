"""`Effect`: what an intervention did, with intervals that false interventions have calibrated."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lagllama_jax.causal.calibration import Null
from lagllama_jax.causal.placebos import Trial, middles, summarised
from lagllama_jax.causal.study import Study
from lagllama_jax.config import ForecastConfig, check
from lagllama_jax.inference.forecast import Predictor
from lagllama_jax.typing import Float

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

LEVEL = 0.95
ALPHA = 0.05
"""An effect whose p-value is below this is told from nothing."""


@dataclass(frozen=True, repr=False)
class Effect:
    """The effect of an intervention on one unit, or on the mean of several units.

    The effect is the difference of what happened and of what the sample paths of the estimator say
    would have happened. The intervals are those of the paths, widened (or narrowed) by what the
    estimator finds at false interventions.

    Attributes:
      study: The data.
      samples: Sample paths of what would have happened: [U, S, P].
      method: Name of the estimator.
      estimator: The estimator.
      config: Options of its forecasts.
      trials: The false interventions.
      nulls: Null distribution of each unit, and that of the mean of the units.
      scores: Standard deviation of the calibrated average effect by each method that was tried, in
        standard deviations of the past of the units. Empty if the method was given.
      notes: What a reader should know of the data.
    """

    study: Study
    samples: Float[np.ndarray, "U S P"]
    method: str
    estimator: Predictor
    config: ForecastConfig
    trials: list[Trial]
    nulls: list[Null]
    scores: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        low, high = self.average_interval
        found = f"{self.average_effect:.4g} [{low:.4g}, {high:.4g}]"
        return f"Effect({found}, p={self.p_value:.2g}, {self.method})"

    @property
    def null(self) -> Null:
        """The null distribution of the mean of the units."""
        return self.nulls[-1]

    @cached_property
    def actual(self) -> Float[np.ndarray, "P"]:
        """What happened: the mean of the units at each point, NaN where one is missing."""
        return np.asarray(self.study.actual.mean(axis=0))

    @cached_property
    def counterfactual(self) -> Float[np.ndarray, "s P"]:
        """Widened sample paths of what would have happened, as the mean of the units."""
        return self.null.widened(self.samples.mean(axis=0), self.config.seed)

    @cached_property
    def predicted(self) -> Float[np.ndarray, "P"]:
        """Median of what would have happened at each point; of rare counts, the mean."""
        return middles(self.samples.mean(axis=0))

    @property
    def observed(self) -> np.ndarray:
        """Which points after the intervention have a value of every unit."""
        return np.isfinite(self.actual)

    @property
    def average_effect(self) -> float:
        """Mean of actual minus predicted values over the observed points."""
        return float((self.actual - self.predicted)[self.observed].mean())

    @property
    def cumulative_effect(self) -> float:
        """Sum of actual minus predicted values over the observed points."""
        return float((self.actual - self.predicted)[self.observed].sum())

    @property
    def relative_effect(self) -> float:
        """The average effect relative to the size of the mean of the predicted values.

        It has the sign of the average effect, and is NaN if the interval of that mean contains 0.
        """
        size = abs(float(self.predicted[self.observed].mean()))
        if size == 0 or np.isnan(self._sizes).any():
            return float("nan")
        return self.average_effect / size

    @property
    def average_interval(self) -> tuple[float, float]:
        """95 % interval of the average effect."""
        return self.interval()

    @property
    def cumulative_interval(self) -> tuple[float, float]:
        """95 % interval of the cumulative effect."""
        low, high = self.interval()
        count = int(self.observed.sum())
        return low * count, high * count

    @property
    def relative_interval(self) -> tuple[float, float]:
        """95 % interval of the relative effect. It is NaN where that is."""
        means = self.counterfactual[:, self.observed].mean(axis=1)
        low, high = np.quantile((self._mean - means) / self._sizes, _ends(LEVEL))
        return float(low), float(high)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Central interval of the average effect.

        Args:
          level: Its coverage, between 0 and 1.

        Raises:
          ConfigError: If the level is not between 0 and 1.
        """
        check(0 < level < 1, f"level={level!r} must be between 0 and 1, such as 0.95.")
        means = self.counterfactual[:, self.observed].mean(axis=1)
        low, high = np.quantile(self._mean - means, _ends(level))
        return float(low), float(high)

    @property
    def deviation(self) -> float:
        """Standard deviation of the average effect, widened."""
        _, deviation, _ = summarised(self.samples.mean(axis=0), self.actual)
        return self.null.factor * deviation

    @property
    def p_value(self) -> float:
        """Probability of such an average effect, of either sign, if there is none.

        It is twice the share of the widened sample paths beyond what happened, so that it is below
        5 % if the interval of 95 % is on one side of 0.
        """
        return _two_sided(self.counterfactual[:, self.observed].mean(axis=1), self._mean)

    @cached_property
    def _sizes(self) -> Float[np.ndarray, "s"]:
        """Absolute means of the paths, or NaN if 0 is within their interval of 95 %."""
        means = self.counterfactual[:, self.observed].mean(axis=1)
        low, high = np.quantile(means, _ends(LEVEL))
        return np.abs(means) if low * high > 0 else np.full(len(means), np.nan)

    @property
    def _mean(self) -> float:
        return float(self.actual[self.observed].mean())

    @property
    def tail_probability(self) -> float:
        """Share of sample paths beyond the actual sum on its side, before any widening.

        This is the p-value of CausalImpact: one-sided, and as good as the estimator's own widths.
        """
        sums = self.samples.mean(axis=0)[:, self.observed].sum(axis=1)
        total = self.actual[self.observed].sum()
        beyond = min((sums >= total).sum(), (sums <= total).sum())
        return float((beyond + 1) / (len(sums) + 1))

    @property
    def empirical_p_value(self) -> float:
        """Rank of the effect among the false interventions, in standard deviations of each.

        It is at least 1 / (number of trials + 1).
        """
        effect, deviation, _ = summarised(self.samples.mean(axis=0), self.actual)
        scores = np.abs([trial.score for trial in self.trials])
        return float((1 + (scores >= abs(effect / deviation)).sum()) / (1 + len(scores)))

    @property
    def significant(self) -> bool:
        """Whether the p-value is below 5 %."""
        return self.p_value < ALPHA

    @property
    def verdict(self) -> str:
        """Whether the effect can be told from nothing, in one sentence."""
        if not self.significant:
            return f"This cannot be told from nothing (p = {self.p_value:.2g})."
        kind = "increase" if self.average_effect > 0 else "decrease"
        return f"There is {'an' if kind[0] == 'i' else 'a'} {kind} (p = {self.p_value:.2g})."

    def summary(self) -> str:
        """A table with the layout of R's CausalImpact."""
        from lagllama_jax.causal.report import summary

        return summary(self)

    def report(self) -> str:
        """The result in words."""
        from lagllama_jax.causal.report import report

        return report(self)

    def plot(self) -> "Figure":
        """Plots what happened and what would have, the effect of each point, and their sum.

        Raises:
          MissingExtraError: If Matplotlib is not installed.
        """
        from lagllama_jax.causal.plots import plot_effect

        return plot_effect(self)

    def to_frame(self) -> "pd.DataFrame":
        """One row per unit and time step of the period after, with intervals of 95 %.

        With several units, their mean has the name `average`. If they have interventions at
        different times, the rows have the number of time steps since then (`steps_since`), and
        those of `average` are the average effect on the treated by the time since treatment.
        """
        from lagllama_jax.causal.report import to_frame

        return to_frame(self)

    def by_unit(self) -> "pd.DataFrame":
        """One row per unit: its intervention, average effect, interval of 95 %, and p-value."""
        import pandas as pd

        rows = []
        for number, name in enumerate(self.study.units):
            one, when = self.unit(number), self.study.interventions[number]
            rows.append((name, when, one.average_effect, *one.average_interval, one.p_value))
        columns = ["unit", "intervention", "effect", "lower", "upper", "p_value"]
        return pd.DataFrame(rows, columns=columns)

    def unit(self, number: int) -> "Effect":
        """The effect on one of several units."""
        study = Study(self.study.dataset.take([number]), self.study.actual[[number]])
        name = self.study.units[number]
        trials = [one for one in self.trials if one.kind == "space" or one.unit == name]
        samples, null = self.samples[[number]], self.nulls[number]
        return replace(self, study=study, samples=samples, trials=trials, nulls=[null, null])

    def placebos(self) -> "pd.DataFrame":
        """One row per false intervention. `score` is the effect in standard deviations."""
        import pandas as pd

        frame = pd.DataFrame(self.trials, columns=list(Trial._fields))
        return frame.assign(score=[trial.score for trial in self.trials])

    def leave_one_out(self) -> "pd.DataFrame":
        """The effect without each of the controls, with its interval and p-value.

        An effect that rests on one control is doubtful.
        """
        from lagllama_jax.causal.refutation import leave_one_out

        return leave_one_out(self)


def _ends(level: float) -> Any:
    return [(1 - level) / 2, (1 + level) / 2]


def _two_sided(means: Float[np.ndarray, "s"], actual: float) -> float:
    beyond = min((means >= actual).sum(), (means <= actual).sum())
    return float(min(2 * (beyond + 1) / (len(means) + 1), 1.0))
