"""A short hash of a question and of who was asked, which tells what a row of results answers."""

import dataclasses
import hashlib
from typing import Any

import jax
import numpy as np

from lagllama_jax.config import ForecastConfig
from lagllama_jax.evaluation.baselines import Baseline
from lagllama_jax.evaluation.tasks import Task
from lagllama_jax.inference.forecast import Predictor
from lagllama_jax.typing import Float

DEFAULTS = ForecastConfig()
IGNORED = ("batch_size", "quantile_levels")
"""Fields that decide the memory and what is read off a forecast, but not the forecast."""


def identity(value: Any) -> str:
    """A text that is the same in every process, of all that decides a predictor's forecasts.

    A predictor, and whatever dataclass or object it is made of, is described by its class and its
    attributes, without the fields that do not take part in comparisons. Arrays are described by a
    hash of their shape and content.

    Args:
      value: A predictor, a configuration, or an attribute of one.

    >>> from lagllama_jax.evaluation.baselines import DeepAR
    >>> identity(DeepAR(season=24))
    'DeepAR(season=24, seed=0)'
    """
    if isinstance(value, dict | list | tuple | np.ndarray | jax.Array):
        leaves = jax.tree_util.tree_leaves_with_path(value)
        text = "".join(f"{jax.tree_util.keystr(path)}{_leaf(leaf)}" for path, leaf in leaves)
        return f"{type(value).__name__} {hashlib.sha256(text.encode()).hexdigest()}"
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value) if field.compare]
    elif hasattr(value, "predict"):
        names = sorted(vars(value))
    else:
        plain = value.item() if isinstance(value, np.generic) else value
        return str(getattr(plain, "__qualname__", repr(plain)))
    pairs = [f"{name}={identity(getattr(value, name))}" for name in names if name not in IGNORED]
    return f"{type(value).__name__}({', '.join(pairs)})"


def _leaf(leaf: Any) -> str:
    if not hasattr(leaf, "shape"):
        return identity(leaf)
    return f"{leaf.shape}{hashlib.sha256(_content(leaf)).hexdigest()}"


def _content(values: Any) -> bytes:
    """The values as bytes that are the same on every machine, whatever its byte order or NaN."""
    plain = np.asarray(values, "<f8")
    return np.where(np.isnan(plain), np.nan, plain).astype("<f8").tobytes()


def fingerprint(predictor: Predictor, task: Task, config: ForecastConfig = DEFAULTS) -> str:
    """Sixteen hexadecimal digits that depend on the task, its series, the predictor and `config`.

    Args:
      predictor: The predictor, by its `identity`.
      task: The task, by its name, its windows, and every value, name and date of its series,
        which are read for this.
      config: How the forecasts are drawn; it does not matter to a baseline.

    Raises:
      DataError: If the series cannot be read.
    """
    series = task.read()
    drawn = "" if isinstance(predictor, Baseline) else identity(config)
    asked = (task.name, task.prediction_length, task.num_windows, identity(predictor), drawn)
    digest = hashlib.sha256("\n".join(map(str, asked)).encode())
    for item in series:
        head = (item.item_id, item.start, item.frequency)
        parts = (item.target, item.past_covariates, item.known_covariates)
        digest.update("\n".join(("", *map(str, head), *map(_part, parts))).encode())
    return digest.hexdigest()[:16]


def _part(values: Float[np.ndarray, "V T"] | None) -> str:
    return "" if values is None else _leaf(values)
