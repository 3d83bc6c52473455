"""Compares a converted checkpoint with recorded results of the reference implementation."""

import functools
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from lagllama_jax.checkpoints.layout import flatten, rows
from lagllama_jax.checkpoints.torch.parity.decoders import reference_decode
from lagllama_jax.checkpoints.torch.parity.quantities import Quantities, training_quantities
from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import CheckpointError, converting
from lagllama_jax.typing import Array, Parameters

TOLERANCE = 2e-5
GRADIENT_TOLERANCE = 1e-4
COUNT_LOSS_TOLERANCE = 2e-3
"""The reference computes the lgamma terms of the negative binomial in float32, less accurately."""

_PROGRAMS = {
    "recompute": "recompute",
    "kv_cache": "kv_cache",
    "single_pass": "recompute",
    "single_pass_kv": "kv_cache",
}
"""The recorded decoding modes, with the mode of `reference_decode` that reproduces each. Single
passes differ from the other two only in the values that are fed back, which have no noise."""

_PER_SERIES = ("loc", "scale", "fed")
_DAMAGED = (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError)
_HURRY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}

Recorded = Mapping[str, np.ndarray]


class Check(NamedTuple):
    """The agreement of one quantity with the recorded results.

    Attributes:
      quantity: Name of the quantity.
      error: Largest `relative_error` of its tensors (of loc, scale and values fed back per series).
      worst: Name of the tensor with the largest error.
      tolerance: Largest error that passes.
    """

    quantity: str
    error: float
    worst: str
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.error <= self.tolerance


def read_recorded(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads the recorded inputs and results of the reference implementation from an `.npz` file.

    Raises:
      CheckpointError: If the file is missing or damaged, or does not contain such results.
    """
    problem = f"{path}: no recorded results can be read"
    with (
        converting(CheckpointError, problem, *_DAMAGED),
        np.load(path, allow_pickle=False) as file,
    ):
        recorded = dict(file)
    missing = sorted({"past_target", "past_observed_values", "future_target"} - recorded.keys())
    if missing:
        raise CheckpointError(f"{path}: lacks {', '.join(missing)}. Give a file of results.")
    return recorded


def verify(config: ModelConfig, parameters: Parameters, recorded: Recorded) -> Iterator[Check]:
    """Compares all recorded quantities with the results of the model, one at a time.

    `safe_scaling` of the architecture is ignored, and series are scaled exactly as in the reference
    implementation, because the recordings may contain degenerate series.

    Raises:
      CheckpointError: If a tensor is missing in the recorded results.
    """
    config = config.replace(safe_scaling=False)
    with (
        converting(CheckpointError, "The recorded results lack a tensor", KeyError),
        jax.default_matmul_precision("highest"),
    ):
        yield from _verify_training(config, parameters, recorded)
        yield from _verify_decoding(config, parameters, recorded)


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a function with few optimisations on the CPU, because it runs only once or twice."""
    on_cpu = jax.default_backend() == "cpu"
    return jax.jit(function, compiler_options=_HURRY if on_cpu else None)


def relative_error(ours: Any, recorded: Any, per_series: bool = False) -> float:
    """The relative error `max |ours - recorded| / max |recorded|`.

    With `per_series`, it is the largest error over the series (axis 0). It is infinite if the
    shapes differ or a value of `ours` is not finite.
    """
    ours, recorded = np.asarray(ours, np.float64), np.asarray(recorded, np.float64)
    if ours.shape != recorded.shape or not np.isfinite(ours).all():
        return np.inf
    axes = tuple(range(1, ours.ndim)) if per_series else None
    distance, size = np.abs(ours - recorded).max(axes), np.abs(recorded).max(axes)
    share = np.divide(distance, size, out=np.full_like(distance, np.inf), where=size > 0)
    return float(np.where(distance == 0, 0, share).max())


def _check(
    quantity: str, pairs: Mapping[str, tuple[Any, Any]], tolerance: float = TOLERANCE
) -> Check:
    errors = {name: relative_error(*pair, name in _PER_SERIES) for name, pair in pairs.items()}
    worst = max(errors, key=lambda name: errors[name])
    return Check(quantity, errors[worst], worst, tolerance)


def _inputs(recorded: Recorded) -> dict[str, np.ndarray]:
    return {name: array for name, array in recorded.items() if name.startswith(("past", "future"))}


def _verify_training(
    config: ModelConfig, parameters: Parameters, recorded: Recorded
) -> Iterator[Check]:
    """Compares features, scales, hidden states and parameters, and recorded loss and gradients."""
    inputs = _inputs(recorded)
    levels = recorded["train_param_1"] if config.head == "implicit_quantile" else None

    def run(weights: Parameters, *arguments: Any) -> tuple[Array, Quantities]:
        return training_quantities(weights, config, *arguments)

    with_gradients = any(name.startswith("grad/") for name in recorded)
    program = jax.value_and_grad(run, has_aux=True) if with_gradients else run
    found, gradients = _compiled(program)(parameters, inputs, levels), None
    if with_gradients:
        found, gradients = found
    for quantity in ("features", "loc and scale", "hidden states", "parameters", "loss"):
        tensors = found[1][quantity]
        if quantity != "loss" or "loss" in recorded:
            counts = quantity == "loss" and config.head == "negative_binomial"
            pairs = {name: (tensor, recorded[name]) for name, tensor in tensors.items()}
            yield _check(quantity, pairs, COUNT_LOSS_TOLERANCE if counts else TOLERANCE)
    if gradients is not None:
        ours = flatten(gradients)
        pairs = {
            row.path: (row.converted(ours[row.path]), recorded[f"grad/{row.torch}"])
            for row in rows(config)
        }
        yield _check("gradients", pairs, GRADIENT_TOLERANCE)


def _verify_decoding(
    config: ModelConfig, parameters: Parameters, recorded: Recorded
) -> Iterator[Check]:
    """Compares all steps of each decoding mode, with the recorded values fed back."""
    inputs = _inputs(recorded)
    fixed = {"config": config, "prediction_length": recorded["future_target"].shape[1]}
    programs = {
        name: _compiled(functools.partial(reference_decode, mode=name, **fixed))
        for name in set(_PROGRAMS.values())
    }
    for mode, program in _PROGRAMS.items():
        if f"decode_{mode}/params" not in recorded:
            continue
        trace = {name: recorded[f"decode_{mode}/{name}"] for name in ("params", *_PER_SERIES)}
        noise = recorded["decode_noise"] * np.float32(mode == program)
        ours = programs[program](parameters, inputs=inputs, noise=noise, fed=trace["fed"])
        pairs = {name: (ours[name], trace[name]) for name in _PER_SERIES}
        for k in range(trace["params"].shape[-1]):
            pairs[f"parameter {k}"] = (ours["params"][..., k], trace["params"][..., k])
        yield _check(f"decoding, {mode}", pairs)
