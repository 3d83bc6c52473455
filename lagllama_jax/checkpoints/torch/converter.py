"""Converts the authors' Lightning checkpoints to a configuration and parameters, and back."""

import dataclasses
import fnmatch
import os
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from lagllama_jax.checkpoints.layout import COSINES, check_tensors, flatten, unflatten
from lagllama_jax.checkpoints.torch.archive import read_archive
from lagllama_jax.checkpoints.torch.names import listed
from lagllama_jax.checkpoints.torch.writer import write_archive
from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import CheckpointError, ConfigError, converting, naming
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
"""Maps options of the reference to the fields of `ModelConfig` that have the same values."""

_DEFAULTS = {"max_context_length": 2048, "dropout": 0.0, "rope_scaling": None, "input_size": 1}
"""Options that older checkpoints lack, with the default values of the reference."""

_IGNORED = ("distr_output", "num_parallel_samples")
"""Options that are not needed, because the head follows from the tensors, and the number of samples
is set for each forecast."""

_WRAPPERS = {"module", "_orig_mod"}
"""Prefixes that `DataParallel` and `torch.compile` insert into the names of tensors."""

_ROPES = {"linear": "linear", "dynamic": "dynamic", "nope": "none"}
_HEAD_NAMES = {"student_t": "studentT", "negative_binomial": "neg_bin", "implicit_quantile": "iqn"}
_LEVELS = "model.param_proj.quantile_layer.integers"
"""A constant, 0 to 63, that the reference saves with the weights of its implicit quantile head."""


def from_torch(
    path: str | os.PathLike[str], *, reference_scaling: bool = False
) -> tuple[ModelConfig, Parameters]:
    """Reads the authors' Lightning checkpoint without PyTorch, and without running its pickle.

    Names of tensors may have the prefixes that `DataParallel` (`module.`) and `torch.compile`
    (`_orig_mod.`) add. Time and memory are bounded by the size of the file.

    Args:
      path: The `.ckpt` file.
      reference_scaling: Whether to scale series exactly as the reference implementation does. By
        default, degenerate scales are replaced by larger ones.

    Returns:
      The architecture, and the parameters as float32 arrays on the host.

    Raises:
      CheckpointError: If the file is not a checkpoint of Lag-Llama, is damaged or malicious, or has
        options or tensors that do not fit. The message names the file and the tensor or option.

    Examples:
      >>> import tempfile, jax
      >>> from lagllama_jax.model.network import init_parameters
      >>> tiny = ModelConfig.tiny(scaling="mean")
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     to_torch(f"{folder}/tiny.ckpt", tiny, init_parameters(tiny, jax.random.key(0)))
      ...     config, parameters = from_torch(f"{folder}/tiny.ckpt")
      >>> config.scaling, parameters["embedding"]["kernel"].shape
      ('mean', (92, 16))
    """
    contents, unknown = read_archive(path, only=("state_dict", "hyper_parameters"))
    if unknown:
        warnings.warn(
            f"{path}: its pickle names {listed(unknown)}, which checkpoints of Lag-Llama do "
            "not have. They were left out; nothing of them was run.",
            stacklevel=2,
        )
    state, options = contents.get("state_dict"), contents.get("hyper_parameters")
    options = options.get("model_kwargs") if isinstance(options, dict) else None
    with naming(path):
        if not isinstance(state, dict) or not isinstance(options, dict):
            raise _incomplete(read_archive(path).value)
        state = _without_wrappers(state)
        config = _read_config(options, state, path).replace(safe_scaling=not reference_scaling)
        return config, parameters_from_torch(state, config, str(path))


def _incomplete(contents: dict[Any, Any]) -> CheckpointError:
    """The error for a file without `state_dict` or the options of the model."""
    if contents and all(isinstance(value, np.ndarray) for value in contents.values()):
        return CheckpointError(
            "is a bare state_dict, without the options of its model. Give the Lightning checkpoint "
            "that it was taken from, or add them in PyTorch: torch.save({'state_dict': "
            "state_dict, 'hyper_parameters': {'model_kwargs': {'n_layer': 8, 'n_head': 9, "
            "'n_embd_per_head': 16, 'context_length': 32, 'lags_seq': [0, ...], 'scaling': "
            "'robust', 'time_feat': True}}}, path)."
        )
    return CheckpointError(
        "lacks the dictionary state_dict or hyper_parameters.model_kwargs. Give a Lightning "
        "checkpoint of the reference, which has both."
    )


def _without_wrappers(state: Mapping[Any, Any]) -> dict[str, np.ndarray]:
    """The same tensors, with the prefixes of `_WRAPPERS` removed from their names."""
    plain: dict[str, np.ndarray] = {}
    for name, value in state.items():
        if not isinstance(name, str):
            raise CheckpointError("its state_dict has a key that is not a text.")
        short = ".".join(part for part in name.split(".") if part not in _WRAPPERS)
        if not isinstance(value, np.ndarray):
            raise CheckpointError(f"{short} is no tensor of a kind that is known here.")
        if short in plain:
            raise CheckpointError(
                f"has the tensor {short} twice, with and without the prefix of a wrapper."
            )
        plain[short] = value
    return plain


def parameters_from_torch(
    state: Mapping[str, np.ndarray], config: ModelConfig, source: str = "state_dict"
) -> Parameters:
    """Converts the authors' `state_dict` to the parameters of this package, in float32.

    Raises:
      CheckpointError: If a tensor is missing, unexpected, or of a wrong shape or type. The message
        begins with `source`.
    """
    with naming(source):
        state = _without_wrappers(state)
        levels = state.pop(_LEVELS, None) if config.head == "implicit_quantile" else None
        if levels is not None and not np.array_equal(levels, np.arange(COSINES)):
            raise CheckpointError(f"{_LEVELS} is not 0 to {COSINES - 1}.")
    table = check_tensors(state, config, source, names="torch")
    return unflatten({row.path: row.converted(state[row.torch]) for row in table})


def _read_config(
    options: dict[Any, Any], state: Mapping[str, np.ndarray], source: object
) -> ModelConfig:
    options, known = _DEFAULTS | options, {*_OPTIONS, *_DEFAULTS}
    strange = sorted(str(key) for key in options.keys() - known - {*_IGNORED})
    if strange:
        warnings.warn(f"{source}: left out unknown option(s) {listed(strange)}.", stacklevel=3)
    missing = sorted(known - options.keys())
    if missing:
        raise CheckpointError(f"model_kwargs lack {', '.join(missing)}.")
    for name in known:
        if not _is_simple(options[name]):
            raise CheckpointError(
                f"model_kwargs.{name} is neither a number, a short text, nor a list."
            )
    if options["input_size"] != 1:
        raise CheckpointError(f"input_size={options['input_size']!r}, expected 1.")
    fields = {ours: options[theirs] for theirs, ours in _OPTIONS.items()}
    wrong = (ArithmeticError, AttributeError, TypeError, ValueError)
    with converting(CheckpointError, "model_kwargs cannot be used", *wrong):
        fields["scaling"] = fields["scaling"] or "none"
        fields["lags"] = tuple(fields["lags"])
        fields |= _read_rope(options["rope_scaling"])
        return ModelConfig(head=_detect_head(state), **fields)


def _is_simple(value: Any) -> bool:
    """Whether a value is short when printed. A value with repeated references can be endless."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    return all(
        (isinstance(part, int) and abs(part) < 2**63)
        or (isinstance(part, str) and len(part) < 1000)
        or isinstance(part, float | None)
        for part in (value if isinstance(value, list | tuple) else [value])
    )


def _read_rope(rope_scaling: dict[str, Any] | None) -> dict[str, Any]:
    if rope_scaling is None:
        return {"rope": "plain"}
    kind, factor = rope_scaling.get("type"), rope_scaling.get("factor", 1.0)
    if kind not in _ROPES:
        raise ConfigError(f"rope_scaling of type {kind!r} is not one of {', '.join(_ROPES)}.")
    return {"rope": _ROPES[kind], "rope_factor": factor}


def _detect_head(state: Mapping[str, np.ndarray]) -> Any:
    """Infers the head from the tensors, because its class in the pickle moved between versions."""
    if any(name.startswith("model.param_proj.quantile_layer.") for name in state):
        return "implicit_quantile"
    found = len(fnmatch.filter(state, "model.param_proj.proj.*.weight"))
    heads = {3: "student_t", 2: "negative_binomial"}
    if found not in heads:
        raise ConfigError(
            f"{found} tensors model.param_proj.proj.*.weight belong to no known head (Student-t "
            "has 3, negative binomial 2)."
        )
    return heads[found]


def to_torch(path: str | os.PathLike[str], config: ModelConfig, parameters: Parameters) -> None:
    """Exports a model as a `.ckpt` file with the authors' tensor names and options.

    The file contains no pickled classes, so that `torch.load(path, weights_only=True)` reads it.
    The option `distr_output` is therefore the name of the head, not an instance of its class.

    The reference implementation has no `attention_window`. A model can be exported if its window is
    at least `context_length`. The tensors and the first step of a forecast are then exact. Without
    its cache, later steps of the reference correspond to a window of at least
    `context_length + prediction_length - 1`. With its cache, they correspond to a window of
    `context_length`, which `from_torch` sets.

    Raises:
      ConfigError: If the model uses options that the published architecture lacks.
      CheckpointError: If the parameters do not fit the configuration.
      DataError: If the path cannot be written.

    Examples:
      >>> import tempfile, jax
      >>> from pathlib import Path
      >>> from lagllama_jax.model.network import init_parameters
      >>> tiny = ModelConfig.tiny(context_length=48, attention_window=71)
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     to_torch(f"{folder}/tiny.ckpt", tiny, init_parameters(tiny, jax.random.key(0)))
      ...     [file.name for file in Path(folder).iterdir()]
      ['tiny.ckpt']
    """
    _check_published(config)
    flat = flatten(parameters)
    table = check_tensors(flat, config, "parameters")
    state: OrderedDict[str, np.ndarray] = OrderedDict()
    if config.head == "implicit_quantile":
        state[_LEVELS] = np.arange(COSINES)
    for row in table:
        state[row.torch] = row.converted(flat[row.path])
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
    """Refuses options that change the results and that the reference implementation lacks."""
    if config.window < config.context_length:
        raise ConfigError(
            f"attention_window={config.window} cannot be exported: the published architecture "
            f"attends to its whole context, context_length={config.context_length}."
        )
    shared = {*_OPTIONS.values(), "rope", "rope_factor", "head", "safe_scaling", "attention_window"}
    if config.kv_heads == config.num_heads:
        shared.add("num_kv_heads")
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name not in shared and value != field.default:
            raise ConfigError(
                f"{field.name}={value!r} cannot be exported: the published architecture only has "
                f"{field.name}={field.default!r}."
            )
