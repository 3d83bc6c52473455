"""The comparison of forecasts before and after fine-tuning, by which the weights are chosen."""

import math
from typing import Any, NamedTuple

import jax
import numpy as np

from lagllama_jax.config import ForecastConfig, ModelConfig
from lagllama_jax.evaluation.metrics import sample_crps
from lagllama_jax.inference.marginals import Marginals, middle_levels
from lagllama_jax.inference.paths import Sampling
from lagllama_jax.inference.predictor import one_pass_program, paths_program
from lagllama_jax.model.batch import KNOWN_COVARIATE, TARGET, Batch
from lagllama_jax.typing import Float, Int, Parameters

MOST_FORECASTS = 64
"""Largest number of windows to forecast. If there are more, evenly spaced ones are used."""
NUM_SAMPLES = 40
BATCH_SIZE = 16
FEWEST_WINDOWS = 8
"""With fewer windows than this, the standard error is over points instead of windows."""


class Comparison(NamedTuple):
    """CRPS of forecasts before and after fine-tuning, in units of the scale of each window.

    Attributes:
      before: Mean CRPS with the old weights.
      after: Mean CRPS with the new weights.
      margin: Standard error of the mean of the paired differences.
    """

    before: float
    after: float
    margin: float

    @property
    def improved(self) -> bool:
        """Whether the new weights are better by more than the margin."""
        return self.before - self.after > self.margin

    def __str__(self) -> str:
        return (
            f"CRPS {self.before:.4f} zero-shot, {self.after:.4f} fine-tuned (+-{self.margin:.4f})"
        )


def compare(before: Float[np.ndarray, "w P"], after: Float[np.ndarray, "w P"]) -> Comparison:
    """Compares the CRPS of two forecasts of the same points; NaN where a true value is missing.

    New forecasts that are no numbers are no improvement.
    """
    if (np.isnan(after) & ~np.isnan(before)).any():
        return Comparison(float(np.nanmean(before)), math.inf, 0.0)
    difference = before - after
    if len(difference) >= FEWEST_WINDOWS:
        difference = np.nanmean(difference, axis=1)
    seen = difference[~np.isnan(difference)]
    error = np.std(seen, ddof=1) / np.sqrt(len(seen)) if len(seen) > 1 else 0.0
    return Comparison(float(np.nanmean(before)), float(np.nanmean(after)), float(error))


def forecast_crps(
    parameters: Parameters,
    model: ModelConfig,
    windows: Batch,
    future: int,
    unit: Float[np.ndarray, "w V"],
) -> Float[np.ndarray, "v P"]:
    """CRPS of each forecast point of the targets, in units of the scale of each variate.

    The forecasts are made in one pass if the model can, otherwise by sample paths. Windows in which
    no point to forecast was observed are left out.

    Args:
      parameters: Parameters of the model.
      model: Its architecture.
      windows: Windows of single variates or of groups, which end with the points to forecast.
      future: Number of points to forecast.
      unit: Scale of each variate of each window in raw units.
    """
    target = np.asarray(windows.role) == TARGET
    seen = np.asarray(windows.observed)[..., -future:].any(axis=2) & target
    usable = np.flatnonzero(seen.any(axis=1))
    most = min(len(usable), MOST_FORECASTS)
    chosen = usable[np.linspace(0, len(usable) - 1, most).round().astype(int)]
    scores = []
    for first in range(0, len(chosen), BATCH_SIZE):
        turn = np.arange(first, first + BATCH_SIZE)
        index = chosen[np.minimum(turn, len(chosen) - 1)]
        batch = jax.tree.map(lambda leaf: np.asarray(leaf)[index], windows)  # noqa: B023
        drawn = _draws(parameters, model, _past(batch, future, index), future)
        level, scale = batch.level[:, :, None, None], batch.unit[:, :, None, None]
        values = drawn / scale - level if model.reads_raw_values else drawn
        truth = np.where(batch.observed, batch.values, np.nan)[..., -future:]
        rows = truth.reshape(-1, future), values.reshape(-1, *values.shape[2:])
        crps = np.asarray(sample_crps(*rows, axis=())).reshape(truth.shape)
        scored = seen[index] & (turn < len(chosen))[:, None]
        scores.append((crps * (batch.unit / unit[index])[..., None])[scored])
    return np.concatenate(scores)


def _past(batch: Batch, future: int, index: Int[np.ndarray, "B"]) -> Batch:
    """The windows without their last `future` points, but for those of known covariates."""
    seeds: Any = np.broadcast_to(index.astype(np.uint32)[:, None], batch.seed.shape)
    if batch.role.shape[1] == 1:
        ends = {name: getattr(batch, name)[..., :-future] for name in ("values", "observed")}
        return batch._replace(**ends, seed=seeds)
    before = np.arange(batch.values.shape[-1]) < batch.values.shape[-1] - future
    seen = batch.observed & (before | (batch.role == KNOWN_COVARIATE)[..., None])
    values: Any = np.where(seen, batch.values, np.float32(0))
    return batch._replace(values=values, observed=seen, seed=seeds)


def _draws(
    parameters: Parameters, model: ModelConfig, past: Batch, future: int
) -> Float[np.ndarray, "G V S P"]:
    """Draws of each point, in the units of the batch: evenly spaced quantiles, or sample paths."""
    devices = (jax.local_devices()[0],)
    if model.one_pass:
        laws = np.asarray(one_pass_program(model, future, devices)(parameters, past))
        rows = Marginals.student_t(*laws.astype(np.float64).reshape(3, -1, future))
        drawn = rows.quantiles(middle_levels(NUM_SAMPLES))
        return drawn.reshape(*laws.shape[1:3], NUM_SAMPLES, future)
    run = paths_program(model, Sampling(NUM_SAMPLES, future), devices)
    seed = np.uint32(ForecastConfig().seed)
    return np.asarray(run(parameters, past, np.int32(future), seed, np.int32(0)))
