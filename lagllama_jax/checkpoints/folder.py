"""Saves and loads a model as a folder with `config.json` and `model.safetensors`."""

import json
import os
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lagllama_jax.checkpoints.foreign import refuse_foreign
from lagllama_jax.checkpoints.layout import check_tensors, flatten, unflatten
from lagllama_jax.config import ModelConfig, checked
from lagllama_jax.errors import CheckpointError, converting
from lagllama_jax.files import atomic_path, make_folder, write_bytes
from lagllama_jax.typing import Parameters

CONFIG, WEIGHTS = "config.json", "model.safetensors"
FORMAT = 1
"""Version of the layout of the weights file. Files with a higher version are refused."""
LARGEST_CONFIG = 2**20
"""Largest accepted size of a `config.json` in bytes. That of the bundled weights has 1,500."""
_METADATA = "lagllama_jax"
_DAMAGED = (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError)
"""Exceptions that Python raises for values of a wrong type, endless nesting or absurd numbers."""


def save_pretrained(
    folder: str | os.PathLike[str],
    config: ModelConfig,
    parameters: Parameters,
    dtype: Literal["float32", "float16"] = "float32",
) -> None:
    """Saves a model as `config.json` and `model.safetensors` in a folder.

    The folder is created if it does not exist, and other files in it are kept. The weights file
    contains the configuration too, and one rename puts it in place, while `config.json` is absent.
    If the process is interrupted, the folder contains the complete old model or the new one.

    Args:
      folder: The folder.
      config: The architecture.
      parameters: The weights.
      dtype: Data type of the stored weights. `float16` rounds them to 11 significant bits.

    Raises:
      CheckpointError: If the parameters do not fit the configuration, or a weight is too large for
        float16.
      DataError: If the folder cannot be written.

    Examples:
      >>> import os, tempfile
      >>> from lagllama_jax.checkpoints.hub import from_pretrained
      >>> config, parameters = from_pretrained()
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     save_pretrained(folder, config, parameters, dtype="float16")
      ...     sorted(os.listdir(folder))
      ['config.json', 'model.safetensors']
    """
    from safetensors.numpy import save

    checked("dtype", dtype, Literal["float32", "float16"])
    folder = Path(folder)
    tensors = flatten(parameters)
    check_tensors(tensors, config, "parameters")
    with np.errstate(over="ignore"):
        tensors = {name: np.ascontiguousarray(x, dtype) for name, x in tensors.items()}
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise CheckpointError(f"Tensor {name} is too large for float16. Save as float32.")
    make_folder(folder)
    note = json.dumps({"format": FORMAT, "config": json.loads(config.to_json())})
    with atomic_path(folder / WEIGHTS) as temporary:
        temporary.write_bytes(save(tensors, metadata={_METADATA: note}))
        (folder / CONFIG).unlink(missing_ok=True)
    write_bytes(folder / CONFIG, config.to_json().encode())


def load_folder(folder: str | os.PathLike[str]) -> tuple[ModelConfig, Parameters]:
    """Loads a model from a folder that `save_pretrained` wrote.

    If `config.json` differs from the configuration in the weights file, it is used, with a warning.
    If it is missing, the configuration in the weights file is used.

    Returns:
      The architecture, and the parameters as float32 arrays on the host, whatever the stored type.

    Raises:
      CheckpointError: If a file is missing or damaged, or if the fields, the tensors or their
        shapes are wrong. The message names the file and the tensor.

    Examples:
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
    problem = f"{path}: no whole safetensors file. Download or save it again"
    with converting(CheckpointError, problem, SafetensorError, OSError, *_DAMAGED):
        refuse_foreign(path)
        with safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            note = dict(json.loads((file.metadata() or {}).get(_METADATA, "{}")))
            version = int(note.get("format", FORMAT))
    if version > FORMAT:
        raise CheckpointError(f"{path}: written by a newer lagllama_jax. Update the package.")
    return tensors, note


def _read_config(folder: Path, note: dict[str, Any]) -> ModelConfig:
    path, inside = folder / CONFIG, note.get("config")
    if not path.exists():
        if inside is None:
            raise CheckpointError(f"{folder}: holds no {CONFIG}. Give a saved model's folder.")
        return parse_config(json.dumps(inside), f"{folder / WEIGHTS}, its configuration")
    text = read_config_text(path)
    config = parse_config(text, str(path))
    if inside is not None and json.loads(text) != inside:
        warnings.warn(
            f"{path} differs from the configuration that {WEIGHTS} was saved with; {CONFIG} is "
            "followed.",
            stacklevel=4,
        )
    return config


def read_config_text(path: Path) -> str:
    """Reads the text of a `config.json`.

    Raises:
      CheckpointError: If the file cannot be read, is not text, or is larger than `LARGEST_CONFIG`.
    """
    problem = f"{path}: cannot be read"
    with converting(CheckpointError, problem, OSError, UnicodeError), path.open("rb") as file:
        content = file.read(LARGEST_CONFIG + 1)
        if len(content) > LARGEST_CONFIG:
            raise CheckpointError(
                f"{path}: has more than {LARGEST_CONFIG} bytes, so it is no model's configuration."
            )
        return content.decode()


def parse_config(text: str, source: str) -> ModelConfig:
    """Parses the text of a `config.json`.

    Raises:
      CheckpointError: If the text is not JSON, has unknown or missing fields, or has an invalid
        value. The message begins with `source`.
    """
    try:
        return ModelConfig.from_json(text)
    except _DAMAGED as error:
        raise CheckpointError(f"{source}: {error}") from error
