"""A short hash of a task and a predictor, which identifies the origin of a row of results."""

import dataclasses
import hashlib
from typing import Any

import jax
import numpy as np

from lagllama_jax.config import ForecastConfig
from lagllama_jax.evaluation.baselines import Baseline
from lagllama_jax.evaluation.tasks import Task
from lagllama_jax.inference.forecast import Predictor

DEFAULTS = ForecastConfig()
IGNORED = ("batch_size", "quantile_levels")  # they do not change sample paths


def identity(value: Any) -> str:
    """A text of everything that a predictor's forecasts depend on. It is equal in all processes.

    A predictor, a dataclass and any object within them is described by its class and its
    attributes, except for fields with `compare=False`. Arrays are described by a hash of their
    shape and content.

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
    # The bytes do not depend on the byte order of the machine, nor on the kind of NaN.
    plain = np.asarray(leaf, "<f8")
    content = np.where(np.isnan(plain), np.nan, plain).astype("<f8").tobytes()
    return f"{leaf.shape}{hashlib.sha256(content).hexdigest()}"


def fingerprint(predictor: Predictor, task: Task, config: ForecastConfig = DEFAULTS) -> str:
    """Sixteen hexadecimal digits that depend on the task, its series, the predictor and `config`.

    The `identity` of the predictor, the name and windows of the task, and all values, names and
    dates of its series are hashed. The series are read for this. `config` is ignored if the
    predictor is a baseline.

    Raises:
      DataError: If the series cannot be read.
    """
    series = task.read()
    drawn = "" if isinstance(predictor, Baseline) else identity(config)
    asked = (task.name, task.prediction_length, task.num_windows, identity(predictor), drawn)
    digest = hashlib.sha256("\n".join(map(str, asked)).encode())
    for item in series:
        head = (item.item_id, item.start, item.frequency)
        arrays = (item.target, item.past_covariates, item.known_covariates)
        parts = ["" if values is None else _leaf(values) for values in arrays]
        digest.update("\n".join(("", *map(str, head), *parts)).encode())
    return digest.hexdigest()[:16]
