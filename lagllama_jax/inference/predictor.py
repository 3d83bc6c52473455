"""`ModelPredictor`: forecasts with the model, in batches, by a compiled program, on all devices.

Each item becomes one window of M + C points, so that series of any length share one compiled
program. A new program is compiled only for another batch size or a capacity for longer horizons.
"""

import itertools
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lagllama_jax.config import Count, ForecastConfig, ModelConfig, checked
from lagllama_jax.errors import DataError
from lagllama_jax.inference.batch import prepare
from lagllama_jax.inference.compiler import for_few_rows
from lagllama_jax.inference.forecast import Forecast
from lagllama_jax.inference.groups import Group
from lagllama_jax.inference.lanes import Lanes, call, devices_for
from lagllama_jax.inference.marginals import Marginals, middle_levels
from lagllama_jax.inference.memory import check_memory
from lagllama_jax.inference.method import Method, method_of, sees_variates
from lagllama_jax.inference.one_pass import distributions
from lagllama_jax.inference.paths import Sampling, sample_paths
from lagllama_jax.inference.settings import own_settings
from lagllama_jax.model.batch import Batch
from lagllama_jax.model.layers import FEW_ROWS
from lagllama_jax.model.network import narrowed
from lagllama_jax.progress import Finished
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Array, Float, Parameters

SMALLEST_CAPACITY = 32
BATCH, WHOLE = PartitionSpec("batch"), PartitionSpec()


@lru_cache(maxsize=32)
def forecast_model(model: ModelConfig, config: ForecastConfig) -> ModelConfig:
    """The architecture of a forecast: with its context length, attention window and RoPE factor.

    If `config` asks for a longer context than the window in training, and for no window, the
    window is widened to the context. A RoPE factor changes plain RoPE to linear scaling. There is
    no attention across variates if each target is forecast on its own (`sees_variates`).

    Raises:
      ConfigError: If a length is invalid, or the model has no attention across variates, and
        `config.covariates` needs it.
    """
    asked = config.context_length
    context = asked or model.context_length
    window = config.attention_window or max(model.window, asked or 0)
    changes: dict[str, Any] = {"context_length": context, "attention_window": window}
    changes["variate_attention"] = sees_variates(model, config)
    if config.rope_factor is not None:
        changes["rope_factor"] = config.rope_factor
        changes["rope"] = "linear" if model.rope == "plain" else model.rope
    return model.replace(**changes)


def capacity_for(prediction_length: int) -> int:
    """Number of steps that the buffers of sample paths hold.

    It is a power of two or three quarters of one, so that different horizons share a program.

    Raises:
      ConfigError: If `prediction_length` is not a whole number of at least 1.
    """
    checked("prediction_length", prediction_length, Count)
    power = max(1 << (int(prediction_length) - 1).bit_length(), SMALLEST_CAPACITY)
    return power * 3 // 4 if prediction_length <= power * 3 // 4 else power


def queries_for(prediction_length: int) -> int:
    """Number of points that one pass computes: at most a sixteenth or 3 more than are needed.

    Few different numbers mean that few programs are compiled.
    """
    step = max(1 << max(prediction_length.bit_length() - 5, 0), 4)
    return -(-prediction_length // step) * step


def device_mesh(devices: tuple[jax.Device, ...]) -> Mesh:
    """A mesh of the devices with one axis, along which a batch is divided."""
    return Mesh(np.array(devices), ("batch",))


@lru_cache(maxsize=32)
def paths_program(model: ModelConfig, sampling: Sampling, devices: tuple[jax.Device, ...]) -> Any:
    """The jitted function that draws sample paths for one configuration."""

    def run(
        parameters: Parameters, batch: Batch, num_steps: Array, seed: Array, first: Array
    ) -> Array:
        return sample_paths(parameters, model, batch, num_steps, seed, sampling, first)

    return divided(run, (WHOLE, BATCH, WHOLE, WHOLE, WHOLE), BATCH, devices)


@lru_cache(maxsize=32)
def one_pass_program(
    model: ModelConfig, count: int, devices: tuple[jax.Device, ...], few: bool = False
) -> Any:
    """The jitted function that forecasts the distributions of `count` points.

    It is compiled by `for_few_rows` if there are `few` rows and float32 weights.
    """

    def run(parameters: Parameters, batch: Batch) -> Array:
        return distributions(parameters, model, batch, count)

    options = for_few_rows() if few else None
    return divided(run, (WHOLE, BATCH), PartitionSpec(None, "batch"), devices, options)


def divided(
    run: Any,
    inputs: Any,
    output: PartitionSpec,
    devices: tuple[jax.Device, ...],
    options: dict[str, Any] | None = None,
) -> Any:
    """Jits a function. If there are several devices, each processes its own part of the batch.

    It is compiled at the first call for each batch size.
    """
    if len(devices) > 1:
        mesh = device_mesh(devices)
        run = jax.shard_map(run, mesh=mesh, in_specs=inputs, out_specs=output, check_vma=False)
    return jax.jit(run, compiler_options=options)


def place_parameters(parameters: Parameters, devices: tuple[jax.Device, ...]) -> Parameters:
    """Copies the parameters to each of the devices, unless they are there already."""
    if len(devices) == 1:
        leaves, there = jax.tree.leaves(parameters), set(devices)
        if all(isinstance(leaf, jax.Array) and leaf.devices() == there for leaf in leaves):
            return parameters
        return jax.device_put(parameters, devices[0])
    return jax.device_put(parameters, NamedSharding(device_mesh(devices), WHOLE))


@dataclass(frozen=True)
class ModelPredictor:
    """Forecasts in one pass or by sample paths, with one step of the model per point of the series.

    With `covariates="network"` or `"both"` in `ForecastConfig`, the targets and covariates of an
    item see one another. Otherwise, each target is forecast on its own, without covariates.

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
        """Forecasts the points that follow each item, in the units of the item.

        Args:
          dataset: The series.
          prediction_length: Number of time steps to forecast.
          config: Options of the forecast.

        Raises:
          ConfigError: If a length is invalid, the model cannot forecast by the method or has no
            attention across variates that `config.covariates` needs, or if one item needs more
            memory than there is.
          DataError: If an item is empty, or has a value that is infinite or too large, or if its
            forecast is not finite because of invalid weights.
        """
        steps = int(checked("prediction_length", prediction_length, Count))
        method = method_of(self.model, config)
        marginals, samples = None, None
        if method.one_pass:
            report = None if method.num_samples else self.finished
            marginals = self.marginals(dataset, steps, config, report)
        if method.num_samples:
            samples = self._paths(dataset, steps, method.num_samples, config)
        return assembled(dataset, marginals, samples, method, config)

    def marginals(
        self,
        dataset: SeriesDataset,
        steps: int,
        config: ForecastConfig,
        finished: Finished | None = None,
    ) -> Marginals:
        """The distributions of all points of all items, in one pass, whatever `config.method` says.

        Args:
          dataset: The series.
          steps: Number of time steps to forecast.
          config: Options of the forecast.
          finished: As the attribute, for this call.

        Raises:
          ConfigError: As in `predict`, but for the method.
          DataError: As in `predict`.
        """
        variates, capacity = len(dataset.target_names), queries_for(steps)
        model, lanes = self._lanes(dataset, 0, capacity, config)
        rows = lanes.size * Group.of(dataset, model).size * model.context_length
        few = rows <= FEW_ROWS and config.precision != "bfloat16"
        program = one_pass_program(model, capacity, lanes.devices, few)
        parameters = self._placed(lanes.devices, config)

        def compute(batch: slice) -> Float[np.ndarray, "3 B V P"]:
            part = prepare(dataset, lanes.filled(batch), model, capacity)
            drawn = _call(program, config, parameters, part.batch)[..., :steps]
            df, loc, scale = drawn
            return np.stack([df[:, :variates], part.raw(loc), part.raw_scale(scale)])

        found = np.empty((3, len(dataset), variates, steps))
        batches = lanes.batches()
        for batch, raw in zip(batches, lanes.run(compute, batches), strict=True):
            found[:, batch] = raw[:, : batch.stop - batch.start]
            if finished is not None:
                finished(batch.stop - batch.start)
        check_finite(np.moveaxis(found, 0, 1), dataset)
        return Marginals.student_t(*found.reshape(3, len(dataset) * variates, steps))

    def _paths(
        self, dataset: SeriesDataset, steps: int, num_samples: int, config: ForecastConfig
    ) -> Float[np.ndarray, "B S P"]:
        """Sample paths of all items."""
        variates, capacity = len(dataset.target_names), capacity_for(steps)
        model, lanes = self._lanes(dataset, num_samples, capacity, config)
        parts = lanes.parts(num_samples) if model.head != "negative_binomial" else [slice(None)]
        sampling = Sampling(
            num_samples,
            capacity,
            stratified=config.sampling == "stratified",
            nonnegative=config.nonnegative,
            drawn=Group.of(dataset, model).drawn,
            part=None if len(parts) == 1 else parts[0].stop,
        )
        program = paths_program(model, sampling, lanes.devices)
        parameters = self._placed(lanes.devices, config)

        def compute(job: tuple[slice, slice]) -> Float[np.ndarray, "B V S P"]:
            batch, paths = job
            part = prepare(dataset, lanes.filled(batch), model, capacity)
            numbers = np.int32(steps), np.uint32(config.seed), np.int32(paths.start or 0)
            drawn = _call(program, config, parameters, part.batch, *numbers)
            return part.raw(drawn[..., :steps])

        found = np.empty((len(dataset), variates, num_samples, steps))
        jobs = list(itertools.product(lanes.batches(), parts))
        for (batch, paths), raw in zip(jobs, lanes.run(compute, jobs), strict=True):
            found[batch, :, paths] = raw[: batch.stop - batch.start]
            if self.finished is not None and paths == parts[-1]:
                self.finished(batch.stop - batch.start)
        check_finite(found, dataset)
        return found.reshape(len(dataset) * variates, num_samples, steps)

    def _lanes(
        self, dataset: SeriesDataset, num_samples: int, capacity: int, config: ForecastConfig
    ) -> tuple[ModelConfig, Lanes]:
        """The architecture of a forecast, and how its items are divided. The memory is checked."""
        model, count = forecast_model(self.model, config), len(dataset)
        group = Group.of(dataset, model)
        sizes = group.drawn, group.size
        bytes_each = check_memory(model, num_samples, capacity, devices_for(count)[0], sizes)
        return model, Lanes.of(count, num_samples, bytes_each, config.batch_size)

    def _placed(self, devices: tuple[jax.Device, ...], config: ForecastConfig) -> Parameters:
        """The parameters of a forecast on its devices, rounded if asked."""
        with own_settings():
            placed = place_parameters(self.parameters, devices)
            return narrowed(placed) if config.precision == "bfloat16" else placed


def _call(run: Any, config: ForecastConfig, *inputs: Any) -> Float[np.ndarray, "..."]:
    """Runs a program on one batch, and returns its output on the host."""
    precision = {"default": None, "bfloat16": "highest"}.get(config.precision, config.precision)
    with jax.default_matmul_precision(precision):
        return call(run, *inputs)


def assembled(
    dataset: SeriesDataset,
    marginals: Marginals | None,
    samples: Float[np.ndarray, "B S P"] | None,
    method: Method,
    config: ForecastConfig,
) -> Forecast:
    """The forecast that consists of the marginals and the sample paths that a method needs."""
    if method.match:
        assert marginals is not None and samples is not None  # as `method_of` checked
        samples = matched(samples, marginals)
    lowest = 0.0 if config.nonnegative else -np.inf
    if samples is not None:
        samples = np.maximum(samples, lowest)
    return Forecast(
        dataset,
        samples,
        config.quantile_levels,
        marginals=marginals,
        one_pass_share=method.share,
        lowest=lowest,
    )


def matched(
    samples: Float[np.ndarray, "B S P"], marginals: Marginals
) -> Float[np.ndarray, "B S P"]:
    """Sample paths with given marginals and the ranks of `samples` at each point.

    This is the Schaake shuffle (https://doi.org/10.1175/1525-7541(2004)005<0243:TSSAMF>2.0.CO;2).
    """
    return ranked_as(samples, marginals.quantiles(middle_levels(samples.shape[1])))


def ranked_as(
    samples: Float[np.ndarray, "B S P"], values: Float[np.ndarray, "B S P"]
) -> Float[np.ndarray, "B S P"]:
    """Sorted values of each point, in the order of the samples there."""
    ranks = samples.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    return np.take_along_axis(values, ranks, axis=1)


def check_finite(values: Float[np.ndarray, "n *any"], dataset: SeriesDataset) -> None:
    """Checks that the forecast of each item is finite.

    Raises:
      DataError: If it is not. The message names the first such item.
    """
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        name = dataset.item_ids[int(np.argmin(finite))]
        raise DataError(
            f"The forecast of series {name!r} is not finite: the model's weights are not sound."
        )
