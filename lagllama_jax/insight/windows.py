"""Windows of series, and calls of the network over many of them."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from lagllama_jax.config import ForecastConfig, ModelConfig, check
from lagllama_jax.errors import DataError
from lagllama_jax.inference.lanes import Lanes, call, devices_for
from lagllama_jax.inference.memory import check_memory
from lagllama_jax.inference.predictor import (
    BATCH,
    WHOLE,
    divided,
    forecast_model,
    place_parameters,
)
from lagllama_jax.inference.settings import own_settings
from lagllama_jax.series.covariates import warn_unused
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Int, Parameters

Function = Callable[..., Any]
"""A pure function of the parameters, the architecture, a pytree of arrays with one row per window,
and static arguments. It returns a pytree of arrays with one row per window."""


def observed_part(dataset: SeriesDataset) -> SeriesDataset:
    """One item per target variate, up to its last observed value, without covariates.

    Raises:
      DataError: If there are no series, or a series has no value.
    """
    warn_unused(dataset, "only the targets are explained")
    apart = dataset.variates()
    if len(apart) == 0:
        raise DataError("There are no series: give at least one.")
    ends = np.array([apart.observed_end(row) for row in range(len(apart))])
    empty = np.flatnonzero(ends == 0)
    if empty.size:
        name = apart.item_ids[empty[0]]
        raise DataError(f"Series {name!r} has no value at all (it is empty or only NaN): drop it.")
    return apart.truncate(ends)


def only_series(dataset: SeriesDataset, method: str) -> SeriesDataset:
    """`observed_part` of a dataset of one series.

    Raises:
      DataError: If there is not exactly one series, or it has no value.
    """
    apart = observed_part(dataset)
    if len(apart) > 1:
        names = ", ".join(map(repr, apart.item_ids[:3]))
        raise DataError(
            f"`{method}` explains one series per call, and {len(apart)} were given ({names}, ...): "
            "call it for each."
        )
    return apart


def explained_model(config: ModelConfig, context_length: int | None) -> ModelConfig:
    """The architecture with the context length that a user asks for, as forecasts have it.

    Raises:
      ConfigError: If the length is invalid. Also if it is so long that `dynamic` RoPE would rotate
        the tokens by other angles here than in forecasts.
    """
    model = forecast_model(config, ForecastConfig(context_length=context_length))
    longest = max(model.context_length, model.window)
    check(
        model.rope != "dynamic" or longest <= model.max_context_length,
        f"With rope='dynamic', contexts and attention windows of at most max_context_length="
        f"{model.max_context_length} steps are explained, and this one has {longest}: lower "
        "context_length if it is given, or use other weights.",
    )
    return model


def check_student_t(config: ModelConfig, method: str) -> None:
    """Checks that the distribution of each step has a location and exact probabilities.

    Raises:
      ConfigError: If it has not.
    """
    check(
        config.head == "student_t",
        f"`{method}` needs weights with a Student-t head, and these have a {config.head} head.",
    )


@lru_cache(maxsize=32)
def program(
    function: Function, model: ModelConfig, devices: tuple[jax.Device, ...], static: tuple[Any, ...]
) -> Any:
    """The jitted `function` for one architecture and some static arguments, over all devices."""
    return divided(
        lambda parameters, inputs: function(parameters, model, inputs, *static),
        (WHOLE, BATCH),
        BATCH,
        devices,
    )


def over_windows(
    function: Function,
    parameters: Parameters,
    model: ModelConfig,
    count: int,
    make: Callable[[Int[np.ndarray, "G"]], Any],
    *static: Any,
) -> Any:
    """Applies a function to many windows, batch by batch.

    Args:
      function: The function.
      parameters: The weights.
      model: The architecture, with the context length of the windows.
      count: Number of windows.
      make: Makes the input of the function for some windows, given their numbers.
      *static: Further arguments of the function. It is compiled for each of them.

    Returns:
      What the function returns, for all windows, on the host.

    Raises:
      ConfigError: If one window needs more memory than there is.
    """
    devices = devices_for(count)
    lanes = Lanes.of(count, 0, check_memory(model, 0, 1, devices[0]), None)
    with own_settings():
        placed = place_parameters(parameters, devices)
    run = program(function, model, devices, static)
    parts = lanes.run(lambda batch: call(run, placed, make(lanes.filled(batch))), lanes.batches())
    return jax.tree.map(lambda *rows: np.concatenate(rows)[:count], *parts)
