"""Scores of sample paths as a whole, which single points cannot show (extra `joint`)."""

import numpy as np

from lagllama_jax.errors import DataError, require
from lagllama_jax.evaluation.windows import EvaluationWindows
from lagllama_jax.typing import Float

ENERGY, VARIOGRAM, SUM_CRPS = "energy_score", "variogram_score", "sum_crps"


def group_energy(windows: EvaluationWindows, samples: Float[np.ndarray, "B S P"]) -> float:
    """Mean energy score of the paths of all targets of an item together. Lower is better.

    The unit of each target is its seasonal error. The score of an item is divided by the square
    root of the number of targets and points. Items with a missing true value, or with a target
    without a seasonal error above 0, are left out.

    Args:
      windows: The windows of items with several targets.
      samples: Sample paths of each row; the rows of an item are consecutive.

    Raises:
      DataError: If no item is left.
      MissingExtraError: If scoringrules is not installed.
    """
    rules = require("scoringrules", "joint")
    items, variates = len(windows), len(windows.dataset.target_names)
    unit = windows.seasonal_error.reshape(items, variates, 1)
    target = windows.target.reshape(items, variates, -1)
    kept = (unit > 0).all(axis=(1, 2)) & ~np.isnan(target).any(axis=(1, 2))
    if not kept.any():
        raise DataError("No item is observed as a whole and varies: nothing can be scored.")
    count = int(kept.sum())
    truth = (target / unit)[kept].reshape(count, -1)
    paths = samples.reshape(items, variates, samples.shape[1], -1) / unit[:, :, None]
    paths = np.moveaxis(paths[kept], 1, 2).reshape(count, samples.shape[1], -1)
    scores = rules.es_ensemble(truth, paths, m_axis=1, v_axis=-1)
    return float(np.mean(scores) / np.sqrt(truth.shape[1]))


def joint_scores(
    windows: EvaluationWindows, samples: Float[np.ndarray, "B S P"]
) -> dict[str, float]:
    """Mean scores of sample paths over windows, by the library scoringrules. Lower is better.

    The unit of each row is its seasonal error. Rows with a missing true value, or without a
    seasonal error above 0, are left out.

    Args:
      windows: The windows.
      samples: Sample paths of each row.

    Returns:
      `energy_score` (https://doi.org/10.1198/016214506000001437), divided by the square root of the
      number of points; `variogram_score` of order 0.5 (https://doi.org/10.1175/MWR-D-14-00269.1),
      per pair of points; and `sum_crps`, the CRPS of the sum over the horizon, per point.

    Raises:
      DataError: If no row is left.
      MissingExtraError: If scoringrules is not installed.
    """
    rules = require("scoringrules", "joint")
    unit = windows.seasonal_error
    rows = np.flatnonzero((unit > 0) & ~np.isnan(windows.target).any(axis=1))
    if not len(rows):
        raise DataError("No window is observed as a whole and varies: nothing can be scored.")
    target = windows.target[rows] / unit[rows, None]
    paths = samples[rows] / unit[rows, None, None]
    steps = target.shape[1]
    energy = rules.es_ensemble(target, paths, m_axis=1, v_axis=-1) / np.sqrt(steps)
    variogram = rules.vs_ensemble(target, paths, m_axis=1, v_axis=-1, p=0.5) / steps**2
    total = rules.crps_ensemble(target.sum(1), paths.sum(2), m_axis=1) / steps
    values = {ENERGY: energy, VARIOGRAM: variogram, SUM_CRPS: total}
    return {name: float(np.mean(value)) for name, value in values.items()}
