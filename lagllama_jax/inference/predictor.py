"""`ModelPredictor`: forecasts with the model, in batches, by a compiled program, on all devices.

Each item becomes one window of M + C points, so that series of any length share one compiled
program. A new program is compiled only for another batch size or a capacity for longer horizons.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lagllama_jax.config import Count, ForecastConfig, ModelConfig, checked
from lagllama_jax.errors import DataError
from lagllama_jax.inference.batch import Prepared, prepare
from lagllama_jax.inference.forecast import Forecast
from lagllama_jax.inference.memory import batch_size, check_memory
from lagllama_jax.inference.paths import Sampling, sample_paths
from lagllama_jax.model.batch import Batch
from lagllama_jax.progress import Finished
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Array, Float, Parameters

SMALLEST_CAPACITY = 32
BATCH, WHOLE = PartitionSpec("batch"), PartitionSpec()


def forecast_model(model: ModelConfig, config: ForecastConfig) -> ModelConfig:
    """The architecture, with the context length, attention window and RoPE factor of the forecast.

    If `config` asks for a longer context than the window in training, and for no window, the
    window is widened to the context. A RoPE factor changes plain RoPE to linear scaling.
    """
    asked = config.context_length
    context = asked or model.context_length
    window = config.attention_window or max(model.window, asked or 0)
    changes: dict[str, Any] = {"context_length": context, "attention_window": window}
    if config.rope_factor is not None:
        changes["rope_factor"] = config.rope_factor
        changes["rope"] = "linear" if model.rope == "plain" else model.rope
    return model.replace(**changes)


def capacity_for(prediction_length: int) -> int:
    """Number of steps that the buffers hold.

    It is a power of two, so that different horizons share a program.

    Raises:
      ConfigError: If `prediction_length` is not a whole number of at least 1.
    """
    checked("prediction_length", prediction_length, Count)
    return max(1 << (int(prediction_length) - 1).bit_length(), SMALLEST_CAPACITY)


def sampling_for(config: ForecastConfig, prediction_length: int) -> Sampling:
    """The options of sampling for a forecast."""
    stratified = config.sampling == "stratified"
    capacity = capacity_for(prediction_length)
    return Sampling(config.num_samples, capacity, stratified, config.nonnegative)


def device_mesh(devices: tuple[jax.Device, ...]) -> Mesh:
    """A mesh of the devices with one axis, along which a batch is divided."""
    return Mesh(np.array(devices), ("batch",))


@lru_cache(maxsize=32)
def program(model: ModelConfig, sampling: Sampling, devices: tuple[jax.Device, ...]) -> Any:
    """The jitted function that draws sample paths for one configuration.

    It is compiled at the first call for each batch size. If there are several devices, each decodes
    its own part of the batch.
    """

    def run(parameters: Parameters, batch: Batch, num_steps: Array, seed: Array) -> Array:
        return sample_paths(parameters, model, batch, num_steps, seed, sampling)

    if len(devices) > 1:
        specs = (WHOLE, BATCH, WHOLE, WHOLE)
        mesh = device_mesh(devices)
        run = jax.shard_map(run, mesh=mesh, in_specs=specs, out_specs=BATCH, check_vma=False)
    return jax.jit(run)


def place_parameters(parameters: Parameters, devices: tuple[jax.Device, ...]) -> Parameters:
    """Copies the parameters to each of the devices."""
    if len(devices) == 1:
        return jax.device_put(parameters, devices[0])
    return jax.device_put(parameters, NamedSharding(device_mesh(devices), WHOLE))


@dataclass(frozen=True)
class ModelPredictor:
    """Forecasts by sample paths, with one step of the model per point of the series.

    The forecast of an item depends on its values, dates and name, and on the seed. Up to rounding,
    it does not depend on the other items, the batch size or the number of devices.

    Attributes:
      parameters: The weights of the model.
      model: The architecture.
      finished: Function that is called after each batch with the number of items in it.
    """

    parameters: Parameters = field(repr=False)
    model: ModelConfig
    finished: Finished | None = field(default=None, repr=False, compare=False)

    def predict(
        self, dataset: SeriesDataset, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        """Forecasts the points that follow each item by sample paths, in the units of the item.

        Args:
          dataset: The series.
          prediction_length: Number of time steps to forecast.
          config: Options of the forecast.

        Raises:
          ConfigError: If a length is invalid, or one series needs more memory than there is.
          DataError: If an item is empty, or has a value that is infinite or too large, or if its
            forecast is not finite because of invalid weights.
        """
        sampling = sampling_for(config, prediction_length)
        variates, steps = len(dataset.target_names), int(prediction_length)
        samples = np.empty((len(dataset), variates, config.num_samples, steps))
        for rows, part in self._batches(dataset, sampling, config):
            drawn = self._draw(part.batch, sampling, steps, config)
            raw = part.raw(drawn[..., :steps])[: rows.stop - rows.start]
            samples[rows] = np.maximum(raw, 0) if config.nonnegative else raw
            if self.finished is not None:
                self.finished(rows.stop - rows.start)
        check_finite(samples, dataset)
        flat = samples.reshape(len(dataset) * variates, config.num_samples, steps)
        return Forecast(dataset, flat, config.quantile_levels)

    def _batches(
        self, dataset: SeriesDataset, sampling: Sampling, config: ForecastConfig
    ) -> Iterator[tuple[slice, Prepared]]:
        """Batches of consecutive items. The last batch is filled with copies of the last item."""
        model, count = forecast_model(self.model, config), len(dataset)
        devices = devices_for(count)
        variates = len(dataset.target_names)
        bytes_each = variates * check_memory(model, config, sampling.capacity, devices[0])
        if count == 0:
            return
        size = batch_size(count, bytes_each, config.batch_size, len(devices))
        for first in range(0, count, size):
            rows = np.minimum(np.arange(first, first + size), count - 1)
            part = prepare(dataset, rows, model, sampling.capacity)
            yield slice(first, min(first + size, count)), part

    def _draw(
        self, batch: Batch, sampling: Sampling, steps: int, config: ForecastConfig
    ) -> Float[np.ndarray, "G V S P"]:
        """Runs the program on one batch, and returns the sample paths on the host."""
        devices = devices_for(batch.values.shape[0])
        parameters = place_parameters(self.parameters, devices)
        run = program(forecast_model(self.model, config), sampling, devices)
        precision = None if config.precision == "default" else config.precision
        with jax.default_matmul_precision(precision):
            return np.asarray(run(parameters, batch, np.int32(steps), np.uint32(config.seed)))


def devices_for(count: int) -> tuple[jax.Device, ...]:
    """The local devices that share `count` items, at most one device per item."""
    return tuple(jax.local_devices())[: max(count, 1)]


def check_finite(samples: Float[np.ndarray, "n V S P"], dataset: SeriesDataset) -> None:
    """Checks that all sample paths are finite.

    Raises:
      DataError: If a path is not finite. The message names the first such item.
    """
    finite = np.isfinite(samples).all(axis=(1, 2, 3))
    if not finite.all():
        name = dataset.item_ids[int(np.argmin(finite))]
        raise DataError(
            f"The forecast of series {name!r} is not finite: the model's weights are not sound."
        )
