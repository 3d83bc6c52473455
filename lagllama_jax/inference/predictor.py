"""From series of any lengths to sample paths: windows, batches, the compiled program, devices.

Every series becomes one window of M + C points, so that only the batch size and the capacity for
the horizon decide which program runs.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lagllama_jax.checkpoints.torch.parity.decoders import SINGLE_PASS, reference_samples
from lagllama_jax.config import ForecastConfig, ModelConfig
from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.inference.batch import Past, batches, windows
from lagllama_jax.inference.memory import batch_size, check_memory
from lagllama_jax.inference.paths import Drawing, decode
from lagllama_jax.progress import Progress
from lagllama_jax.typing import Array, Clock, Float, Parameters

SMALLEST_CAPACITY = 32
BATCH, WHOLE = PartitionSpec("batch"), PartitionSpec()


def forecast_model(model: ModelConfig, config: ForecastConfig) -> ModelConfig:
    """The architecture with the context, attention window and RoPE stretch of the forecast.

    A longer context than the window in training widens the window to it, unless a window is asked
    for. A stretch makes plain RoPE linear. Of several contexts, the longest.
    """
    asked = config.context_length
    asked = max(asked) if isinstance(asked, tuple) else asked
    context = asked or model.context_length
    window = config.attention_window or max(model.window, asked or 0)
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


def drawing_for(model: ModelConfig, config: ForecastConfig, prediction_length: int) -> Drawing:
    """How paths are drawn. The reference's modes compile for every horizon anew.

    Raises:
      ConfigError: a single pass with a head that has no mean to be fed.
    """
    capacity = capacity_for(prediction_length)
    if config.mode in SINGLE_PASS and model.head == "implicit_quantile":
        raise ConfigError(
            f"mode={config.mode!r} feeds the distribution's mean, which an implicit quantile head "
            "does not have. Use scale_once."
        )
    return Drawing(
        config.num_samples,
        capacity if config.mode == "scale_once" else int(prediction_length),
        config.sampling == "stratified",
        config.nonnegative,
    )


def device_mesh(devices: tuple[jax.Device, ...]) -> Mesh:
    """The devices along one axis, that of the batch."""
    return Mesh(np.array(devices), ("batch",))


@lru_cache(maxsize=32)
def program(
    model: ModelConfig, drawing: Drawing, mode: str, devices: tuple[jax.Device, ...]
) -> Any:
    """The decoder for one configuration, to be compiled at its first call of each batch size.

    Several devices divide a batch among them: each decodes its part on its own.
    """

    def run(parameters: Parameters, past: Past, num_steps: Array, seed: Array) -> Array:
        if mode == "scale_once":
            return decode(parameters, model, past, num_steps, seed, drawing)
        return reference_samples(parameters, model, past, seed, drawing, mode)

    if len(devices) > 1:
        specs = (WHOLE, BATCH, WHOLE, WHOLE)
        mesh = device_mesh(devices)
        run = jax.shard_map(run, mesh=mesh, in_specs=specs, out_specs=BATCH, check_vma=False)
    return jax.jit(run)


def place_parameters(parameters: Parameters, devices: tuple[jax.Device, ...]) -> Parameters:
    """Parameters on every device that takes part."""
    if len(devices) == 1:
        return jax.device_put(parameters, devices[0])
    return jax.device_put(parameters, NamedSharding(device_mesh(devices), WHOLE))


def check_finite(samples: np.ndarray, item_ids: Sequence[str]) -> None:
    """Raises `DataError` naming the first series whose paths are not finite."""
    finite = np.isfinite(samples).all(axis=(1, 2))
    if not finite.all():
        name = item_ids[int(np.argmin(finite))]
        raise DataError(
            f"The forecast of series {name!r} is not finite: the model's weights are not sound."
        )


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
    model = forecast_model(model_config, config)
    drawing = drawing_for(model, config, prediction_length)
    count = len(series)
    devices = tuple(jax.local_devices())[: max(count, 1)]
    bytes_each = check_memory(model, config, drawing.capacity, devices[0])
    steps = int(prediction_length)
    everything = windows(series, clocks, item_ids, model, steps, drawing.capacity)
    samples = np.empty((count, config.num_samples, steps), np.float32)
    if count:
        size = batch_size(count, bytes_each, config.batch_size, len(devices))
        parameters = place_parameters(parameters, devices)
        run = program(model, drawing, config.mode, devices)
        for rows, part in batches(everything, size):
            paths = call(run, parameters, part, steps, config)
            samples[rows] = paths[: rows.stop - rows.start, :, :steps]
            if progress is not None:
                progress(rows.stop, count)
    check_finite(samples, item_ids)
    return samples


def call(
    run: Any, parameters: Parameters, past: Past, steps: int, config: ForecastConfig
) -> Float[np.ndarray, "B S P"]:
    """One batch through a program, at the precision asked for, back on the host."""
    precision = None if config.precision == "default" else config.precision
    with jax.default_matmul_precision(precision):
        return np.asarray(run(parameters, past, np.int32(steps), np.uint32(config.seed)))
