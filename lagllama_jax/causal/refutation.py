"""Checks that may refute an effect: without each control, and controls that move themselves."""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from lagllama_jax.causal.effect import Effect
from lagllama_jax.causal.estimators import Ridge
from lagllama_jax.causal.placebos import draw, summarised
from lagllama_jax.causal.study import Study
from lagllama_jax.config import ForecastConfig
from lagllama_jax.errors import ConfigError

LEVEL_OF_CONTROLS = 0.05


def without(study: Study, control: int) -> Study:
    """The study without one of its controls."""
    data = study.dataset
    assert data.known_covariates is not None
    names = tuple(name for row, name in enumerate(study.controls) if row != control)
    rows = [np.delete(values, control, axis=0) for values in data.known_covariates]
    dataset = replace(data, known_covariates=rows if names else None, known_names=names)
    return replace(study, dataset=dataset)


def leave_one_out(effect: Effect) -> pd.DataFrame:
    """The effect without each control, with the null distribution of all controls.

    Raises:
      ConfigError: If there are fewer than two controls.
    """
    study = effect.study
    if len(study.controls) < 2:
        raise ConfigError("Leaving out a control needs at least two controls.")
    rows = []
    for number, name in enumerate(study.controls):
        rest = without(study, number)
        samples = draw(effect.estimator, rest.dataset, study.after, effect.config)
        one = replace(effect, study=rest, samples=samples)
        rows.append((name, one.average_effect, *one.average_interval, one.p_value))
    return pd.DataFrame(rows, columns=["left_out", "effect", "lower", "upper", "p_value"])


def moved_controls(effect: Effect) -> list[str]:
    """Names of the controls that moved at the intervention themselves.

    Each control is tested as if it were treated, at a level of 5 % for all of them together.
    """
    names = effect.study.controls
    if not names:
        return []
    found = [(trial.unit, trial.score) for trial in effect.trials if trial.kind == "space"]
    if len(names) == 1:
        found = [(names[0], score) for score in _scores_alone(effect.study, effect.config)]
    level = LEVEL_OF_CONTROLS / 2 / max(len(found), 1)
    limit = effect.null.factor * float(stats.t.isf(level, effect.null.df))
    return list(dict.fromkeys(name for name, score in found if abs(score) > limit))


def _scores_alone(study: Study, config: ForecastConfig) -> list[float]:
    """Scores of a single control, forecast from its own past, at each different intervention."""
    known, before = study.dataset.known_covariates, study.before
    assert known is not None
    rows = list(range(len(study.units) if study.staggered else 1))
    alone = replace(
        study.dataset.take(rows),
        targets=[known[row][:, :before] for row in rows],
        known_covariates=None,
        known_names=(),
    )
    scores = []
    for row, samples in zip(rows, draw(Ridge(), alone, study.after, config), strict=True):
        effect, deviation, _ = summarised(samples, known[row][0, before:])
        scores.append(effect / deviation)
    return scores
