"""Ridge regression of a series on columns, at several ends of its past at once."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from lagllama_jax.typing import Bool, Float, Int

PENALTIES = 10.0 ** np.arange(-4, 5)
"""Penalties per row, for columns of variance 1. The largest leave next to no effect."""
CONTROL_PENALTY = 1e-6
"""Penalty per row of columns whose effect is not wanted. It is added to that of the others."""
FOLDS = 5
FEWEST_ROWS = 30
LARGEST_INFLATION = 50.0
CONSTANT = 1e-10
"""Share of a column's mean square below which its variance is taken for rounding."""


class Effects(NamedTuple):
    """The part of a series that is explained by covariates.

    Attributes:
      values: The effect at each point, from the coefficients for each end of the past. Its mean
        over the rows of the regression is 0.
      deviation: Standard deviation of the error of the effect in the future, for the last end.
    """

    values: Float[np.ndarray, "E N"]
    deviation: Float[np.ndarray, "P"]


def effects(
    target: Float[np.ndarray, "T"],
    responses: Float[np.ndarray, "N F"],
    controls: Float[np.ndarray, "M C"],
    ends: Int[np.ndarray, "E"],
    lag: int,
    recent: int,
) -> Effects | None:
    """Fits the coefficients on the points before each end, and computes the effects of responses.

    The penalty is chosen by cross-validation on contiguous blocks before the first end. The errors
    of the coefficients are inflated by the autocorrelation of the residuals.

    Args:
      target: The series, NaN where missing.
      responses: Columns whose effect is wanted, also at points of the future.
      controls: Columns that the effect is adjusted for, at least at the points of the past.
      ends: Ascending ends of the past.
      lag: If above 0, differences over this many points are regressed instead of values.
      recent: Number of points before the last end that are regressed at most.

    Returns:
      The effects. `None`: there are too few rows, or no response varies.
    """
    first = max(lag, int(ends[-1]) - recent)
    rows = np.arange(first, ends[-1])
    y = _differences(target, first, lag)[: len(rows)]
    kept = np.isfinite(y)
    if (kept & (rows < ends[0])).sum() < FEWEST_ROWS:
        return None
    columns = [_differences(part[: ends[-1]], first, lag) for part in (responses, controls)]
    x = np.concatenate([*columns, np.ones((len(rows), 1))], axis=1)
    if not kept.all():
        x, y, rows = x[kept], y[kept], rows[kept]
    unit = max(float(y.std()), 1e-300)
    y, counts, size = y / unit, np.searchsorted(rows, ends), responses.shape[1]
    grams = _Grams.of(x, y, counts)
    spread, before_first = grams.spread(len(ends) - 1), grams.spread(0)
    spread[:size] = np.where(before_first[:size] > 0, spread[:size], 0)
    scale = np.where(spread > 0, spread, np.inf)
    scale[-1] = 1.0
    if np.isinf(scale[:size]).all():
        return None
    grams = grams.scaled(scale)
    penalty = grams.best_penalty(np.arange(x.shape[1]) < size)
    solved = [grams.solve(number, penalty) for number in range(len(ends))]
    by_end = np.stack([coefficients[:size] for coefficients in solved]) / scale[:size]
    values = by_end @ responses.T
    values -= np.stack([row[rows[:n]].mean() for row, n in zip(values, counts, strict=True)])[
        :, None
    ]
    usual = responses[first : ends[-1]].mean(axis=0)
    coming = ((responses[len(target) :] - usual) / scale[:size]).T
    noise = _noise(y - x @ (solved[-1] / scale))
    variance = noise * (coming * grams.inverse_times(coming, penalty)).sum(axis=0)
    return Effects(unit * values, unit * np.sqrt(variance))


def _differences(
    values: Float[np.ndarray, "N *c"], first: int, lag: int
) -> Float[np.ndarray, "n *c"]:
    """The values from row `first` on, or their differences to `lag` rows before."""
    return values[first:] - values[first - lag : len(values) - lag] if lag else values[first:]


def _noise(residuals: Float[np.ndarray, "n"]) -> float:
    """Variance of residuals, inflated by their first-order autocorrelation."""
    variance = float(residuals.var())
    if variance == 0:
        return 0.0
    centred = residuals - residuals.mean()
    correlation = float((centred[1:] * centred[:-1]).mean()) / variance
    return variance * float(
        np.clip((1 + correlation) / max(1 - correlation, 1e-9), 1, LARGEST_INFLATION)
    )


class _Grams(NamedTuple):
    """Sums of products over blocks of rows: `FOLDS` blocks, and one more per further end."""

    gram: Float[np.ndarray, "b F F"]
    moment: Float[np.ndarray, "b F"]
    square: Float[np.ndarray, "b"]
    rows: Int[np.ndarray, "b"]

    @classmethod
    def of(
        cls, x: Float[np.ndarray, "n F"], y: Float[np.ndarray, "n"], ends: Int[np.ndarray, "E"]
    ) -> "_Grams":
        cuts = np.linspace(0, ends[0], FOLDS + 1).astype(int)
        bounds = [*zip(cuts[:-1], cuts[1:], strict=True), *zip(ends[:-1], ends[1:], strict=True)]
        parts = [(x[a:b], y[a:b]) for a, b in bounds]
        return cls(
            np.stack([p.T @ p for p, _ in parts]),
            np.stack([p.T @ q for p, q in parts]),
            np.array([q @ q for _, q in parts]),
            np.array([len(q) for _, q in parts]),
        )

    def until(self, number: int) -> tuple[Float[np.ndarray, "F F"], Float[np.ndarray, "F"]]:
        """The sums over all rows before an end."""
        upto = FOLDS + number
        return self.gram[:upto].sum(axis=0), self.moment[:upto].sum(axis=0)

    def spread(self, number: int) -> Float[np.ndarray, "F"]:
        """The standard deviation of each column over all rows before an end, 0 if it is constant.

        The last column is 1.
        """
        gram, _ = self.until(number)
        square, mean = np.diagonal(gram) / gram[-1, -1], gram[-1] / gram[-1, -1]
        variance = square - mean**2
        return np.sqrt(np.where(variance > CONSTANT * square, variance, 0.0))

    def scaled(self, scale: Float[np.ndarray, "F"]) -> "_Grams":
        """The sums for columns that are divided by `scale`."""
        gram = self.gram / (scale[:, None] * scale)
        return self._replace(gram=gram, moment=self.moment / scale)

    def _factor(self, number: int, penalty: Float[np.ndarray, "F"]) -> tuple[np.ndarray, bool]:
        """The Cholesky factor of the matrix of all rows before an end."""
        gram, _ = self.until(number)
        count = self.rows[: FOLDS + number].sum()
        factor: tuple[np.ndarray, bool] = cho_factor(gram + np.diag(count * penalty))
        return factor

    def solve(self, number: int, penalty: Float[np.ndarray, "F"]) -> Float[np.ndarray, "F"]:
        """The coefficients from all rows before an end."""
        found: np.ndarray = cho_solve(self._factor(number, penalty), self.until(number)[1])
        return found

    def inverse_times(
        self, columns: Float[np.ndarray, "f P"], penalty: Float[np.ndarray, "F"]
    ) -> Float[np.ndarray, "f P"]:
        """The covariance of the first coefficients from all rows, times some columns."""
        padded = np.zeros((len(penalty), columns.shape[1]))
        padded[: len(columns)] = columns
        found = cho_solve(self._factor(len(self.rows) - FOLDS, penalty), padded)
        return np.asarray(found[: len(columns)])

    def best_penalty(self, wanted: Bool[np.ndarray, "F"]) -> Float[np.ndarray, "F"]:
        """The penalties with the least squared error on blocks that the fit has not seen."""
        penalties = PENALTIES[:, None] * wanted + CONTROL_PENALTY
        gram, moment = self.until(0)
        total = self.rows[:FOLDS].sum()
        errors = np.zeros(len(PENALTIES))
        for fold in range(FOLDS):
            rest, left = total - self.rows[fold], gram - self.gram[fold]
            right = moment - self.moment[fold]
            fitted = np.stack(
                [cho_solve(cho_factor(left + np.diag(rest * one)), right) for one in penalties]
            )
            errors += np.einsum("pf,fg,pg->p", fitted, self.gram[fold], fitted)
            errors += self.square[fold] - 2 * fitted @ self.moment[fold]
        best: np.ndarray = penalties[int(errors.argmin())]
        return best
