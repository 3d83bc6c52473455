"""`Marginals`: the Student-t distribution of each point of a forecast, on the host."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import chebyshev
from scipy import special

from lagllama_jax.typing import Bool, Float

DEGREE = 12
"""Degree of the polynomials by which quantiles are computed. Between the levels 1e-5 and 1 - 1e-5,
their error is below 1e-6 of the scale."""


def middle_levels(count: int) -> list[float]:
    """The levels in the middle of `count` equal parts of the interval from 0 to 1."""
    return [(number + 0.5) / count for number in range(count)]


@lru_cache(maxsize=128)
def quantile_polynomials(levels: tuple[float, ...]) -> Any:
    """Coefficients of the Chebyshev polynomials in 4 / df - 1 that give quantiles, `[D, Q]`.

    For one level, the quantile of a standard Student-t distribution is a smooth function of 1 / df.
    """
    nodes = chebyshev.chebpts1(DEGREE + 1)
    exact = special.stdtrit(4 / (nodes[:, None] + 1), np.array(levels))
    return chebyshev.chebfit(nodes, exact, DEGREE)


class Marginals(NamedTuple):
    """The distribution of each point on its own, in the units of the series.

    It is a Student-t distribution (`student_t`), or has a point mass: with probability 1 - `share`
    the value is `usual`, and with probability `share` it departs from it.

    Attributes:
      df: Degrees of freedom, above 2.
      loc: Location.
      scale: Scale. It is 0 if the value is certain.
      share: Probability that a value is drawn from the Student-t distribution. 1: no point mass.
      usual: Value of the point mass.
      side: 0 if values are drawn in the units of the series. 1 or -1 if the logarithm of their
        distance above or below `usual` is drawn, so that all departures are on one side of it.
      center: Mean of the departing values if `side` is not 0. That of their logarithm does not
        tell it.
    """

    df: Float[np.ndarray, "B P"]
    loc: Float[np.ndarray, "B P"]
    scale: Float[np.ndarray, "B P"]
    share: Float[np.ndarray, "B P"]
    usual: Float[np.ndarray, "B P"]
    side: Float[np.ndarray, "B P"]
    center: Float[np.ndarray, "B P"]

    @classmethod
    def student_t(
        cls,
        df: Float[np.ndarray, "B P"],
        loc: Float[np.ndarray, "B P"],
        scale: Float[np.ndarray, "B P"],
    ) -> "Marginals":
        """Distributions without point masses."""
        one, zero = (np.broadcast_to(number, np.shape(loc)) for number in (1.0, 0.0))
        return cls(df, loc, scale, one, zero, zero, zero)

    @property
    def has_mass(self) -> Bool[np.ndarray, "B P"]:
        """Whether a distribution is not a Student-t distribution."""
        return (self.share < 1) | (self.side != 0)

    def take(self, rows: Any) -> "Marginals":
        """The distributions of some rows: their indices, or a slice."""
        return Marginals(*(part[rows] for part in self))

    def steps(self, steps: Any) -> "Marginals":
        """The distributions of some steps: their indices, or a slice."""
        return Marginals(*(part[:, steps] for part in self))

    def mean_with(self, other: "Marginals", weight: Float[np.ndarray, "B"]) -> "Marginals":
        """The distributions whose quantiles are weighted means of those of two forecasts.

        Neither may have point masses. This is exact if both have the same degrees of freedom, or
        one has scale 0.

        Args:
          other: The other distributions.
          weight: Their weight, from 0 to 1.

        >>> one = np.ones((1, 1))
        >>> law = Marginals.student_t(5 * one, 10 * one, 2 * one)
        >>> other = Marginals.student_t(5 * one, 14 * one, 4 * one)
        >>> law.mean_with(other, np.array([0.25])).loc.item()
        11.0
        """
        assert not (self.has_mass.any() or other.has_mass.any())
        share = weight[:, None]
        scales = (1 - share) * self.scale, share * other.scale
        scale = scales[0] + scales[1]
        part = np.divide(scales[1], scale, out=np.zeros_like(scale), where=scale > 0)
        df = 1 / ((1 - part) / self.df + part / other.df)
        return Marginals.student_t(df, (1 - share) * self.loc + share * other.loc, scale)

    def quantiles(self, levels: Sequence[float]) -> Float[np.ndarray, "B Q P"]:
        """The quantiles at some levels between 0 and 1.

        >>> one = np.ones((1, 1))
        >>> law = Marginals.student_t(5 * one, 10 * one, 2 * one)
        >>> law.quantiles([0.5, 0.9]).round(3).tolist()
        [[[10.0], [12.952]]]
        >>> rare = Marginals(5 * one, 0 * one, one, 0.3 * one, 7 * one, one, 9 * one)
        >>> rare.quantiles([0.5, 0.9]).round(3).tolist()
        [[[7.0], [8.58]]]
        """
        coefficients = quantile_polynomials(tuple(levels))
        standard = np.moveaxis(chebyshev.chebval(4 / self.df - 1, coefficients), 0, 1)
        found = self.loc[:, None] + self.scale[:, None] * standard
        rare = np.flatnonzero(self.has_mass.any(axis=1))
        if rare.size:
            shape = len(rare), len(levels), found.shape[2]
            found[rare] = self.take(rare).at(np.broadcast_to(np.array(levels)[:, None], shape))
        return found

    def at(self, levels: Float[np.ndarray, "B S P"]) -> Float[np.ndarray, "B S P"]:
        """The quantile of each point at levels of its own. Uniform random levels give draws."""
        df, loc, scale, share, usual, side = (part[:, None] for part in self[:6])
        if not self.has_mass.any():
            return loc + scale * special.stdtrit(df, levels)
        part = np.where(side == 0, self._tails(self.usual)[0][:, None], side < 0)
        below = share * part  # the probability of a value below the usual one
        rare = (levels < below) | (levels > below + 1 - share)
        # The levels of the drawn part alone, for values below the point mass and above it.
        low, high = levels / share, (levels - (1 - share)) / share
        level = np.where(levels < below, np.where(side < 0, 1 - low, low), high)
        drawn = loc + scale * special.stdtrit(df, np.where(rare, level, 0.5))
        apart = np.where(side == 0, drawn, usual + side * np.exp(np.where(side == 0, 0, drawn)))
        return np.where(rare, apart, usual)

    def probability(
        self, values: Float[np.ndarray, "B P"]
    ) -> tuple[Float[np.ndarray, "B P"], Float[np.ndarray, "B P"]]:
        """The probabilities of at most, and of at least, a value for each point.

        >>> one = np.ones((1, 1))
        >>> rare = Marginals(5 * one, 0 * one, one, 0.5 * one, 7 * one, one, 9 * one)
        >>> [part.item() for part in rare.probability(8 * one)]
        [0.75, 0.25]
        """
        below, above = self._tails(values)
        mass = 1 - self.share
        at_most = self.share * below + mass * (values >= self.usual)
        at_least = self.share * above + mass * (values <= self.usual)
        missing = np.isnan(values)
        return np.where(missing, np.nan, at_most), np.where(missing, np.nan, at_least)

    def _tails(
        self, values: Float[np.ndarray, "B P"]
    ) -> tuple[Float[np.ndarray, "B P"], Float[np.ndarray, "B P"]]:
        """The probabilities of at most and of at least a value, if it is not the point mass."""
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.log(np.maximum(self.side * (values - self.usual), 0))
            apart = np.where(self.side == 0, values, distance) - self.loc
            certain = (self.scale == 0) & (apart == 0)
            z = np.where(certain, 0.0, apart / self.scale) * np.where(self.side < 0, -1, 1)
        return special.stdtr(self.df, z), special.stdtr(self.df, -z)

    def mean(self, lowest: float = -np.inf) -> Float[np.ndarray, "B P"]:
        """The means of the points, after values below `lowest` are replaced by it.

        >>> one = np.ones((1, 1))
        >>> Marginals.student_t(5 * one, 0 * one, one).mean(lowest=0.0).round(3).item()
        0.475
        """
        drawn = self.loc if np.isneginf(lowest) else self._mean_above(lowest)
        if not self.has_mass.any():
            return drawn
        apart = np.where(self.side == 0, drawn, np.maximum(self.center, lowest))
        return self.share * apart + (1 - self.share) * np.maximum(self.usual, lowest)

    def _mean_above(self, lowest: float) -> Float[np.ndarray, "B P"]:
        """The mean of the Student-t distribution, with `lowest` for values below it."""
        scale = np.where(self.scale > 0, self.scale, 1)
        z = (self.loc - lowest) / scale
        constant = special.gammaln((self.df + 1) / 2) - special.gammaln(self.df / 2)
        density = np.exp(constant - (self.df + 1) / 2 * np.log1p(z**2 / self.df))
        density /= np.sqrt(self.df * np.pi)
        above = special.stdtr(self.df, z)
        excess = z * above + density * (self.df + z**2) / (self.df - 1)
        return np.where(self.scale > 0, lowest + scale * excess, np.maximum(self.loc, lowest))
