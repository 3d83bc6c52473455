"""`predictive_causes`: which columns' pasts improve the forecast of a target."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from scipy import stats

from lagllama_jax.causal.columns import names_of, read_columns
from lagllama_jax.causal.pasts import earlier
from lagllama_jax.causal.predictors import LazyModel
from lagllama_jax.config import Count, ForecastConfig, checked
from lagllama_jax.config.base import Interval
from lagllama_jax.errors import DataError
from lagllama_jax.forecaster import LagLlama
from lagllama_jax.inference.forecast import Predictor
from lagllama_jax.inference.settings import own_settings
from lagllama_jax.typing import Float

if TYPE_CHECKING:
    import pandas as pd

FOLDS = 5
PENALTY = 0.1
LARGEST = 5.0
"""Errors are cut at this many standard deviations of the forecast."""
FEWEST_ROWS = 50
SIXTY_EIGHT = tuple(stats.norm.cdf([-1.0, 0.0, 1.0]).tolist())


def predictive_causes(
    df: Any,
    target: str,
    columns: str | Sequence[str] | None = None,
    *,
    predictor: LagLlama | Predictor | None = None,
    lags: int = 8,
    points: int = 300,
    permutations: int = 999,
    seed: int = 0,
    **reading: Any,
) -> "pd.DataFrame":
    """Tells which columns' pasts improve the one-step forecast of a target: Granger's question.

    The predictor forecasts each of the last points from the past of the target alone. Then the
    errors are regressed on the past of a column, in blocks of time, and each block is predicted
    from the others. A column foretells the target if this lowers the squared error by more than
    after its blocks of time are permuted. A column that foretells need not cause: both may follow a
    third one.

    Args:
      df: A data frame with a column of time stamps, the target and the columns, as in `impact`.
      target: Name of the target.
      columns: Names of the columns to try. `None`: all others.
      predictor: The model, or any predictor. `None`: the bundled weights.
      lags: Number of past points of a column that are used.
      points: Number of last points that are forecast.
      permutations: Number of permutations.
      seed: Seed of the permutations.
      **reading: As in `impact`: `timestamp_column`, `freq`, `dayfirst`, `date_format`, `decimal`.

    Returns:
      One row per column, the best first: `gain`, the share of the squared error that its past
      removes (below 0: none); `p_value`; and `corrected`, the p-value by Holm's method for the
      number of columns.

    Raises:
      DataError: If the data cannot be used, or there are too few points.
      ConfigError: If an option is invalid.

    Examples:
      >>> import pandas as pd
      >>> from lagllama_jax.evaluation.baselines import baseline
      >>> rng = np.random.default_rng(0)
      >>> cause, noise = rng.normal(size=(2, 200))
      >>> target = np.append(0, cause[:-1]) + 0.3 * rng.normal(size=200)
      >>> days = pd.date_range("2026-01-01", periods=200)
      >>> df = pd.DataFrame({"day": days, "target": target, "cause": cause, "noise": noise})
      >>> naive = baseline("naive")
      >>> table = predictive_causes(df, "target", predictor=naive, permutations=199)
      >>> table.column.tolist(), bool(table.corrected[0] < 0.05)
      (['cause', 'noise'], True)
    """
    import pandas as pd

    lags, points = (
        int(checked(name, n, Count)) for name, n in (("lags", lags), ("points", points))
    )
    permutations = int(checked("permutations", permutations, Annotated[int, Interval(least=19)]))
    others = None if columns is None else names_of(columns)
    read = read_columns(df, [target], others, dict(reading))
    values, names = read.targets[0], list(read.target_names[1:])
    if not names:
        raise DataError(f"There is no column beside {target!r} and the time stamps.")
    data = replace(read, targets=[values[:1]], target_names=(target,))
    places, errors = _errors(data, LazyModel(predictor)(), max(points, 1), lags, seed)
    rows = []
    for number, name in enumerate(names):
        column = _filled(values[number + 1])
        rng = np.random.default_rng((seed, number))
        gain, p_value = _tested(column, places, errors, (lags, permutations), rng)
        rows.append((name, gain, p_value))
    frame = pd.DataFrame(rows, columns=["column", "gain", "p_value"])
    frame["corrected"] = holm(frame.p_value.to_numpy())
    return frame.sort_values(["p_value", "gain"], ascending=[True, False], ignore_index=True)


def _errors(
    data: Any, predictor: Predictor, points: int, lags: int, seed: int
) -> tuple[np.ndarray, Float[np.ndarray, "n"]]:
    """Points that are forecast from the points before, and their errors in standard deviations."""
    values = data.targets[0][0]
    first = max(len(values) - points, lags, len(values) // 4, 8)
    seen = np.isfinite(values)
    places = np.array([t for t in range(first, len(values)) if seen[t] and seen[:t].any()], int)
    if len(places) < FEWEST_ROWS:
        raise DataError(
            f"{len(places)} points of {data.target_names[0]!r} can be forecast, and at least "
            f"{FEWEST_ROWS} are needed: give more points."
        )
    past = earlier(data, [0] * len(places), places)
    config = ForecastConfig.of(seed=seed, quantile_levels=SIXTY_EIGHT)
    with own_settings():
        forecast = predictor.predict(past, 1, config)
    low, middle, high = forecast.quantiles(SIXTY_EIGHT)[:, :, 0].T
    deviation = np.maximum((high - low) / 2, 1e-9 * max(float(np.nanstd(values)), 1e-300))
    return places, np.clip((values[places] - middle) / deviation, -LARGEST, LARGEST)


def _filled(column: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
    """A column of unit variance, in which a missing value repeats the one before it."""
    observed = np.isfinite(column)
    last = np.maximum.accumulate(np.where(observed, np.arange(len(column)), 0))
    known = np.where(observed[last], column[last], np.nanmean(column))
    return (known - known.mean()) / (known.std() or 1.0)


def _tested(
    column: Float[np.ndarray, "T"],
    places: np.ndarray,
    errors: Float[np.ndarray, "n"],
    sizes: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[float, float]:
    """The gain of a column, and its p-value by permutation of blocks of the column."""
    lags, permutations = sizes
    gain = _gain(column, places, errors, lags)
    block = max(2 * lags, int(len(column) ** 0.5))
    cuts = np.arange(block, len(column), block)
    beyond = 0
    for _ in range(permutations):
        # The blocks begin elsewhere each time, so that no two orders share their cuts.
        parts = np.split(np.roll(column, int(rng.integers(len(column)))), cuts)
        order = rng.permutation(len(parts))
        permuted = np.concatenate([parts[place] for place in order])
        beyond += _gain(permuted, places, errors, lags) >= gain
    return gain, (beyond + 1) / (permutations + 1)


def _gain(
    column: Float[np.ndarray, "T"],
    places: np.ndarray,
    errors: Float[np.ndarray, "n"],
    lags: int,
) -> float:
    """Share of the squared error that is removed in blocks of time that the fit has not seen."""
    x = column[places[:, None] - 1 - np.arange(lags)]
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    with_it = alone = 0.0
    gram, moment, total = x.T @ x, x.T @ errors, errors.sum()
    for block in np.array_split(np.arange(len(errors)), FOLDS):
        part, truth = x[block], errors[block]
        rest = len(errors) - len(block)
        ridge = PENALTY * rest * np.eye(lags + 1)
        ridge[-1, -1] = 0.0
        fit = np.linalg.solve(gram - part.T @ part + ridge, moment - part.T @ truth)
        with_it += float(((truth - part @ fit) ** 2).sum())
        alone += float(((truth - (total - truth.sum()) / rest) ** 2).sum())
    return 1 - with_it / max(alone, 1e-300)


def holm(p_values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """P-values by Holm's step-down method.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values)
    factors = len(p_values) - np.arange(len(p_values))
    corrected = np.maximum.accumulate(np.minimum(p_values[order] * factors, 1.0))
    result = np.empty(len(p_values))
    result[order] = corrected
    return result
