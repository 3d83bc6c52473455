"""A model as a folder: `config.json` and `model.safetensors`."""

import json
import os
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lagllama_jax.checkpoints.layout import check_tensors, flatten, rows, unflatten
from lagllama_jax.config import ModelConfig
from lagllama_jax.config.base import checked
from lagllama_jax.errors import CheckpointError, ConfigError, DataError
from lagllama_jax.files import atomic_path, write_bytes
from lagllama_jax.typing import Parameters

CONFIG, WEIGHTS = "config.json", "model.safetensors"
FORMAT = 1
"""Version of the layout of the weights file; readers refuse higher ones."""
_METADATA = "lagllama_jax"


def save_pretrained(
    folder: str | os.PathLike[str],
    config: ModelConfig,
    parameters: Parameters,
    dtype: Literal["float32", "float16"] = "float32",
) -> None:
    """Writes `config.json` and `model.safetensors`, so that a folder is never half a model.

    The weights file holds the configuration too and is put in place by one rename; `config.json`
    is away while that happens. Wherever the process is stopped, the folder holds the old model or
    the new one.

    Args:
      folder: made if it does not exist; other files in it stay.
      config: the architecture.
      parameters: its weights.
      dtype: type in which they are stored. `float16` halves the file and rounds to 11 bits.

    Raises:
      CheckpointError: the parameters do not fit the configuration, or not into float16.
      DataError: the folder cannot be written.
    """
    checked("dtype", dtype, Literal["float32", "float16"])
    folder = Path(folder)
    tensors = flatten(parameters)
    check_tensors(tensors, {row.path: row.shape for row in rows(config)}, "parameters")
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
    """Reads what `save_pretrained` wrote; the parameters are float32 whatever they are stored as.

    Where `config.json` was edited by hand, it is what counts, with a warning. Where it is missing
    the configuration in the weights file serves.

    Raises:
      CheckpointError: a file is missing or damaged, the configuration has unknown or missing
        fields, or a tensor is missing, not expected, or of another shape; names file and tensor.
    """
    folder = Path(folder)
    tensors, note = _read_weights(folder / WEIGHTS)
    config = _read_config(folder, note)
    check_tensors(tensors, {row.path: row.shape for row in rows(config)}, str(folder / WEIGHTS))
    return config, unflatten({name: x.astype(np.float32) for name, x in tensors.items()})


def _read_weights(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise CheckpointError(f"{path.parent}: holds no {path.name}. Give a saved model's folder.")
    try:
        with safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            note = dict(json.loads((file.metadata() or {}).get(_METADATA, "{}")))
            version = int(note.get("format", FORMAT))
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: no whole safetensors file ({error}). Download or save it again."
        ) from error
    if version > FORMAT:
        raise CheckpointError(f"{path}: written by a newer lagllama_jax. Update this one.")
    return tensors, note


def _read_config(folder: Path, note: dict[str, Any]) -> ModelConfig:
    path, inside = folder / CONFIG, note.get("config")
    if not path.exists() and inside is not None:
        return parse_config(json.dumps(inside), f"{folder / WEIGHTS}, its configuration")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder}: holds no {CONFIG}. Give a saved model's folder.") from (
            error
        )
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}).") from error
    config = parse_config(text, str(path))
    if inside is not None and json.loads(config.to_json()) != inside:
        warnings.warn(
            f"{path} differs from the configuration that {WEIGHTS} was saved with; it is followed.",
            stacklevel=4,
        )
    return config


def parse_config(text: str, source: str) -> ModelConfig:
    """A `config.json`'s text, with its name in the error.

    Raises:
      CheckpointError: not JSON, unknown or missing fields, or values that cannot be.
    """
    try:
        return ModelConfig.from_json(text)
    except (ConfigError, TypeError) as error:
        raise CheckpointError(f"{source}: {error}") from error
