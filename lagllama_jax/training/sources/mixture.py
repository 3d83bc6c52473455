"""The weights of datasets and series, and random draws in proportion to them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lagllama_jax.errors import DataError
from lagllama_jax.typing import Array, Float, Int

POINTS_COUNTED = 1.5e6
"""Largest number of points of a dataset that `root_timesteps` counts."""


class AliasTable(NamedTuple):
    """Walker's alias table, which draws an item in proportion to its weight in constant time."""

    keep: Float[Array, "n"]
    alias: Int[Array, "n"]

    def pick(self, item: Int[Array, "B"], uniform: Float[Array, "B"]) -> Int[Array, "B"]:
        """Turns uniformly drawn items and uniform numbers into items drawn by weight."""
        xp = jnp if isinstance(self.keep, jax.Array) else np
        return xp.where(uniform < self.keep[item], item, self.alias[item])


def alias_table(weights: Float[np.ndarray, "n"]) -> AliasTable:
    """Builds the alias table of non-negative weights (Vose 1991).

    Raises:
      DataError: If all weights are 0.
    """
    weights = np.asarray(weights, np.float64)
    if not weights.sum() > 0:
        raise DataError("No series can be drawn: every weight is 0. Is every series too short?")
    share = weights / weights.sum() * len(weights)
    alias = np.arange(len(weights), dtype=np.int32)
    small = list(np.flatnonzero(share < 1))
    large = list(np.flatnonzero(share >= 1))
    while small and large:
        low, high = small.pop(), large[-1]
        alias[low] = high
        share[high] -= 1 - share[low]
        if share[high] < 1:
            small.append(large.pop())
    left = np.asarray(small, np.int64)  # left by rounding: their share is 1, or 0 without weight
    share[left] = weights[left] > 0
    alias[left[weights[left] == 0]] = np.argmax(weights)
    fields: Any = np.minimum(share, 1).astype(np.float32), alias
    return AliasTable(*fields)


def dataset_weights(
    mixture: str | dict[str, float],
    dataset: Int[np.ndarray, "n"],
    lengths: Int[np.ndarray, "n"],
    names: tuple[str, ...],
) -> Float[np.ndarray, "d"]:
    """Weight of each dataset.

    Args:
      mixture: A rule of `DataConfig.mixture`, or weights by name.
      dataset: Number of the dataset of each series.
      lengths: Number of points of each series.
      names: Names of the datasets.

    Raises:
      DataError: If `mixture` names an unknown dataset.
    """
    series = np.bincount(dataset, minlength=len(names)).astype(np.float64)
    points = np.bincount(dataset, weights=lengths, minlength=len(names))
    if isinstance(mixture, dict):
        unknown = sorted(mixture.keys() - set(names))
        if unknown:
            raise DataError(f"The mixture names unknown dataset(s): {', '.join(unknown)}.")
        return np.array([mixture.get(name, 0.0) for name in names])
    rules = {
        "series": series,
        "series_inverse": 1 / np.maximum(series, 1),
        "timesteps": points,
        "timesteps_inverse": 1 / np.maximum(points, 1),
        "uniform": np.ones(len(names)),
        "root_timesteps": np.sqrt(np.minimum(points, POINTS_COUNTED)),
    }
    return np.where(series > 0, rules[mixture], 0.0)


def series_weights(
    mixture: str | dict[str, float],
    dataset: Int[np.ndarray, "n"],
    lengths: Int[np.ndarray, "n"],
    names: tuple[str, ...],
    usable: np.ndarray,
    power: float = 0.0,
) -> Float[np.ndarray, "n"]:
    """Probability of each series: that of its dataset, divided among the usable series.

    Args:
      mixture: As for `dataset_weights`.
      dataset: As for `dataset_weights`.
      lengths: As for `dataset_weights`.
      names: As for `dataset_weights`.
      usable: Which series can be drawn.
      power: Within a dataset, the probability of a series is proportional to its length to this
        power.
    """
    within = np.where(usable, np.asarray(lengths, np.float64) ** power, 0.0)
    totals = np.bincount(dataset, weights=within, minlength=len(names))
    of_dataset = np.where(totals > 0, dataset_weights(mixture, dataset, lengths, names), 0.0)
    weights = of_dataset[dataset] * within / np.where(totals > 0, totals, 1)[dataset]
    return weights / max(weights.sum(), np.finfo(float).tiny)
