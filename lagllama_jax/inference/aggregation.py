"""The grid on which each series is forecast: its own, or a coarser one and the way back."""

import numpy as np

from lagllama_jax.config import ForecastConfig, ModelConfig
from lagllama_jax.inference.batch import identity, sound_points
from lagllama_jax.inference.context import with_own_contexts
from lagllama_jax.inference.predictor import forecast_model
from lagllama_jax.progress import Progress, after
from lagllama_jax.series.blocks import DETAIL_BLOCKS, block_size, refine
from lagllama_jax.series.dataset import SeriesSet
from lagllama_jax.typing import Float, Int, Parameters


def sample_paths(
    parameters: Parameters,
    model: ModelConfig,
    series: SeriesSet,
    prediction_length: int,
    config: ForecastConfig,
    progress: Progress | None = None,
) -> Float[np.ndarray, "B S P"]:
    """Sample paths of the points that follow each series, in its units.

    Those of series finer than an hour go by way of coarser ones (`ForecastConfig.coarsen`): the
    model forecasts means of some points, `data.blocks.refine` the points. The model has learnt
    most from hours, a day of hours is within its context, and errors grow by fewer steps.

    Raises:
      ConfigError, DataError: as `runner.forecast_samples`.
    """
    sizes = block_sizes(series, prediction_length, config)
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
            samples[rows] = by_way_of_means(
                parameters, model, part, size, prediction_length, config, report
            )
        done += len(rows)
    return samples


def by_way_of_means(
    parameters: Parameters,
    model: ModelConfig,
    series: SeriesSet,
    size: int,
    prediction_length: int,
    config: ForecastConfig,
    progress: Progress | None = None,
) -> Float[np.ndarray, "B S P"]:
    """Sample paths by way of those of the means of `size` points.

    One mean more than the horizon has is forecast: the last points lie on the way to it.
    """
    steps = -(-prediction_length // size) + 1
    used = size * max(forecast_model(model, config).past_length + steps, DETAIL_BLOCKS)
    for name, values in zip(series.item_ids, series.values, strict=True):
        sound_points(values, name, used)
    means = with_own_contexts(parameters, model, series.coarsen(size), steps, config, progress)
    samples = np.empty((*means.shape[:2], prediction_length), np.float32)
    for row, (name, past) in enumerate(zip(series.item_ids, series.values, strict=True)):
        generator = np.random.default_rng([config.seed, identity(name)])
        samples[row] = refine(means[row], past, size, generator)[:, :prediction_length]
    return np.maximum(samples, 0) if config.nonnegative else samples


def block_sizes(
    series: SeriesSet, prediction_length: int, config: ForecastConfig
) -> Int[np.ndarray, "B"]:
    """Points of each series that are one step of the model; 1 where no whole step has a value."""
    if config.coarsen != "auto":
        size = config.coarsen
        whole = [np.isfinite(values[len(values) % size :]).any() for values in series.values]
        return np.where(whole, size, 1)
    if config.mode != "scale_once" or series.frequencies is None:
        return np.ones(len(series), int)
    grids = zip(series.frequencies, series.values, strict=True)
    sizes = [block_size(f.seconds, len(v), prediction_length) for f, v in grids]
    return np.array(sizes, int)
