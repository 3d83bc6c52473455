"""The exceptions of the package: every one is a `LagLlamaError`, hence a `ValueError`."""

import importlib
from types import ModuleType


class LagLlamaError(ValueError):
    """Base of all errors that the package raises on purpose."""


class ConfigError(LagLlamaError):
    """A configuration that cannot be: the message names the field and what it may hold."""


class DataError(LagLlamaError):
    """Input data that cannot be used: the message names series, column, row or file, and remedy."""


class CheckpointError(LagLlamaError):
    """A weights file or folder that cannot be read, or that does not fit its configuration."""


class TrainingError(LagLlamaError):
    """Training that cannot go on: the message names the step and what was found there."""


class MissingExtraError(LagLlamaError, ImportError):
    """An optional dependency that is not installed: the message says how to install it."""


def require(module: str, extra: str) -> ModuleType:
    """Imports an optional dependency where it is used.

    Raises:
      MissingExtraError: `module` is not installed; names the extra of this package that brings it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if error.name and not module.startswith(error.name):
            raise
        raise MissingExtraError(
            f"This needs the package '{module.split('.')[0]}', which is not installed: "
            f'pip install ".[{extra}]" in the clone'
        ) from error
