"""From series of any lengths to sample paths: windows, batches, the compiled program, devices.

Every series becomes one window of M + C points, so that only the batch size and the capacity for
the horizon decide which program runs.
"""

import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lagllama_jax.config import ForecastConfig, ModelConfig
from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.forecasting.decode import Drawing, Past, decode
from lagllama_jax.forecasting.memory import batch_size, check_memory
from lagllama_jax.model.time_features import NEUTRAL_DAY
from lagllama_jax.typing import Array, Float, Parameters

LARGEST_VALUE = 1e18
"""Larger values would overflow float32 when they are squared."""
SMALLEST_VALUE = 1e-30
"""Smaller values count as 0: their squares and ratios would underflow float32."""
SMALLEST_CAPACITY = 64

Clock = tuple[np.ndarray, np.ndarray]
Progress = Callable[[int, int], None]


def forecast_model(model: ModelConfig, config: ForecastConfig) -> ModelConfig:
    """The architecture with the context, attention window and RoPE stretch of the forecast.

    A longer context than the window in training widens the window to it, unless a window is asked
    for. A stretch makes plain RoPE linear.
    """
    context = config.context_length or model.context_length
    window = config.attention_window or max(model.window, config.context_length or 0)
    changes: dict[str, Any] = {"context_length": context, "attention_window": window}
    if config.rope_factor is not None:
        changes["rope_factor"] = config.rope_factor
        changes["rope"] = "linear" if model.rope == "plain" else model.rope
    return model.replace(**changes)


def capacity_for(prediction_length: int) -> int:
    """Steps that the buffers hold: a power of two, so that horizons share programs.

    Raises:
      ConfigError: `prediction_length` is no whole number of at least 1.
    """
    whole = isinstance(prediction_length, (int, np.integer))
    if not whole or isinstance(prediction_length, bool) or prediction_length < 1:
        raise ConfigError(
            f"prediction_length={prediction_length!r} must be a whole number of at least 1."
        )
    return max(1 << (int(prediction_length) - 1).bit_length(), SMALLEST_CAPACITY)


def identity(item_id: str) -> int:
    """A stable 32-bit number of a name: a series draws the same wherever it stands."""
    return zlib.crc32(str(item_id).encode())


def last_points(
    series: Sequence[np.ndarray], item_ids: Sequence[str], length: int
) -> tuple[np.ndarray, np.ndarray]:
    """The last `length` points of every series, padded on the left, and which are observed.

    Raises:
      DataError: a series is empty or not one-dimensional, or a value is infinite or too large.
    """
    values = np.zeros((len(series), length), np.float32)
    observed = np.zeros((len(series), length), bool)
    for row, (one, name) in enumerate(zip(series, item_ids, strict=True)):
        points = np.asarray(one, np.float64)
        if points.ndim != 1 or points.size == 0:
            raise DataError(
                f"Series {name!r} has shape {points.shape}: give one axis of at least one point."
            )
        points = points[-length:]
        seen = ~np.isnan(points)
        magnitude = np.abs(points, where=seen, out=np.zeros_like(points))
        if magnitude.max() > LARGEST_VALUE:
            place = int(np.argmax(magnitude))
            raise DataError(
                f"Series {name!r}: value {points[place]} at point {np.size(one) - points.size + place}"
                f" is infinite or larger than {LARGEST_VALUE:g}. Remove it or rescale the series."
            )
        values[row, length - points.size :] = np.where(magnitude < SMALLEST_VALUE, 0, points)
        observed[row, length - points.size :] = seen
    return values, observed


def stack_clocks(
    clocks: Sequence[Clock] | None, count: int, context: int, steps: int, capacity: int
) -> tuple[np.ndarray, np.ndarray]:
    """Days and seconds `[n, C + capacity]`; neutral without clocks. Unused steps repeat the last."""
    shape = (count, context + capacity)
    if clocks is None:
        return np.full(shape, NEUTRAL_DAY, np.int32), np.zeros(shape, np.int32)
    given = np.asarray(clocks, np.int32)
    if given.shape != (count, 2, context + steps):
        raise DataError(
            f"Clocks have shape {given.shape}; expected day and second of {context} past and "
            f"{steps} coming points for each of {count} series."
        )
    padded = np.pad(given, ((0, 0), (0, 0), (0, capacity - steps)), mode="edge")
    return padded[:, 0], padded[:, 1]


@lru_cache(maxsize=32)
def program(model: ModelConfig, drawing: Drawing, devices: tuple[jax.Device, ...]) -> Any:
    """The compiled decoder for one configuration; batches are divided among the devices."""

    def run(parameters: Parameters, past: Past, num_steps: Array, seed: Array) -> Array:
        return decode(parameters, model, past, num_steps, seed, drawing)

    if len(devices) == 1:
        return jax.jit(run)
    mesh = Mesh(np.array(devices), ("batch",))
    whole, rows = PartitionSpec(), PartitionSpec("batch")
    return jax.jit(
        jax.shard_map(
            run, mesh=mesh, in_specs=(whole, rows, whole, whole), out_specs=rows, check_vma=False
        )
    )


def place_parameters(parameters: Parameters, devices: tuple[jax.Device, ...]) -> Parameters:
    """Parameters on every device that takes part."""
    if len(devices) == 1:
        return jax.device_put(parameters, devices[0])
    mesh = Mesh(np.array(devices), ("batch",))
    return jax.device_put(parameters, NamedSharding(mesh, PartitionSpec()))


def batches(past: Past, size: int) -> list[tuple[slice, Past]]:
    """Consecutive parts of one size; the last is filled up with copies of its last series."""
    count = past.values.shape[0]
    parts = []
    for start in range(0, count, size):
        rows = np.minimum(np.arange(start, start + size), count - 1)
        parts.append((slice(start, min(start + size, count)), Past(*(a[rows] for a in past))))
    return parts


def forecast_samples(
    parameters: Parameters,
    model_config: ModelConfig,
    series: Sequence[np.ndarray],
    clocks: Sequence[Clock] | None,
    item_ids: Sequence[str],
    prediction_length: int,
    config: ForecastConfig,
    progress: Progress | None = None,
) -> Float[np.ndarray, "B S P"]:
    """Sample paths of the points that follow each series, in its units.

    A series' paths depend on its values, clock, name and the seed alone: not on the others in the
    call, the batch size or the number of devices (up to rounding).

    Args:
      parameters: the model's.
      model_config: the architecture.
      series: one-dimensional, NaN where missing, of any lengths from 1.
      clocks: day and second (`model.time_features.wall_clock`) of each series' last C points
        (C as in `forecast_model`) and of the points to come; `None`: unknown dates.
      item_ids: names; they decide the random numbers.
      prediction_length: points to forecast.
      config: how.
      progress: called after each batch with the numbers of finished and of all series.

    Raises:
      ConfigError: a length that is not possible, or more memory needed than there is.
      DataError: an empty series, an infinite or too large value, clocks of other lengths; paths
        that are not finite, which only unsound weights give.
    """
    capacity = capacity_for(prediction_length)
    model = forecast_model(model_config, config)
    devices = tuple(jax.local_devices())
    count = len(series)
    each = check_memory(model, config, capacity, devices[0])
    values, observed = last_points(series, item_ids, model.past_length)
    clock = stack_clocks(clocks, count, model.context_length, prediction_length, capacity)
    names = np.array([identity(name) for name in item_ids], np.uint32)
    past = Past(values, observed, *clock, names)
    samples = np.empty((count, config.num_samples, prediction_length), np.float32)
    if count == 0:
        return samples
    devices = devices[: min(len(devices), count)]
    size = batch_size(count, each, config.batch_size, len(devices))
    drawing = Drawing(
        config.num_samples, capacity, config.sampling == "stratified", config.nonnegative
    )
    run = program(model, drawing, devices)
    parameters = place_parameters(parameters, devices)
    precision = None if config.precision == "default" else config.precision
    for rows, part in batches(past, size):
        with jax.default_matmul_precision(precision):
            paths = run(parameters, part, np.int32(prediction_length), np.uint32(config.seed))
        samples[rows] = np.asarray(paths)[: rows.stop - rows.start, :, :prediction_length]
        if progress is not None:
            progress(rows.stop, count)
    if not np.isfinite(samples).all():
        row = int(np.argmin(np.isfinite(samples).all(axis=(1, 2))))
        raise DataError(f"Series {item_ids[row]!r} got paths that are not finite: unsound weights?")
    return samples
