"""`Marginals`: the Student-t distribution of each point of a forecast, on the host."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import chebyshev
from scipy import special

from lagllama_jax.typing import Float

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

    Attributes:
      df: Degrees of freedom, above 2.
      loc: Location.
      scale: Scale. It is 0 if the value is certain.
    """

    df: Float[np.ndarray, "B P"]
    loc: Float[np.ndarray, "B P"]
    scale: Float[np.ndarray, "B P"]

    def row(self, index: int) -> "Marginals":
        """The distributions of one row."""
        return Marginals(*(part[index : index + 1] for part in self))

    def mean_with(self, other: "Marginals", weight: Float[np.ndarray, "B"]) -> "Marginals":
        """The distributions whose quantiles are weighted means of those of two forecasts.

        This is exact if both have the same degrees of freedom, or one has scale 0.

        Args:
          other: The other distributions.
          weight: Their weight, from 0 to 1.

        >>> one = np.ones((1, 1))
        >>> law = Marginals(5 * one, 10 * one, 2 * one)
        >>> law.mean_with(Marginals(5 * one, 14 * one, 4 * one), np.array([0.25])).loc.item()
        11.0
        """
        share = weight[:, None]
        scales = (1 - share) * self.scale, share * other.scale
        scale = scales[0] + scales[1]
        part = np.divide(scales[1], scale, out=np.zeros_like(scale), where=scale > 0)
        df = 1 / ((1 - part) / self.df + part / other.df)
        return Marginals(df, (1 - share) * self.loc + share * other.loc, scale)

    def quantiles(self, levels: Sequence[float]) -> Float[np.ndarray, "B Q P"]:
        """The quantiles at some levels between 0 and 1.

        >>> one = np.ones((1, 1))
        >>> Marginals(5 * one, 10 * one, 2 * one).quantiles([0.5, 0.9]).round(3).tolist()
        [[[10.0], [12.952]]]
        """
        coefficients = quantile_polynomials(tuple(levels))
        standard = np.moveaxis(chebyshev.chebval(4 / self.df - 1, coefficients), 0, 1)
        return self.loc[:, None] + self.scale[:, None] * standard

    def at(self, levels: Float[np.ndarray, "B S P"]) -> Float[np.ndarray, "B S P"]:
        """The quantile of each point at levels of its own. Uniform random levels give draws."""
        standard = special.stdtrit(self.df[:, None], levels)
        return self.loc[:, None] + self.scale[:, None] * standard

    def mean(self, lowest: float = -np.inf) -> Float[np.ndarray, "B P"]:
        """The means of the points, after values below `lowest` are replaced by it.

        >>> one = np.ones((1, 1))
        >>> Marginals(5 * one, 0 * one, one).mean(lowest=0.0).round(3).item()
        0.475
        """
        if np.isneginf(lowest):
            return self.loc
        scale = np.where(self.scale > 0, self.scale, 1)
        z = (self.loc - lowest) / scale
        constant = special.gammaln((self.df + 1) / 2) - special.gammaln(self.df / 2)
        density = np.exp(constant - (self.df + 1) / 2 * np.log1p(z**2 / self.df))
        density /= np.sqrt(self.df * np.pi)
        above = special.stdtr(self.df, z)
        excess = z * above + density * (self.df + z**2) / (self.df - 1)
        return np.where(self.scale > 0, lowest + scale * excess, np.maximum(self.loc, lowest))
