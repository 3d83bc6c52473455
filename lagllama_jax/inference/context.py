"""The context of each series, chosen among several lengths on the series' own past."""

from dataclasses import replace

import numpy as np

from lagllama_jax.config import ForecastConfig, ModelConfig
from lagllama_jax.evaluation.metrics import sample_crps
from lagllama_jax.inference.predictor import forecast_model, forecast_samples
from lagllama_jax.progress import Progress, after
from lagllama_jax.series.dataset import SeriesSet
from lagllama_jax.typing import Float, Int, Parameters

TRIAL_SAMPLES = 20
"""Most sample paths of a forecast that decides on a context."""
SHORTEST_TRIAL = 16
"""Fewest points before the ones that decide; shorter series take the first length."""


def with_one_context(
    parameters: Parameters,
    model: ModelConfig,
    series: SeriesSet,
    prediction_length: int,
    config: ForecastConfig,
    progress: Progress | None = None,
) -> Float[np.ndarray, "B S P"]:
    """Sample paths, all series with the same context."""
    known = forecast_model(model, config).context_length
    return forecast_samples(
        parameters,
        model,
        series.values,
        series.clocks(known, prediction_length),
        series.item_ids,
        prediction_length,
        config,
        progress,
    )


def with_own_contexts(
    parameters: Parameters,
    model: ModelConfig,
    series: SeriesSet,
    prediction_length: int,
    config: ForecastConfig,
    progress: Progress | None = None,
) -> Float[np.ndarray, "B S P"]:
    """Sample paths, each series with its context where the configuration gives several."""
    lengths = config.context_length
    if not isinstance(lengths, tuple):
        return with_one_context(parameters, model, series, prediction_length, config, progress)
    chosen = choose_contexts(parameters, model, series, prediction_length, config)
    samples = np.empty((len(series), config.num_samples, prediction_length), np.float32)
    done = 0
    for length in lengths:
        rows = np.flatnonzero(chosen == length).tolist()
        if rows:
            report = after(done, len(series), progress)
            one, part = config.replace(context_length=length), series.take(rows)
            samples[rows] = with_one_context(
                parameters, model, part, prediction_length, one, report
            )
            done += len(rows)
    return samples


def choose_contexts(
    parameters: Parameters,
    model: ModelConfig,
    series: SeriesSet,
    prediction_length: int,
    config: ForecastConfig,
) -> Int[np.ndarray, "B"]:
    """For each series, the length with which its last `prediction_length` points are forecast best.

    Best is the least CRPS; the first of equals. Series too short to be tried take the first.
    """
    lengths = config.context_length
    assert isinstance(lengths, tuple)
    steps = prediction_length
    rows = [i for i, one in enumerate(series.values) if len(one) >= steps + SHORTEST_TRIAL]
    rows = [i for i in rows if np.isfinite(series.values[i][:-steps]).any()]
    chosen = np.full(len(series), lengths[0])
    if not rows or len(lengths) == 1:
        return chosen
    tried = series.take(rows)
    truth = np.stack([values[-steps:] for values in tried.values])
    before = replace(tried, values=[values[:-steps] for values in tried.values])
    fewer = min(config.num_samples, TRIAL_SAMPLES)
    scores = []
    for length in lengths:
        one = config.replace(context_length=length, num_samples=fewer)
        samples = with_one_context(parameters, model, before, steps, one)
        scores.append(np.nan_to_num(sample_crps(truth, samples, axis=1)))
    chosen[rows] = np.array(lengths)[np.argmin(scores, axis=0)]
    return chosen
