"""What a missing value of a known covariate leaves open, by hiding the same ones in the past."""

from typing import NamedTuple

import numpy as np

from lagllama_jax.inference.covariates.design import varies
from lagllama_jax.typing import Float, Int

MOST_POINTS = 1024
"""Number of last points of the past in which values are hidden."""
MOST_KINDS = 8
"""Number of different sets of missing covariates that are told apart."""


class HiddenPasts(NamedTuple):
    """Copies of the end of the past in which some covariates are hidden.

    A missing value is taken for the mean of the past. How far the effect is then off is seen in the
    past, where the values are known.

    Attributes:
      covariates: Each copy, without the values that are missing in some steps of the future.
      rows: The points whose calendar those of the past, of the future and of the copies have.
      kinds: Number of the copy for each step of the future. -1: no value is missing.
      past: Number of points of the past.
    """

    covariates: list[Float[np.ndarray, "K n"]]
    rows: Int[np.ndarray, "N"]
    kinds: Int[np.ndarray, "P"]
    past: int

    def deviation(self, effect: Float[np.ndarray, "N"]) -> Float[np.ndarray, "P"]:
        """The root mean square of what is lost where values are missing, for each future step.

        Args:
          effect: The effect at the points of the past, of the future and of the copies.
        """
        if not self.covariates:
            return np.zeros(len(self.kinds))
        size = self.covariates[0].shape[1]
        copies = effect[self.past + len(self.kinds) :].reshape(-1, size)
        lost = copies - effect[self.past - size : self.past]
        return np.append(np.sqrt((lost**2).mean(axis=1)), 0.0)[self.kinds]


def hidden_pasts(covariates: Float[np.ndarray, "K N"], past: int) -> HiddenPasts:
    """Hides in the past what is missing in the future, of the covariates that vary in the past.

    Args:
      covariates: Known covariates, of the past and the future.
      past: Number of points of the past.

    >>> known = np.array([[1.0, 2, 3, np.nan, 4]])
    >>> found = hidden_pasts(known, 3)
    >>> found.covariates[0].tolist(), found.kinds.tolist(), found.rows.tolist()
    ([[nan, nan, nan]], [0, -1], [0, 1, 2, 3, 4, 0, 1, 2])
    >>> found.deviation(np.array([1.0, 2, 3, 0, 4, 2, 2, 2])).round(2).tolist()
    [0.82, 0.0]
    """
    varying = np.array([varies(row[:past]) for row in covariates], bool)
    missing = np.isnan(covariates[:, past:]) & varying[:, None]
    sets, kinds = np.unique(missing, axis=1, return_inverse=True)
    if sets.shape[1] > MOST_KINDS:
        some = missing.any(axis=0)
        sets, kinds = missing.any(axis=1)[:, None], np.where(some, 0, -1)
    else:
        used = sets.any(axis=0)
        numbers = np.where(used, np.cumsum(used) - 1, -1)
        sets, kinds = sets[:, used], numbers[kinds]
    first = max(past - MOST_POINTS, 0)
    recent = covariates[:, first:past]
    copies = [np.where(one[:, None], np.nan, recent) for one in sets.T]
    again = np.tile(np.arange(first, past), len(copies))
    rows = np.concatenate([np.arange(covariates.shape[1]), again])
    return HiddenPasts(copies, rows, kinds, past)
