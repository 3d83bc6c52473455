"""Checks that may refute an effect: without each control, and controls that move themselves."""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from lagllama_jax.causal.effect import Effect
from lagllama_jax.causal.estimators import Ridge
from lagllama_jax.causal.placebos import Null, Trial, draw, summarised
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


def moved_controls(
    study: Study, trials: list[Trial], null: Null, config: ForecastConfig
) -> list[str]:
    """Names of the controls that moved at the intervention themselves.

    Each control is tested as if it were treated, at a level of 5 % for all of them together.
    """
    if not study.controls:
        return []
    scores = {trial.unit: trial.score for trial in trials if trial.kind == "space"}
    if len(study.controls) == 1:
        assert study.dataset.known_covariates is not None
        values = study.dataset.known_covariates[0]
        alone = replace(
            study.dataset.take([0]),
            targets=[values[:, : study.before]],
            known_covariates=None,
            known_names=(),
        )
        samples = draw(Ridge(), alone, study.after, config)
        effect, deviation, _ = summarised(samples[0], values[0, study.before :])
        scores = {study.controls[0]: effect / deviation}
    level = LEVEL_OF_CONTROLS / 2 / max(len(scores), 1)
    limit = null.factor * float(stats.t.isf(level, null.df))
    return [name for name, score in scores.items() if abs(score) > limit]
