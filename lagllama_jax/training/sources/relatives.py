"""The relatives of a series: the variates of its item, or the series that share its time grid."""

from typing import Any, NamedTuple

import numpy as np

from lagllama_jax.corpus.store import Corpus
from lagllama_jax.model.batch import TARGET
from lagllama_jax.training.sources.mixture import AliasTable, alias_table
from lagllama_jax.typing import Array, Float, Int


class Relatives(NamedTuple):
    """The relatives of each series of a corpus, which are consecutive in it.

    Attributes:
      first: Number of the first relative of each series.
      size: Number of relatives of each series, itself included.
      table: Alias table by which the first target of a group is drawn.
      role: Role of each series as a variate of its item. `None`: the roles are drawn.
    """

    first: Int[Array, "n"]
    size: Int[Array, "n"]
    table: AliasTable
    role: Int[Array, "n"] | None = None


def relatives_of(corpus: Corpus, weights: Float[np.ndarray, "n"]) -> Relatives | None:
    """Finds the relatives of each series.

    Relatives are the variates of an item, if the corpus tells them. Otherwise, they are consecutive
    series of one dataset with the same frequency, start and time zone, of any lengths; series
    without relatives are then left out as first targets.

    Args:
      corpus: The series.
      weights: Weight of each series as the first target of a group.

    Returns:
      The relatives. `None`: no series that can be drawn has any.
    """
    if len(corpus) == 0:
        return None
    items = corpus.items
    run = _grids(corpus) if items is None else items.item
    sizes = np.bincount(run)
    first, count = (np.cumsum(sizes) - sizes)[run], sizes[run]
    if items is not None:
        weights = np.where(items.role == TARGET, weights, 0.0)
    else:
        weights = np.where(count > 1, weights, 0.0)
    if not weights.any():
        return None
    role: Any = None if items is None else items.role
    return Relatives(first.astype(np.int32), count.astype(np.int32), alias_table(weights), role)


def _grids(corpus: Corpus) -> Int[np.ndarray, "n"]:
    """Number of the time grid of each series, which is that of the series before, or a new one."""
    grids = np.stack([corpus.dataset, corpus.frequency, *map(np.asarray, corpus.calendar)])
    differs = (grids[:, 1:] != grids[:, :-1]).any(axis=0)
    return np.concatenate([[0], np.cumsum(differs)])
