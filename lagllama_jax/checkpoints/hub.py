"""`from_pretrained`: loads a model from the package, a folder, a checkpoint file or the hub."""

import importlib.resources
import json
import os
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from lagllama_jax.checkpoints.folder import (
    CONFIG,
    WEIGHTS,
    load_folder,
    parse_config,
    read_config_text,
    save_pretrained,
)
from lagllama_jax.checkpoints.torch.converter import from_torch
from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import CheckpointError, require
from lagllama_jax.typing import Parameters

AUTHORS_REPOSITORY = "time-series-foundation-models/Lag-Llama"
"""The repository on the Hugging Face hub in which the authors publish their weights."""
AUTHORS_FILE = "lag-llama.ckpt"

_FILES = {".ckpt", ".pt", ".pth", ".bin", ".json", ".safetensors"}
_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
BOX = "box"
"""The `source` that stands for the bundled weights."""
_OURS = {"num_layers", "num_heads", "head_dim", "lags"}
"""Fields by which a `config.json` on the hub is recognised as one of this package."""

__all__ = ["AUTHORS_FILE", "AUTHORS_REPOSITORY", "from_pretrained", "save_pretrained"]


def from_pretrained(
    source: str | os.PathLike[str] | None = None,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> tuple[ModelConfig, Parameters]:
    """Loads a model's configuration and parameters.

    Args:
      source: The model, which is one of the following.

        * `None` or `box`: the bundled weights. Write `./box` for a folder of that name.
        * A folder that `save_pretrained` wrote, or one with the authors' `lag-llama.ckpt` or a
          single other `.ckpt` file.
        * A `.ckpt` file. It is read without PyTorch, and no code in it is run.
        * A repository `owner/name` on the Hugging Face hub (needs the extra `hub`) with such files,
          if no file or folder of this name exists.
      revision: Branch, tag or commit on the hub.
      cache_dir: Folder in which files from the hub are cached. `None`: the default of the hub.
      local_files_only: Whether to use only the cache, without a connection to the hub.
      token: Access token for private repositories.

    Returns:
      The architecture, and the parameters as float32 arrays on the default device.

    Raises:
      CheckpointError: If the model does not exist or cannot be read. The message names the file and
        the remedy.
      MissingExtraError: If the source is on the hub and the extra `hub` is not installed.

    Examples:
      >>> config, parameters = from_pretrained()
      >>> config.num_layers, config.context_length, config.head
      (8, 64, 'student_t')
    """
    options = {
        "revision": revision,
        "cache_dir": cache_dir,
        "local_files_only": local_files_only,
        "token": token,
    }
    config, parameters = _load(source, options)
    return config, jax.tree.map(jnp.asarray, parameters)


def _load(
    source: str | os.PathLike[str] | None, options: dict[str, Any]
) -> tuple[ModelConfig, Parameters]:
    if source is None or source == BOX:
        return _load_bundled()
    path = Path(source).expanduser()
    if path.is_dir():
        checkpoint = _find_checkpoint(path)
        return load_folder(path) if checkpoint is None else from_torch(checkpoint)
    if path.suffix == ".safetensors" and path.is_file():
        raise CheckpointError(f"{source}: give the folder that holds it and its {CONFIG}.")
    if path.is_file():
        return from_torch(path)
    if isinstance(source, str) and _HUB_ID.fullmatch(source) and path.suffix not in _FILES:
        return _load_hub(source, options)
    raise CheckpointError(
        f"{source}: there is no such file or folder, and it is no repository on the hub "
        f"(owner/name, as in {AUTHORS_REPOSITORY})."
    )


def _find_checkpoint(folder: Path) -> Path | None:
    """The authors' checkpoint in a folder or the only one, unless there are weights beside it."""
    if (folder / WEIGHTS).exists():
        return None
    found = sorted(path for path in folder.glob("*.ckpt") if path.is_file())
    named = [path for path in found if path.name == AUTHORS_FILE]
    if len(named or found) > 1:
        raise CheckpointError(
            f"{folder}: holds {len(found)} checkpoints and no {WEIGHTS}. Give one of the files, "
            f"such as {found[0]}."
        )
    return next(iter(named or found), None)


def _load_bundled() -> tuple[ModelConfig, Parameters]:
    bundled = importlib.resources.files("lagllama_jax.checkpoints") / "bundled"
    if not (bundled / WEIGHTS).is_file():
        raise CheckpointError(
            "This installation of lagllama_jax comes without weights. Install a released wheel, "
            f"or load {AUTHORS_REPOSITORY!r} from the hub."
        )
    with importlib.resources.as_file(bundled) as folder:
        return load_folder(folder)


def _load_hub(repository: str, options: dict[str, Any]) -> tuple[ModelConfig, Parameters]:
    """Loads the files of `save_pretrained` if they exist, otherwise the authors' checkpoint."""
    where = "in the local cache" if options["local_files_only"] else "on the hub or in the cache"
    config = _download(repository, CONFIG, options)
    if config is not None and _is_ours(config):
        parse_config(read_config_text(config), f"{repository}: {CONFIG}")
        weights = _download(repository, WEIGHTS, options)
        if weights is None:
            raise CheckpointError(f"{repository}: holds {CONFIG} but no {WEIGHTS}.")
        return load_folder(weights.parent)
    checkpoint = _download(repository, AUTHORS_FILE, options)
    if checkpoint is None:
        raise CheckpointError(
            f"{repository}: neither {CONFIG} with {WEIGHTS} nor {AUTHORS_FILE} was found {where}, "
            "and there is no folder of that name here. Check the name, the revision and the "
            "connection."
        )
    return from_torch(checkpoint)


def _is_ours(path: Path) -> bool:
    try:
        return json.loads(read_config_text(path)).keys() >= _OURS
    except (AttributeError, RecursionError, ValueError):
        return False


def _download(repository: str, file: str, options: dict[str, Any]) -> Path | None:
    """Downloads a file and returns its path in the cache, or `None` if it is not available."""
    hub = require("huggingface_hub", "hub")
    errors = require("huggingface_hub.errors", "hub")
    try:
        return Path(hub.hf_hub_download(repository, file, **options))
    except errors.LocalEntryNotFoundError:
        options["local_files_only"] = True  # the hub cannot be reached, so only the cache is used
        return None
    except errors.EntryNotFoundError:
        return None
    except (OSError, errors.HFValidationError) as error:
        problem = f"{file} cannot be downloaded ({error})."
        if isinstance(error, errors.RevisionNotFoundError):
            problem = f"has no revision {options['revision']!r} on the hub."
        elif isinstance(error, errors.RepositoryNotFoundError):
            problem = (
                "there is no such file or folder here, and no such repository on the hub, or it is "
                "private: give a token that may read it."
            )
        raise CheckpointError(f"{repository}: {problem}") from error
