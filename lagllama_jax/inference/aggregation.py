"""Forecasts of fine series by way of their aggregates: means of blocks of points, and back."""

import numpy as np

from lagllama_jax.config import ForecastConfig, ModelConfig
from lagllama_jax.inference.batch import identity, sound_points
from lagllama_jax.inference.context import with_own_contexts
from lagllama_jax.inference.predictor import forecast_model
from lagllama_jax.inference.progress import Progress, after
from lagllama_jax.model.calendar_features import SECONDS_A_DAY
from lagllama_jax.series.blocks import DETAIL_BLOCKS, block_sizes, daily_constants, refine
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.frequency import Frequency
from lagllama_jax.typing import Float, Int, Parameters


def sample_paths(
    parameters: Parameters,
    model: ModelConfig,
    series: SeriesDataset,
    prediction_length: int,
    config: ForecastConfig,
    progress: Progress | None = None,
) -> Float[np.ndarray, "B S P"]:
    """Sample paths of the points that follow each series, in its units.

    Series that are finer than an hour are aggregated (`ForecastConfig.coarsen`): the model has
    learnt most from hours, a day of hours fits into its context, and errors accumulate over fewer
    steps.

    Raises:
      ConfigError: As `predictor.forecast_samples`.
      DataError: As `predictor.forecast_samples`, and if a series is shorter than `coarsen`.
    """
    sizes = sizes_of(series, prediction_length, config)
    samples = np.empty((len(series), config.num_samples, prediction_length), np.float32)
    done = 0
    for size in np.unique(sizes).tolist():
        rows = np.flatnonzero(sizes == size).tolist()
        part, report = series.take(rows), after(done, len(series), progress)
        if size == 1:
            samples[rows] = with_own_contexts(
                parameters, model, part, prediction_length, config, report
            )
        else:
            samples[rows] = aggregated_paths(
                parameters, model, part, size, prediction_length, config, report
            )
        done += len(rows)
    return samples


def aggregated_paths(
    parameters: Parameters,
    model: ModelConfig,
    series: SeriesDataset,
    size: int,
    prediction_length: int,
    config: ForecastConfig,
    progress: Progress | None = None,
) -> Float[np.ndarray, "B S P"]:
    """Sample paths from two forecasts: of the first `size` points, and of means of `size` points.

    One mean more than the horizon has is forecast, because the last points lie on the way to it.
    """
    steps = -(-prediction_length // size) + 1
    used = size * max(forecast_model(model, config).past_length + steps, DETAIL_BLOCKS + 2)
    pasts = [target[0] for target in series.targets]
    for name, past in zip(series.item_ids, pasts, strict=True):
        sound_points(past, name, used)
    near = with_own_contexts(parameters, model, series, size, config)
    means = with_own_contexts(parameters, model, series.coarsen(size), steps, config, progress)
    samples = np.empty((*near.shape[:2], prediction_length), np.float32)
    for row, (name, past) in enumerate(zip(series.item_ids, pasts, strict=True)):
        generator = np.random.default_rng([config.seed, identity(name)])
        fine = refine(near[row], means[row], past, generator)[:, :prediction_length]
        constant = daily_constants(past, points_per_day(series.frequencies[row]), prediction_length)
        samples[row] = np.where(np.isnan(constant), fine, constant)
    return np.maximum(samples, 0) if config.nonnegative else samples


def sizes_of(
    series: SeriesDataset, prediction_length: int, config: ForecastConfig
) -> Int[np.ndarray, "B"]:
    """Number of points per block of each series; 1 where it is forecast point by point."""
    if config.mode != "scale_once" and config.coarsen == "auto":
        return np.ones(len(series), int)
    lengths = [target.shape[1] for target in series.targets]
    seconds = [np.inf if f is None else f.seconds for f in series.frequencies]
    return block_sizes(series.item_ids, lengths, seconds, prediction_length, config.coarsen)


def points_per_day(frequency: Frequency | None) -> int:
    """Number of time steps per day; 0 where it is unknown or not a whole number."""
    steps = 0.0 if frequency is None else SECONDS_A_DAY / frequency.seconds
    return int(steps) if steps.is_integer() else 0
