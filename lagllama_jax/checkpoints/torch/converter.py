"""The authors' Lightning checkpoints to our configuration and parameters, and back."""

import dataclasses
import os
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from lagllama_jax.checkpoints.layout import COSINES, check_tensors, flatten, rows, unflatten
from lagllama_jax.checkpoints.torch.archive import read_archive, write_archive
from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import CheckpointError, ConfigError
from lagllama_jax.typing import Parameters

_OPTIONS = {
    "n_layer": "num_layers",
    "n_head": "num_heads",
    "n_embd_per_head": "head_dim",
    "context_length": "context_length",
    "max_context_length": "max_context_length",
    "lags_seq": "lags",
    "scaling": "scaling",
    "time_feat": "time_features",
    "dropout": "dropout",
}
"""The reference's names of the options that it has as single values."""

_DEFAULTS = {"max_context_length": 2048, "dropout": 0.0, "rope_scaling": None, "input_size": 1}
"""Options that older checkpoints lack, as the reference would set them."""

_IGNORED = ("distr_output", "num_parallel_samples")
"""The head is told from the tensors, the number of samples is a forecast's."""

_ROPES = {"linear": "linear", "dynamic": "dynamic", "nope": "none"}
_HEAD_NAMES = {
    "student_t": "studentT",
    "negative_binomial": "neg_bin",
    "implicit_quantile": "iqn",
}
_LEVELS = "model.param_proj.quantile_layer.integers"
"""A constant, 0 to 63, that the reference saves among the weights of its implicit quantile head."""


def from_torch(
    path: str | os.PathLike[str], *, reference_scaling: bool = False
) -> tuple[ModelConfig, Parameters]:
    """Reads the authors' Lightning checkpoint, without PyTorch and without running its pickle.

    Args:
      path: the `.ckpt` file.
      reference_scaling: scale series as the reference does, to the letter. By default a
        degenerate scale is replaced by a sound one; wherever it is sound both are the same.

    Raises:
      CheckpointError: not such a checkpoint, damaged, hostile, or with options or tensors that
        do not fit; names the file and the tensor or option.
    """
    contents, unknown = read_archive(path, only=("state_dict", "hyper_parameters"))
    if unknown:
        warnings.warn(
            f"{path}: its pickle names {', '.join(unknown)}, which checkpoints of Lag-Llama do "
            "not have. They were left out; nothing of them was run.",
            stacklevel=2,
        )
    try:
        state = dict(contents["state_dict"])
        options = dict(contents["hyper_parameters"]["model_kwargs"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: lacks {error}. Give a Lightning checkpoint of the reference, with "
            "state_dict and hyper_parameters.model_kwargs."
        ) from error
    for name, value in state.items():
        if not isinstance(value, np.ndarray):
            raise CheckpointError(f"{path}: {name} is no tensor of a kind that is known here.")
    config = _read_config(options, state, str(path)).replace(safe_scaling=not reference_scaling)
    return config, parameters_from_torch(state, config, str(path))


def parameters_from_torch(
    state: Mapping[str, np.ndarray], config: ModelConfig, source: str = "state_dict"
) -> Parameters:
    """Our parameters of the authors' `state_dict`.

    Raises:
      CheckpointError: a tensor is missing, not expected, or of another shape or type.
    """
    state = dict(state)
    levels = state.pop(_LEVELS, None) if config.head == "implicit_quantile" else None
    if levels is not None and not np.array_equal(levels, np.arange(COSINES)):
        raise CheckpointError(f"{source}: {_LEVELS} is not 0 to {COSINES - 1}.")
    table = rows(config)
    check_tensors(state, {row.torch: row.torch_shape for row in table}, source)
    return unflatten({row.path: row.from_torch(state[row.torch]) for row in table})


def _read_config(
    options: dict[str, Any], state: Mapping[str, np.ndarray], source: str
) -> ModelConfig:
    options = _DEFAULTS | options
    strange = sorted(options.keys() - {*_OPTIONS, *_DEFAULTS, *_IGNORED})
    if strange:
        warnings.warn(f"{source}: left out unknown option(s) {', '.join(strange)}.", stacklevel=3)
    if options["input_size"] != 1:
        raise CheckpointError(f"{source}: input_size={options['input_size']!r}, expected 1.")
    missing = sorted(_OPTIONS.keys() - options.keys())
    if missing:
        raise CheckpointError(f"{source}: model_kwargs lack {', '.join(missing)}.")
    fields = {ours: options[theirs] for theirs, ours in _OPTIONS.items()}
    try:
        fields["scaling"] = fields["scaling"] or "none"
        fields["lags"] = tuple(fields["lags"])
        fields |= _read_rope(options["rope_scaling"])
        return ModelConfig(head=_detect_head(state), **fields)
    except (AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(f"{source}: model_kwargs cannot be used: {error}") from error


def _read_rope(rope_scaling: dict[str, Any] | None) -> dict[str, Any]:
    if rope_scaling is None:
        return {"rope": "plain"}
    kind, factor = rope_scaling.get("type"), rope_scaling.get("factor", 1.0)
    if kind not in _ROPES:
        raise ConfigError(f"rope_scaling of type {kind!r} is none of {', '.join(_ROPES)}.")
    return {"rope": _ROPES[kind], "rope_factor": factor}


def _detect_head(state: Mapping[str, np.ndarray]) -> Any:
    """The head, told from the tensors: the classes in the pickle moved between versions."""
    prefix = "model.param_proj."
    if any(name.startswith(prefix + "quantile_layer.") for name in state):
        return "implicit_quantile"
    found = sum(name.startswith(prefix + "proj.") and name.endswith(".weight") for name in state)
    heads = {3: "student_t", 2: "negative_binomial"}
    if found not in heads:
        raise ConfigError(
            f"{found} tensors {prefix}proj.*.weight tell of no known head (Student-t has 3, "
            "negative binomial 2)."
        )
    return heads[found]


def to_torch(path: str | os.PathLike[str], config: ModelConfig, parameters: Parameters) -> None:
    """Writes a `.ckpt` with the authors' keys and plain hyper-parameters, without any class.

    `torch.load(path, weights_only=True)` reads it. The option `distr_output` is the reference's
    name of the head, since an instance of its class cannot be stored without a pickled class.

    Raises:
      ConfigError: the model uses options that the published architecture lacks.
      CheckpointError: the parameters do not fit the configuration.
      DataError: the path cannot be written.
    """
    _check_published(config)
    flat, table = flatten(parameters), rows(config)
    check_tensors(flat, {row.path: row.shape for row in table}, "parameters")
    state: OrderedDict[str, np.ndarray] = OrderedDict()
    if config.head == "implicit_quantile":
        state[_LEVELS] = np.arange(COSINES)
    for row in table:
        state[row.torch] = np.array(row.to_torch(flat[row.path]), np.float32, order="C")
    write_archive(path, {
        "epoch": 0,
        "global_step": 0,
        "pytorch-lightning_version": "2.1.4",
        "state_dict": state,
        "hparams_name": "kwargs",
        "hyper_parameters": {
            "model_kwargs": _write_options(config),
            "context_length": config.context_length,
            "prediction_length": 1,
        },
    })  # fmt: skip


def _write_options(config: ModelConfig) -> dict[str, Any]:
    options = {theirs: getattr(config, ours) for theirs, ours in _OPTIONS.items()}
    options["lags_seq"] = list(config.lags)
    options["scaling"] = None if config.scaling == "none" else config.scaling
    kinds = {ours: theirs for theirs, ours in _ROPES.items()}
    stretched = {"type": kinds.get(config.rope), "factor": float(config.rope_factor)}
    return options | {
        "input_size": 1,
        "rope_scaling": None if config.rope == "plain" else stretched,
        "distr_output": _HEAD_NAMES[config.head],
    }


def _check_published(config: ModelConfig) -> None:
    """Refuses options of ours that would change the numbers and that the reference lacks."""
    shared = {*_OPTIONS.values(), "rope", "rope_factor", "head", "safe_scaling"}
    same = {"num_kv_heads": config.num_heads, "attention_window": config.context_length}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        allowed = (field.default, same.get(field.name, field.default))
        if field.name not in shared and value not in allowed:
            raise ConfigError(
                f"{field.name}={value!r} cannot be exported: the published architecture only has "
                f"{field.name}={field.default!r}."
            )
