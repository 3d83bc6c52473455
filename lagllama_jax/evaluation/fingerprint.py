"""A short hash of what was asked and of whom: what a row of results is the answer to."""

import hashlib

import numpy as np
from jaxtyping import Float

from lagllama_jax.evaluation.forecasters import Forecaster
from lagllama_jax.evaluation.windows import Task


def _content(values: Float[np.ndarray, "T"]) -> bytes:
    """The values as bytes that are the same on every machine, whatever its byte order or NaN."""
    plain = np.asarray(values, "<f8")
    return np.where(np.isnan(plain), np.nan, plain).astype("<f8").tobytes()


def fingerprint(forecaster: Forecaster, task: Task) -> str:
    """Sixteen hexadecimal digits that depend on the task, its series and the forecaster.

    Args:
      forecaster: by its `identity`, or by its name where it has none.
      task: by its name, horizon, season and windows, and by every value, name and date of its
        series, which are read for this.

    Raises:
      DataError: the series cannot be read.
    """
    panel = task.panel()
    asked = (task.name, task.prediction_length, task.season, task.windows, panel.frequency)
    identity = getattr(forecaster, "identity", forecaster.name)
    digest = hashlib.sha256("\n".join(map(str, (*asked, identity))).encode())
    for item, start, values in zip(panel.item_ids, panel.starts, panel.values, strict=True):
        digest.update(f"\n{item}\n{start}\n{len(values)}\n".encode())
        digest.update(_content(values))
    return digest.hexdigest()[:16]
