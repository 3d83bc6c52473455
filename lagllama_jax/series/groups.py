"""`Groups`: the rows of each series in a table that is sorted by series."""

import functools
from dataclasses import dataclass

import numpy as np

from lagllama_jax.typing import Bool, Int


@dataclass(frozen=True)
class Groups:
    """The rows of each series, which follow one another.

    Attributes:
      series: Number of the series of each row.

    >>> groups = Groups(np.array([0, 0, 0, 1, 1]))
    >>> groups.first.tolist(), groups.counts.tolist()
    ([0, 3], [3, 2])
    >>> groups.since_first(np.array([5, 7, 8, 1, 9])).tolist()
    [0, 2, 3, 0, 8]
    """

    series: Int[np.ndarray, "n"]

    @functools.cached_property
    def within(self) -> Bool[np.ndarray, "n-1"]:
        """Whether each row but the first is of the series of the row before it."""
        return self.series[1:] == self.series[:-1]

    @functools.cached_property
    def first(self) -> Int[np.ndarray, "k"]:
        """The first row of each series."""
        return np.flatnonzero(np.r_[True, ~self.within])

    @functools.cached_property
    def counts(self) -> Int[np.ndarray, "k"]:
        """Number of rows of each series."""
        return np.diff(self.first, append=len(self.series))

    def since_first(self, values: np.ndarray) -> np.ndarray:
        """The differences to the first row of each series."""
        return values - np.repeat(values[self.first], self.counts)

    def extent(self, position: Int[np.ndarray, "n"]) -> Int[np.ndarray, "k"]:
        """Number of points of each series, given the positions of its rows from 0."""
        return position[self.first + self.counts - 1] + 1

    def repeated(self, values: np.ndarray) -> Bool[np.ndarray, "n"]:
        """Whether a row has the value of the row before it in its series."""
        return np.r_[False, (values[1:] == values[:-1]) & self.within]
