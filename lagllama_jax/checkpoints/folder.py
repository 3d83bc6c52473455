"""A model as a folder: `config.json` and `model.safetensors`."""

import json
import os
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lagllama_jax.checkpoints.foreign import refuse_foreign
from lagllama_jax.checkpoints.layout import check_tensors, flatten, unflatten
from lagllama_jax.config import ModelConfig, checked
from lagllama_jax.errors import CheckpointError, DataError
from lagllama_jax.files import atomic_path, write_bytes
from lagllama_jax.typing import Parameters

CONFIG, WEIGHTS = "config.json", "model.safetensors"
FORMAT = 1
"""Version of the weights file's layout; readers refuse higher ones."""
LARGEST_CONFIG = 2**20
"""Bytes of a `config.json`; that of the bundled weights has 1,500."""
_METADATA = "lagllama_jax"
_DAMAGED = (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError)
"""What values of the wrong kind, without end or beyond all bounds make Python raise."""


def save_pretrained(
    folder: str | os.PathLike[str],
    config: ModelConfig,
    parameters: Parameters,
    dtype: Literal["float32", "float16"] = "float32",
) -> None:
    """Writes `config.json` and `model.safetensors`.

    The weights file holds the configuration too and is put in place by one rename; `config.json`
    is absent while that happens. Wherever the process is stopped, the folder holds the old model
    or the new one.

    Args:
      folder: made if it does not exist; other files in it stay.
      config: the architecture.
      parameters: its weights.
      dtype: type in which they are stored. `float16` halves the file and rounds to 11 bits.

    Raises:
      CheckpointError: If the parameters do not fit the configuration, or not into float16.
      DataError: If the folder cannot be written.

    Example:
      >>> import os, tempfile
      >>> from lagllama_jax.checkpoints.hub import from_pretrained
      >>> config, parameters = from_pretrained()
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     save_pretrained(folder, config, parameters, dtype="float16")
      ...     sorted(os.listdir(folder))
      ['config.json', 'model.safetensors']
    """
    checked("dtype", dtype, Literal["float32", "float16"])
    folder = Path(folder)
    tensors = flatten(parameters)
    check_tensors(tensors, config, "parameters")
    with np.errstate(over="ignore"):
        tensors = {name: np.ascontiguousarray(x, dtype) for name, x in tensors.items()}
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise CheckpointError(f"Tensor {name} is too large for float16. Save as float32.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"Cannot create the folder {folder}: {error.strerror}.") from error
    _write(folder, config, tensors)


def _write(folder: Path, config: ModelConfig, tensors: dict[str, np.ndarray]) -> None:
    from safetensors.numpy import save

    note = json.dumps({"format": FORMAT, "config": json.loads(config.to_json())})
    with atomic_path(folder / WEIGHTS) as temporary:
        temporary.write_bytes(save(tensors, metadata={_METADATA: note}))
        (folder / CONFIG).unlink(missing_ok=True)
    write_bytes(folder / CONFIG, config.to_json().encode())


def load_folder(folder: str | os.PathLike[str]) -> tuple[ModelConfig, Parameters]:
    """Reads a folder that `save_pretrained` wrote.

    If `config.json` was edited by hand, it is followed, with a warning. If it is missing, the
    configuration in the weights file is used.

    Returns:
      The architecture, and the parameters as float32 arrays, whatever type they are stored in.

    Raises:
      CheckpointError: If a file is missing or damaged, the configuration has unknown or missing
        fields or absurd sizes, or a tensor is missing, not expected, or of another shape; names
        the file and the tensor.

    Example:
      >>> import tempfile
      >>> from lagllama_jax.checkpoints.hub import from_pretrained
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     save_pretrained(folder, *from_pretrained())
      ...     config, parameters = load_folder(folder)
      >>> config.num_layers, parameters["final_norm"]["scale"].shape
      (8, (144,))
    """
    folder = Path(folder)
    tensors, note = _read_weights(folder / WEIGHTS)
    config = _read_config(folder, note)
    check_tensors(tensors, config, str(folder / WEIGHTS))
    return config, unflatten({name: x.astype(np.float32) for name, x in tensors.items()})


def _read_weights(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise CheckpointError(f"{path.parent}: holds no {path.name}. Give a saved model's folder.")
    try:
        refuse_foreign(path)
        with safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            note = dict(json.loads((file.metadata() or {}).get(_METADATA, "{}")))
            version = int(note.get("format", FORMAT))
    except CheckpointError:
        raise
    except (SafetensorError, OSError, *_DAMAGED) as error:
        raise CheckpointError(
            f"{path}: no whole safetensors file ({error}). Download or save it again."
        ) from error
    if version > FORMAT:
        raise CheckpointError(f"{path}: written by a newer lagllama_jax. Update the package.")
    return tensors, note


def _read_config(folder: Path, note: dict[str, Any]) -> ModelConfig:
    path, inside = folder / CONFIG, note.get("config")
    if not path.exists() and inside is not None:
        return parse_config(json.dumps(inside), f"{folder / WEIGHTS}, its configuration")
    if not path.exists():
        raise CheckpointError(f"{folder}: holds no {CONFIG}. Give a saved model's folder.")
    text = read_config_text(path)
    config = parse_config(text, str(path))
    if inside is not None and json.loads(config.to_json()) != inside:
        warnings.warn(
            f"{path} differs from the configuration that {WEIGHTS} was saved with; {CONFIG} is "
            "followed.",
            stacklevel=4,
        )
    return config


def read_config_text(path: Path) -> str:
    """Reads a `config.json`.

    Raises:
      CheckpointError: If it cannot be read, is no text, or is too large for a configuration.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_CONFIG + 1)
        if len(content) <= LARGEST_CONFIG:
            return content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}).") from error
    raise CheckpointError(
        f"{path}: is larger than {LARGEST_CONFIG} bytes, so it is no model's configuration."
    )


def parse_config(text: str, source: str) -> ModelConfig:
    """Makes a configuration of the text of a `config.json`.

    Raises:
      CheckpointError: If it is not JSON, has unknown or missing fields, or an invalid value;
        names `source`.
    """
    try:
        return ModelConfig.from_json(text)
    except _DAMAGED as error:
        raise CheckpointError(f"{source}: {error}") from error
