"""The exceptions of the package. Each of them is a `LagLlamaError`, and thus a `ValueError`."""

import contextlib
import importlib
import re
from collections.abc import Iterable, Iterator
from types import ModuleType


class LagLlamaError(ValueError):
    """Base class of all errors that the package raises on purpose."""


class ConfigError(LagLlamaError):
    """Raised if a configuration is invalid. The message names the field and its valid values."""


class DataError(LagLlamaError):
    """Raised if input data cannot be used.

    The message names the series, column, row or file, and the remedy.
    """


class CheckpointError(LagLlamaError):
    """Raised if a weights file or folder cannot be read, or does not fit its configuration."""


class TrainingError(LagLlamaError):
    """Raised if training cannot continue. The message names the step and the problem."""


class EngineError(LagLlamaError):
    """Raised if Ray or Spark fails. What was finished is kept, and the same call continues."""


class MissingExtraError(LagLlamaError, ImportError):
    """Raised if an optional dependency is not installed. The message says how to install it."""


def require(module: str, extra: str) -> ModuleType:
    """Imports an optional dependency.

    Args:
      module: Dotted name of the module.
      extra: Name of the extra of this package that installs it.

    Raises:
      MissingExtraError: If the module is not installed. The message names the extra.
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


@contextlib.contextmanager
def converting(kind: type[LagLlamaError], message: str, *errors: type[Exception]) -> Iterator[None]:
    """Converts errors of other libraries in its block to an error of this package.

    Args:
      kind: Class of the new error.
      message: The message, which the original error in brackets is added to.
      *errors: Classes of errors to convert. Errors of the class `kind` pass unchanged.
    """
    try:
        yield
    except kind:
        raise
    except errors as error:
        raise kind(f"{message} ({getattr(error, 'strerror', None) or error}).") from error


@contextlib.contextmanager
def naming(place: object) -> Iterator[None]:
    """Puts a place, such as a file, before the messages of this package's errors in its block.

    Messages that name the place already are unchanged.
    """
    try:
        yield
    except LagLlamaError as error:
        if re.search(rf"(?<!\w){re.escape(str(place))}(?!\w)", str(error)):
            raise
        raise type(error)(f"{place}: {error}") from error


def listed(names: Iterable[object]) -> str:
    """Names as text, at most 12 of them."""
    names = list(names)
    shown = ", ".join(map(str, names[:12]))
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")
