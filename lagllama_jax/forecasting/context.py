"""The context of each series, chosen among several lengths on the series' own past."""

from collections.abc import Sequence

import numpy as np

from lagllama_jax.config import ForecastConfig, ModelConfig
from lagllama_jax.evaluation.metrics import sample_crps
from lagllama_jax.forecasting.past import Clock
from lagllama_jax.forecasting.runner import Progress, forecast_model, forecast_samples
from lagllama_jax.typing import Float, Int, Parameters

TRIAL_SAMPLES = 20
"""Most sample paths of a forecast that decides on a context."""
SHORTEST_TRIAL = 16
"""Fewest points before the ones that decide; shorter series take the first length."""


def clock_points(model: ModelConfig, config: ForecastConfig, prediction_length: int) -> int:
    """Points of the past whose clocks `sample_paths` needs."""
    longest = forecast_model(model, config).context_length
    return longest + prediction_length if isinstance(config.context_length, tuple) else longest


def sample_paths(
    parameters: Parameters,
    model: ModelConfig,
    series: Sequence[np.ndarray],
    clocks: Sequence[Clock] | None,
    item_ids: Sequence[str],
    prediction_length: int,
    config: ForecastConfig,
    progress: Progress | None = None,
) -> Float[np.ndarray, "B S P"]:
    """`forecast_samples`, each series with its context where the configuration gives several.

    The clocks are those of the last `clock_points` points and of the points to come.
    """
    lengths = config.context_length
    rest = item_ids, prediction_length
    if not isinstance(lengths, tuple):
        return forecast_samples(parameters, model, series, clocks, *rest, config, progress)
    chosen = choose_contexts(parameters, model, series, clocks, *rest, config)
    samples = np.empty((len(series), config.num_samples, prediction_length), np.float32)
    done = 0
    for length in lengths:
        rows = np.flatnonzero(chosen == length).tolist()
        if rows:
            report = None if progress is None else _after(done, len(series), progress)
            one = config.replace(context_length=length)
            part = [series[i] for i in rows], _last(clocks, rows, length, prediction_length, 0)
            names = [item_ids[i] for i in rows]
            samples[rows] = forecast_samples(
                parameters, model, *part, names, prediction_length, one, report
            )
            done += len(rows)
    return samples


def choose_contexts(
    parameters: Parameters,
    model: ModelConfig,
    series: Sequence[np.ndarray],
    clocks: Sequence[Clock] | None,
    item_ids: Sequence[str],
    prediction_length: int,
    config: ForecastConfig,
) -> Int[np.ndarray, "B"]:
    """For each series, the length with which its last `prediction_length` points are forecast best.

    Best is the least CRPS; the first of equals. Series too short to be tried take the first.
    """
    lengths = config.context_length
    assert isinstance(lengths, tuple)
    steps = prediction_length
    rows = [i for i, one in enumerate(series) if len(one) >= steps + SHORTEST_TRIAL]
    rows = [i for i in rows if np.isfinite(series[i][:-steps]).any()]
    chosen = np.full(len(series), lengths[0])
    if not rows or len(lengths) == 1:
        return chosen
    before = [series[i][:-steps] for i in rows]
    names = [item_ids[i] for i in rows]
    truth = np.stack([series[i][-steps:] for i in rows])
    fewer = min(config.num_samples, TRIAL_SAMPLES)
    scores = []
    for length in lengths:
        one = config.replace(context_length=length, num_samples=fewer)
        past = _last(clocks, rows, length, steps, steps)
        samples = forecast_samples(parameters, model, before, past, names, steps, one)
        scores.append(np.nan_to_num(sample_crps(truth, samples, axis=1)))
    chosen[rows] = np.array(lengths)[np.argmin(scores, axis=0)]
    return chosen


def _last(
    clocks: Sequence[Clock] | None, rows: Sequence[int], context: int, steps: int, back: int
) -> list[Clock] | None:
    """Clocks of `context + steps` points, the last of them `back` points before the end."""
    if clocks is None:
        return None
    end = len(clocks[0][0]) - back
    part = slice(end - context - steps, end)
    return [(clocks[i][0][part], clocks[i][1][part]) for i in rows]


def _after(done: int, count: int, progress: Progress) -> Progress:
    return lambda finished, _: progress(done + finished, count)
