"""`what_if`: the difference of two futures of the known covariates."""

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lagllama_jax.causal.estimators import estimator
from lagllama_jax.causal.placebos import check_samples, draw
from lagllama_jax.causal.predictors import LazyModel
from lagllama_jax.config import ForecastConfig, check
from lagllama_jax.errors import DataError
from lagllama_jax.forecaster import LagLlama
from lagllama_jax.inference.forecast import Predictor
from lagllama_jax.series.dataframe import read_frame
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float

if TYPE_CHECKING:
    import pandas as pd

CAVEAT = (
    "This is the difference of two forecasts of the model, given two futures of the covariates. It "
    "is the effect of changing the covariates only if, in the past, they were set without regard "
    "to the target, nothing unseen drove both, and the change stays within what the past has seen."
)


@dataclass(frozen=True, repr=False)
class Difference:
    """The difference of the forecasts under two futures, a minus b.

    Attributes:
      dataset: The series, with the covariates of the first future.
      first: Sample paths under the first future.
      second: Sample paths under the second future, drawn with the same random numbers.
    """

    dataset: SeriesDataset
    first: Float[np.ndarray, "B S P"]
    second: Float[np.ndarray, "B S P"]

    caveat = CAVEAT

    def __repr__(self) -> str:
        return f"Difference({len(self.dataset)} series, {self.first.shape[2]} points). {CAVEAT}"

    @cached_property
    def samples(self) -> Float[np.ndarray, "B S P"]:
        """Paths of the difference."""
        return self.first - self.second

    @property
    def average(self) -> Float[np.ndarray, "B"]:
        """Mean difference per time step of each series."""
        return np.asarray(self.samples.mean(axis=(1, 2)))

    @property
    def cumulative(self) -> Float[np.ndarray, "B"]:
        """Sum of the differences over the horizon of each series."""
        return np.asarray(self.samples.sum(axis=2).mean(axis=1))

    def interval(self, level: float = 0.95, cumulative: bool = False) -> Float[np.ndarray, "B 2"]:
        """Central interval of the mean difference, or of the sum, of each series.

        Raises:
          ConfigError: If the level is not between 0 and 1.
        """
        check(0 < level < 1, f"level={level!r} must be between 0 and 1, such as 0.95.")
        paths = self.samples.sum(axis=2) if cumulative else self.samples.mean(axis=2)
        return np.asarray(np.quantile(paths, [(1 - level) / 2, (1 + level) / 2], axis=1).T)

    def to_frame(self) -> "pd.DataFrame":
        """One row per series and time step: both medians, the difference, its interval of 95 %.

        Raises:
          DataError: If the column of names or times is named like another column.
        """
        import pandas as pd

        data, steps, frames = self.dataset, self.first.shape[2], []
        data.check_columns(["a", "b", "difference", "lower", "upper"])
        for row, label in enumerate(data.labels):
            low, high = np.quantile(self.samples[row], [0.025, 0.975], axis=0)
            stamps = data.timestamps if data.dated else data.positions
            columns = {
                data.id_column: label,
                data.timestamp_column: stamps(row, 0, steps),
                "a": np.median(self.first[row], axis=0),
                "b": np.median(self.second[row], axis=0),
                "difference": self.samples[row].mean(axis=0),
                "lower": low,
                "upper": high,
            }
            frames.append(pd.DataFrame(columns))
        return pd.concat(frames, ignore_index=True)


def check_contrast(first: SeriesDataset, second: SeriesDataset, steps: int) -> None:
    """Checks that the past tells what the difference of two futures does.

    Raises:
      DataError: If a future value is missing, or a covariate that differs between the futures did
        not vary in the past of its series.
    """
    for row, item in enumerate(first.item_ids):
        length = int(first.lengths[row])
        pair = [one.known_covariates[row] for one in (first, second) if one.known_covariates]
        for name, *both in zip(first.known_names, *pair, strict=True):
            futures = np.stack([values[length : length + steps] for values in both])
            past = both[0][:length][np.isfinite(both[0][:length])]
            if not np.isfinite(futures).all():
                step = int(np.argwhere(~np.isfinite(futures))[0, 1]) + 1
                raise DataError(
                    f"Series {item!r}, covariate {name!r}: step {step} of a future is missing. "
                    "Give a value, as the answer depends on it."
                )
            changed = futures[:, futures[0] != futures[1]]
            if not changed.size:
                continue
            if not past.size or past.min() == past.max():
                raise DataError(
                    f"Series {item!r}, covariate {name!r}: it did not vary in the past, so what "
                    "another value does cannot be told from it. Give a past in which it varies."
                )
            low, high = float(past.min()), float(past.max())
            if changed.min() < low or changed.max() > high:
                far = float(changed.min() if changed.min() < low else changed.max())
                warnings.warn(
                    f"Series {item!r}, covariate {name!r}: the past has values from {low:g} to "
                    f"{high:g}, and a future has {far:g}. What it does there is a guess.",
                    stacklevel=3,
                )


def what_if(
    df: Any,
    future_df_a: Any,
    future_df_b: Any,
    prediction_length: int,
    *,
    target: str | None = None,
    predictor: LagLlama | Predictor | None = None,
    method: str = "regression_network",
    num_samples: int = 200,
    seed: int = ForecastConfig.seed,
    **reading: Any,
) -> Difference:
    """Compares the forecasts under two futures of the known covariates, such as two prices.

    Both are drawn with the same random numbers, so that what does not depend on the covariates
    cancels. The result says what the model expects, which is causal under assumptions only
    (`Difference.caveat`).

    Args:
      df: The past, as in `LagLlama.predict_df`.
      future_df_a: The first future: one row per series and time step, with the covariates.
      future_df_b: The second future, with the same columns.
      prediction_length: Number of time steps.
      target: Column of the values, if it has another name than usual.
      predictor: The model, or a predictor that draws sample paths. `None`: the bundled weights.
      method: `regression_network`: the covariates act linearly, and the error of their coefficients
        is in the interval. `network`: responses may bend, as in a forecast, but most of the error
        of the coefficients cancels, so that the interval is too narrow. `ridge` needs no model.
      num_samples: Number of sample paths.
      seed: Seed of the random numbers.
      **reading: Further arguments of `predict_df` on the columns, such as `id_column` or `freq`.

    Raises:
      DataError: If the data cannot be used, the futures have other columns or series, or as for
        `check_contrast`.
      ConfigError: If an option is invalid.

    Examples:
      >>> import numpy as np, pandas as pd
      >>> days = pd.date_range("2026-01-01", periods=63)
      >>> price = 2 + np.sin(np.arange(63))
      >>> df = pd.DataFrame({"ds": days, "y": 50 - 3 * price, "price": price})
      >>> a, b = (df[60:].drop(columns="y").assign(price=p) for p in (1.5, 2.5))
      >>> what_if(df[:60], a, b, 3, method="ridge").average.round(1)
      array([3.])
    """
    check(
        method in ("regression_network", "network", "ridge"),
        f"method={method!r} must be regression_network, network or ridge.",
    )
    first, second = (
        read_frame(df, future=future, prediction_length=prediction_length, target=target, **reading)
        for future in (future_df_a, future_df_b)
    )
    if first.known_names != second.known_names:
        raise DataError(
            f"The covariates of the futures differ: {', '.join(first.known_names)} and "
            f"{', '.join(second.known_names)}. Give both the same columns, and no new categories."
        )
    check_contrast(first, second, prediction_length)
    model = LazyModel(predictor)
    config = ForecastConfig.of(num_samples=num_samples, seed=seed)
    check_samples(num_samples)
    chosen = estimator(method, model)
    paths = [draw(chosen, one, prediction_length, config) for one in (first, second)]
    return Difference(first, *paths)
