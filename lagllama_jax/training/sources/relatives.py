"""The relatives of a series: the series of its dataset that share its time grid."""

from typing import NamedTuple

import numpy as np

from lagllama_jax.corpus.store import Corpus
from lagllama_jax.training.sources.mixture import AliasTable, alias_table
from lagllama_jax.typing import Array, Float, Int


class Relatives(NamedTuple):
    """The relatives of each series of a corpus, which are consecutive in it.

    Attributes:
      first: Number of the first series that shares the time grid of each series.
      size: Number of series that share it, that series included.
      table: Alias table by which the first target of a group is drawn. It leaves out series without
        relatives.
    """

    first: Int[Array, "n"]
    size: Int[Array, "n"]
    table: AliasTable


def relatives_of(corpus: Corpus, weights: Float[np.ndarray, "n"]) -> Relatives | None:
    """Finds the relatives of each series.

    Relatives are consecutive series of one dataset with the same frequency, start and time zone.
    Their lengths may differ.

    Args:
      corpus: The series.
      weights: Weight of each series as the first target of a group.

    Returns:
      The relatives. `None`: no series that can be drawn has any.
    """
    if len(corpus) == 0:
        return None
    grids = np.stack([corpus.dataset, corpus.frequency, *map(np.asarray, corpus.calendar)])
    differs = (grids[:, 1:] != grids[:, :-1]).any(axis=0)
    run = np.concatenate([[0], np.cumsum(differs)])
    sizes = np.bincount(run)
    first, count = (np.cumsum(sizes) - sizes)[run], sizes[run]
    weights = np.where(count > 1, weights, 0.0)
    if not weights.any():
        return None
    return Relatives(first.astype(np.int32), count.astype(np.int32), alias_table(weights))
