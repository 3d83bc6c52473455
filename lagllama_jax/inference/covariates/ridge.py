"""Ridge regression of a series on columns, at several ends of its past at once."""

from typing import NamedTuple

import numpy as np

from lagllama_jax.typing import Float, Int

PENALTIES = np.array([1e-4, 1e-3, 1e-2, 1e-1, 1.0])
"""Penalties per row, for columns of variance 1."""
CONTROL_PENALTY = 1e-4
"""Factor of the penalty of columns whose effect is not wanted."""
FOLDS = 5
FEWEST_ROWS = 30
LARGEST_INFLATION = 50.0


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
    controls: Float[np.ndarray, "N C"],
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
      controls: Columns that the effect is adjusted for.
      ends: Ascending ends of the past.
      lag: If above 0, differences over this many points are regressed instead of values.
      recent: Number of points before the last end that are regressed at most.

    Returns:
      The effects. `None`: there are too few rows, or no response varies.
    """
    first = max(lag, int(ends[-1]) - recent)
    rows = np.arange(first, ends[-1])
    before_first = np.isfinite(_differences(target, rows, lag)) & (rows < ends[0])
    varying = responses[rows][before_first].std(axis=0) > 1e-9 if before_first.any() else []
    if before_first.sum() < FEWEST_ROWS or not np.any(varying):
        return None
    wanted = responses[:, varying]
    columns = np.concatenate([wanted, controls], axis=1)
    x, y = _differences(columns, rows, lag), _differences(target, rows, lag)
    kept = np.isfinite(y)
    x, y, rows = x[kept], y[kept], rows[kept]
    spread = x.std(axis=0)
    scale = np.where(spread > 1e-9 * np.abs(x).max(axis=0), spread, np.inf)
    unit = max(float(y.std()), 1e-300)
    x = np.concatenate([x / scale, np.ones((len(x), 1))], axis=1)
    y = y / unit
    grams = _Grams.of(x, y, np.searchsorted(rows, ends))
    weights = np.full(x.shape[1], CONTROL_PENALTY)
    weights[: wanted.shape[1]] = 1.0
    penalty = weights * grams.best_penalty(weights)
    counts, size = np.searchsorted(rows, ends), wanted.shape[1]
    solved = [grams.solve(number, penalty) for number in range(len(ends))]
    by_end = np.stack([coefficients[:size] for coefficients, _ in solved]) / scale[:size]
    values = by_end @ wanted.T
    values -= np.stack([row[rows[:n]].mean() for row, n in zip(values, counts, strict=True)])[
        :, None
    ]
    coefficients, inverse = solved[-1]
    coming = (wanted[len(target) :] - wanted[rows].mean(axis=0)) / scale[:size]
    noise = _noise(y - x @ coefficients)
    variance = noise * ((coming @ inverse[:size, :size]) * coming).sum(axis=1)
    return Effects(unit * values, unit * np.sqrt(variance))


def _differences(
    values: Float[np.ndarray, "N *c"], rows: Int[np.ndarray, "n"], lag: int
) -> Float[np.ndarray, "n *c"]:
    return values[rows] - values[rows - lag] if lag else values[rows]


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

    def solve(
        self, number: int, penalty: Float[np.ndarray, "F"]
    ) -> tuple[Float[np.ndarray, "F"], Float[np.ndarray, "F F"]]:
        """The coefficients from all rows before an end, and the inverse of their matrix."""
        gram, moment = self.until(number)
        count = self.rows[: FOLDS + number].sum()
        inverse = np.linalg.inv(gram + np.diag(count * (penalty + 1e-9)))
        return inverse @ moment, inverse

    def best_penalty(self, weights: Float[np.ndarray, "F"]) -> float:
        """The penalty with the least squared error on blocks that the fit has not seen."""
        gram, moment = self.until(0)
        total = self.rows[:FOLDS].sum()
        errors = np.zeros(len(PENALTIES))
        for fold in range(FOLDS):
            rest = total - self.rows[fold]
            ridges = rest * (PENALTIES[:, None] * weights + 1e-9)
            left = (gram - self.gram[fold]) + np.einsum("pf,fg->pfg", ridges, np.eye(len(weights)))
            right = np.broadcast_to((moment - self.moment[fold])[:, None], (*ridges.shape, 1))
            fitted = np.linalg.solve(left, right)[..., 0]
            errors += np.einsum("pf,fg,pg->p", fitted, self.gram[fold], fitted)
            errors += self.square[fold] - 2 * fitted @ self.moment[fold]
        return float(PENALTIES[int(errors.argmin())])
