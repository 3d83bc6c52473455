"""`impact`: what an intervention did to a series."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np

from lagllama_jax.causal.effect import Effect
from lagllama_jax.causal.estimation import estimate
from lagllama_jax.causal.placebos import PLACEBOS, check_samples
from lagllama_jax.causal.predictors import LazyModel
from lagllama_jax.causal.refutation import moved_controls
from lagllama_jax.causal.study import Study, read_study
from lagllama_jax.config import ForecastConfig, checked
from lagllama_jax.config.base import Interval
from lagllama_jax.forecaster import LagLlama
from lagllama_jax.inference.forecast import Predictor

NUM_SAMPLES = 200


def impact(
    df: Any,
    intervention: Any,
    target: str | Sequence[str],
    controls: str | Sequence[str] | None = None,
    *,
    predictor: LagLlama | Predictor | None = None,
    prediction_length: int | None = None,
    method: str = "auto",
    placebos: int = PLACEBOS,
    num_samples: int = NUM_SAMPLES,
    seed: int = ForecastConfig.seed,
    id_column: str | None = None,
    timestamp_column: str | None = None,
    freq: Any = None,
    dayfirst: bool | None = None,
    date_format: str | None = None,
    decimal: str | None = None,
    **options: Any,
) -> Effect:
    """Estimates what an intervention did, from what came before and from series without it.

    What would have happened is forecast from the period before, and from the controls through the
    period after. The effect is causal if the intervention did not change the controls, and if what
    related target and controls before would have gone on to do so. No test can prove either.

    Args:
      df: A data frame with a column of time stamps, a column of the target and one per control. If
        it has no further columns, the rows are numbered from 0. With `id_column`, a long data frame
        whose items are the targets and the controls.
      intervention: Time stamp, or number of the row, of the first point that may be changed. A
        mapping from the names of the units: each has its own. Then the units are aligned by the
        time since their interventions, and each counts as many time steps before and after as all
        of them have.
      target: The treated unit. Several names: a panel, of which the mean effect is the result, and
        `by_unit` tells that of each unit.
      controls: Series that were not treated. None: the target is forecast from its past alone.
      predictor: The model, or any predictor that draws sample paths and uses known covariates.
        `None`: the bundled weights.
      prediction_length: Number of time steps after the intervention. `None`: all.
      method: `network`: the model, with the controls as known covariates. `regression_network`: a
        linear regression on the controls, and the model for what is left. `synthetic_control`: a
        weighted mean of the controls. `ridge`: Bayesian regression on the controls. `auto`: that of
        them with the narrowest interval of the average effect after the calibration, which is
        then widened, as the narrowest of several is too narrow on average.
      placebos: Number of false dates per unit, and largest number of controls that are tried as if
        they were treated, by which the intervals are calibrated. 0: the intervals are those of the
        sample paths.
      num_samples: Number of sample paths.
      seed: Seed of the random numbers.
      id_column: Column of the names, if the data frame is long.
      timestamp_column: As in `LagLlama.predict_df`; so are the next four.
      freq: Frequency.
      dayfirst: Order of day and month.
      date_format: Format of time stamps.
      decimal: Decimal mark.
      **options: Further fields of `ForecastConfig`, such as `nonnegative`.

    Returns:
      The effect, with `summary()`, `report()`, `plot()` and `to_frame()`.

    Raises:
      DataError: If the data cannot be used; names column, time and the remedy.
      ConfigError: If an option is invalid.

    Examples:
      >>> import numpy as np, pandas as pd
      >>> days = pd.date_range("2026-01-01", periods=80)
      >>> rng = np.random.default_rng(0)
      >>> other = 50 + rng.normal(size=80)
      >>> sales = 2 * other + rng.normal(size=80) + 8 * (np.arange(80) >= 60)
      >>> df = pd.DataFrame({"day": days, "sales": sales, "other": other})
      >>> effect = impact(df, "2026-03-02", "sales", "other", method="ridge")
      >>> round(effect.average_effect), effect.verdict.split(" (")[0]
      (8, 'There is an increase')
    """
    count = int(checked("placebos", placebos, Annotated[int, Interval(least=0)]))
    study = read_study(
        df,
        intervention,
        target,
        controls,
        prediction_length,
        id_column=id_column,
        timestamp_column=timestamp_column,
        freq=freq,
        dayfirst=dayfirst,
        date_format=date_format,
        decimal=decimal,
    )
    config = ForecastConfig.of(num_samples=num_samples, seed=seed, **options)
    check_samples(config.num_samples or NUM_SAMPLES)
    effect = estimate(study, method, LazyModel(predictor), config, count)
    return replace(effect, notes=_notes(study, moved_controls(effect)))


def _notes(study: Study, moved: list[str]) -> tuple[str, ...]:
    notes = []
    if not study.controls:
        notes.append(
            "There are no controls: whatever else changed at the same time is part of the effect."
        )
    if moved:
        notes.append(
            f"The controls {', '.join(moved)} moved at the intervention themselves: they may be "
            "affected by it."
        )
        warnings.warn(f"{notes[-1]} Leave them out if so.", stacklevel=3)
    if study.staggered:
        notes.append(
            f"The units have interventions at different times. The last {study.before} time steps "
            f"before and the first {study.after} after each are used, as many as all units have."
        )
    missing = int((~np.isfinite(study.actual)).any(axis=0).sum())
    if missing:
        notes.append(f"{missing} time steps after the intervention have no value and do not count.")
    return tuple(notes)
