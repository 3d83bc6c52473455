"""Estimates an effect by one method, or by the one that is most certain of the past."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lagllama_jax.causal.calibration import PRIOR_SQUARES, Null, nulls_of
from lagllama_jax.causal.effect import Effect
from lagllama_jax.causal.estimators import METHODS, estimator
from lagllama_jax.causal.placebos import PLACEBOS, draw, false_dates, in_space, in_time
from lagllama_jax.causal.predictors import LazyModel
from lagllama_jax.causal.study import Study
from lagllama_jax.config import ForecastConfig

WITHOUT_CONTROLS = ("network", "ridge")
"""Methods that differ from each other also if there are no controls."""
LUCK = 0.2
"""Share of the differences between the widths of methods, in logarithms, that is due to chance."""


def estimate(
    study: Study, method: str, model: LazyModel, config: ForecastConfig, count: int
) -> Effect:
    """The effect by one method, calibrated by false interventions.

    `auto` takes the method whose calibrated interval of the average effect is the narrowest, which
    is known without what happened after the intervention. As the widths come from few trials, the
    narrowest is too narrow on average. So it is widened by `LUCK` of the way to the geometric mean
    of all methods. If the past is too short for false dates, `auto` takes `ridge`.

    Args:
      study: The data.
      method: One of `METHODS`, or `auto`.
      model: The model.
      config: Options of the forecasts.
      count: Number of false dates, and largest number of controls that are tried. 0: the intervals
        are those of the paths. `auto` needs trials all the same.

    Raises:
      ConfigError: If there is no such method, or the predictor draws no sample paths.
    """
    if method != "auto":
        return _by(method, study, model, config, count)
    tried = count or PLACEBOS
    ends, _, _ = false_dates(study, tried)
    if not len(ends):
        return _by("ridge", study, model, config, count)
    names = METHODS if study.controls else WITHOUT_CONTROLS
    found = [_by(name, study, model, config, tried) for name in names]
    unit = float(np.mean([np.nanstd(target) for target in study.dataset.targets]))
    scores = {one.method: one.deviation / unit for one in found}
    best = replace(min(found, key=lambda one: one.deviation), scores=scores)
    if not count:
        return replace(best, trials=[], nulls=[Null()] * len(best.nulls))
    wider = widening(list(scores.values()))
    nulls = [null._replace(factor=wider * null.factor) for null in best.nulls]
    return replace(best, nulls=nulls)


def widening(widths: Sequence[float]) -> float:
    """The factor by which the narrowest interval of several is widened.

    >>> round(widening([1.0, 32.0]), 3)  # a tenth of the way, as the mean is half of it
    1.414
    """
    logs = np.log(widths)
    return float(np.exp(LUCK * (logs.mean() - logs.min())))


def _by(method: str, study: Study, model: LazyModel, config: ForecastConfig, count: int) -> Effect:
    """The effect by one method."""
    chosen = estimator(method, model)
    trials = [
        *in_time(study, chosen, config, count),
        *in_space(study, chosen, config, count),
    ]
    samples = draw(chosen, study.dataset, study.after, config)
    nulls = nulls_of(study, trials, count, PRIOR_SQUARES[method])
    return Effect(study, samples, method, chosen, config, trials, nulls)
