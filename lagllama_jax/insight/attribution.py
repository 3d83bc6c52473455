"""Attribution of a forecast to the past values and the other features that it was made from."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import jax
import numpy as np

from lagllama_jax.config import Count, ForecastConfig, ModelConfig, check, checked
from lagllama_jax.inference.batch import prepare
from lagllama_jax.inference.covariates.regression import CovariateRegression
from lagllama_jax.inference.lanes import devices_for
from lagllama_jax.inference.memory import check_memory
from lagllama_jax.inference.predictor import capacity_for
from lagllama_jax.insight.attention import check_one_pass
from lagllama_jax.insight.covariate_parts import CovariateParts, covariate_parts
from lagllama_jax.insight.integrated_gradients import Contributions, Path, contributions
from lagllama_jax.insight.windows import (
    check_student_t,
    explained_model,
    only_series,
    over_windows,
)
from lagllama_jax.model.batch import Batch
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float, Int, Parameters

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PIECES = 1, 4, 16
"""Numbers of pieces that the path from the baseline is divided into, until the sum is right."""
ROUNDING = 1e-6
COMPLETE, SMALLEST = 1e-3, 1e-3
"""Allowed error of the sum of the contributions, relative to the difference from the baseline, or
to `SMALLEST` times the sum of the sizes of the contributions if this is larger."""

Baseline = Literal["median", "missing"]


def attribute(
    parameters: Parameters,
    config: ModelConfig,
    dataset: SeriesDataset,
    step: int | Sequence[int],
    baseline: Baseline,
    context_length: int | None,
    regression: CovariateRegression,
) -> "LagAttribution":
    """Explains steps of a forecast. Arguments and errors: those of `LagLlama.lag_attribution`."""
    asked = list(step) if isinstance(step, Sequence | np.ndarray) else [step]
    check(len(asked) > 0, "step=[] must name at least one step of the forecast.")
    steps = [int(checked("step", one, Count)) for one in asked]
    check_student_t(config, "lag_attribution")
    check_one_pass(config, max(steps), "step")
    choices = get_args(Baseline)
    check(baseline in choices, f"baseline={baseline!r} must be one of {', '.join(choices)}.")
    model = explained_model(config, context_length)
    plain = replace(dataset, known_covariates=None, known_names=())
    series, coming = only_series(plain, "lag_attribution"), capacity_for(max(steps))
    check_memory(model, 0, coming, devices_for(1)[0])
    options = ForecastConfig(context_length=context_length, coarsen=1, difference="none")
    known = _known_parts(dataset, series, max(steps), regression, options)
    prepared = prepare(known.left, np.array([0]), model, coming)
    flags = np.array([baseline == "median"])
    parts = [_explained(parameters, model, prepared.batch, one, flags) for one in steps]
    center, width = prepared.center[0, 0], prepared.width[0, 0]
    fields = [width * np.concatenate(part, dtype=np.float64) for part in zip(*parts, strict=True)]
    raw: dict[str, Any] = dict(zip(Contributions._fields, fields, strict=True))
    places = np.array(steps) - 1
    covariates = known.parts[:, places].T
    usual = center + known.usual[places]
    raw["location"] += usual + covariates.sum(axis=1)
    raw["baseline"] += usual
    raw |= {"covariates": covariates, "covariate_names": dataset.known_names}
    return LagAttribution(series, np.array(steps), model.lags, **raw)


def _known_parts(
    dataset: SeriesDataset,
    series: SeriesDataset,
    steps: int,
    regression: CovariateRegression,
    config: ForecastConfig,
) -> CovariateParts:
    """The parts of the known covariates of a series. Without any, there are none."""
    if dataset.known_covariates is None:
        return CovariateParts(series, np.zeros(steps), np.zeros((0, steps)))
    end = series.targets[0].shape[1]
    known = dataset.known_covariates[0][:, : end + steps]
    whole = replace(series, known_covariates=[known], known_names=dataset.known_names)
    return covariate_parts(whole, steps, regression, config)


def _explained(
    parameters: Parameters, model: ModelConfig, batch: Batch, step: int, flags: Any
) -> Contributions:
    """The contributions to one step. The path is divided until they add up."""
    query: Any = None if step == 1 else np.array([[model.past_length + step - 2]], np.int32)
    least = 0.0 if model.reads_raw_values else 1.0  # the size of the numbers in other models
    for pieces in PIECES:
        edges = np.linspace(0, 1, pieces + 1, dtype=np.float32)
        parts = []
        for ends in zip(edges[:-1], edges[1:], strict=True):
            path = Path(batch, query, flags, *np.array(ends)[:, None])
            arguments = (contributions, parameters, model, 1, lambda _, path=path: path)
            parts.append(over_windows(*arguments))
        whole: Contributions = jax.tree.map(lambda *rows: np.sum(rows, 0, np.float64), *parts)
        whole = whole._replace(location=parts[0].location, baseline=parts[0].baseline)
        shares = whole.values.sum(), whole.observed.sum(), whole.calendar.sum(), whole.scale.sum()
        far, near = float(whole.location[0]), float(whole.baseline[0])
        size = max(abs(far - near), SMALLEST * np.abs(whole.values).sum())
        rounding = ROUNDING * max(abs(far), abs(near), least)
        if abs(sum(shares) - (far - near)) <= COMPLETE * size + rounding:
            return whole
    warnings.warn(
        f"The contributions to step {step} do not add up to the forecast within {COMPLETE:.1%}: it "
        "changes abruptly on the way from the baseline.",
        stacklevel=4,
    )
    return whole


@dataclass(frozen=True, repr=False)
class LagAttribution:
    """What steps of the forecast of one series rest on, in the units of the series.

    `values`, `observed`, `calendar`, `scale` and `covariates` add up to `location - baseline`.
    There is one row per explained step (H). Steps are numbered from the end of the series: 0 is its
    last step, and 1 the first step of the forecast.

    With known covariates, the network forecasts what is left of the series after their effect
    (`Forecast.effect`) is removed, so `values` are contributions of what is left.

    Attributes:
      dataset: The series, without covariates.
      steps: The explained steps.
      lags: The lags of a token. Lag 0 is the step before the one that the token describes.
      location: The location of the predictive distribution, which is its median and its mean.
      baseline: What is forecast for the baseline, with each covariate at its mean of the past.
      values: Contribution of each of the last U steps: of its values as lags of all tokens.
      observed: Contribution of the flags that say which steps are observed. 0 with
        `baseline="median"`.
      calendar: Contribution of the calendar features of each step of the context, and last of the
        query for the step that is explained.
      scale: Contribution of the features of location and scale.
      by_lags: Contribution of each lag, whatever the token. The sum is that of `values` and
        `observed`.
      covariates: Contribution of the future values of each known covariate.
      covariate_names: Names of the known covariates.
    """

    dataset: SeriesDataset
    steps: Int[np.ndarray, "H"]
    lags: tuple[int, ...]
    location: Float[np.ndarray, "H"]
    baseline: Float[np.ndarray, "H"]
    values: Float[np.ndarray, "H U"]
    observed: Float[np.ndarray, "H U"]
    calendar: Float[np.ndarray, "H T_plus_1"]
    scale: Float[np.ndarray, "H"]
    by_lags: Float[np.ndarray, "H L"]
    covariates: Float[np.ndarray, "H K"]
    covariate_names: tuple[str, ...] = ()

    def __repr__(self) -> str:
        steps = ", ".join(map(str, self.steps[:8])) + (", ..." if len(self.steps) > 8 else "")
        return f"LagAttribution(series {self.dataset.item_ids[0]!r}, forecast steps {steps})"

    @property
    def total(self) -> Float[np.ndarray, "H"]:
        """The sum of all contributions, which is `location - baseline` up to 0.1 %."""
        network = self.values.sum(1), self.observed.sum(1), self.calendar.sum(1), self.scale
        parts = *network, self.covariates.sum(1)
        total: np.ndarray = sum(parts, np.zeros(len(self.steps)))
        return total

    def stamps(self, first: int, count: int) -> Any:
        """The time stamps of consecutive steps, or their positions in a series without dates."""
        of = self.dataset.positions if self.dataset.starts[0] is None else self.dataset.timestamps
        return of(0, first - 1, count)

    def to_frame(self) -> "pd.DataFrame":
        """One row per explained step, part and past step. The parts add up to `total`.

        The columns are `step`, `timestamp` (of the explained step), `part` (`value`, `observed`,
        `calendar`, `scale` or `covariate`), `source` (the time stamp of the past step, none for
        `scale` and covariates), `distance` (the number of steps between both), `attribution`, and
        `covariate` (its name) if there are any. Rows before the start of the series are left out
        where they are 0.
        """
        import pandas as pd

        parts = [self._rows(row) for row in range(len(self.steps))]
        return pd.concat(parts, ignore_index=True)

    def _rows(self, row: int) -> "pd.DataFrame":
        import pandas as pd

        step, reach, context = int(self.steps[row]), self.values.shape[1], self.calendar.shape[1]
        past = np.arange(1 - reach, 1)
        source = np.concatenate([past, past, past[1 - context :], [step - 1]])
        numbers = np.concatenate([self.values[row], self.observed[row], self.calendar[row]])
        part = np.repeat(["value", "observed", "calendar"], [reach, reach, context])
        shown = (source > -self.dataset.targets[0].shape[1]) | (numbers != 0)
        shown[-1] = step > 1  # the first step has no query
        stamps = pd.Index(self.stamps(1 - reach, reach + step))
        columns = {
            "part": part[shown],
            "source": stamps.take(source[shown] + reach - 1),
            "distance": step - source[shown],
            "attribution": numbers[shown],
        }
        table = pd.DataFrame({"step": step, "timestamp": stamps[-1], **columns})
        if not isinstance(stamps, pd.DatetimeIndex):
            table["source"] = table["source"].astype("Int64")
        table["distance"] = table["distance"].astype("Int64")
        names = self.covariate_names
        more = table.iloc[[-1] * (1 + len(names))].reset_index(drop=True)
        more["part"] = ["scale", *["covariate"] * len(names)]
        more["attribution"] = [self.scale[row], *self.covariates[row]]
        for name in ("source", "distance"):
            more[name] = pd.Series([None] * len(more), dtype=table[name].dtype)
        if names:
            table["covariate"], more["covariate"] = None, [None, *names]
        return pd.concat([table, more])

    def by_lag(self) -> "pd.DataFrame":
        """The contribution of each lag, one row per lag and one column per explained step."""
        import pandas as pd

        lags = pd.Index(self.lags, name="lag")
        return pd.DataFrame(self.by_lags.T, lags, pd.Index(self.steps, name="step"))

    def by_covariate(self) -> "pd.DataFrame":
        """The contribution of each known covariate, with one column per explained step."""
        import pandas as pd

        names = pd.Index(self.covariate_names, name="covariate")
        return pd.DataFrame(self.covariates.T, names, pd.Index(self.steps, name="step"))

    def plot(self, *, history: int | None = None) -> "Figure":
        """Plots the past, the explained steps, and the contribution of each past step to them.

        Args:
          history: Number of last steps to plot. `None`: as many as hold 99 % of the contributions.

        Raises:
          MissingExtraError: If Matplotlib is not installed.
        """
        from lagllama_jax.insight.plots import plot_attribution

        return plot_attribution(self, history)
