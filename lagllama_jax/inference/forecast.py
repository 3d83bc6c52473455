"""`Forecast`: the result of a predictor, with its quantiles, mean, table and plot."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from lagllama_jax.config import DEFAULT_LEVELS, ForecastConfig, check_levels, level_names
from lagllama_jax.errors import ConfigError
from lagllama_jax.inference.marginals import Marginals
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Forecast:
    """The predictive distributions of the points that follow each series, in its units.

    There is one row per item and target variate. The variates of an item are consecutive rows.

    Attributes:
      dataset: The series that were forecast, with their names, dates and past values.
      samples: Sample paths from the joint distribution of the P points. `None` if the predictor
        draws no samples.
      quantile_levels: Default quantile levels of `to_frame`. Without samples, these are the only
        available levels.
      values: Quantiles at `quantile_levels` if there are no samples, otherwise `None`.
      means: Means if there are no samples, otherwise `None`.
      marginals: Distributions of the single points, if they were forecast in one pass.
      one_pass_share: Weight of the quantiles of `marginals` in the quantiles of the forecast. The
        rest is the weight of the quantiles of `samples`.
      lowest: Smallest possible value. Quantiles below it are replaced by it.
      effect: The part of each point that comes from known covariates. `None`: there are none.

    Raises:
      ConfigError: If there are neither samples, marginals, nor both quantiles and means.
    """

    dataset: SeriesDataset
    samples: Float[np.ndarray, "B S P"] | None = None
    quantile_levels: Sequence[float] = DEFAULT_LEVELS
    values: Float[np.ndarray, "B Q P"] | None = None
    means: Float[np.ndarray, "B P"] | None = None
    marginals: Marginals | None = None
    one_pass_share: float = 0.0
    lowest: float = -np.inf
    effect: Float[np.ndarray, "B P"] | None = None

    def __post_init__(self) -> None:
        drawn = self.samples is not None or self.marginals is not None
        if not drawn and (self.values is None or self.means is None):
            raise ConfigError("A forecast needs samples, or quantiles (values) and means.")

    def __len__(self) -> int:
        return len(self.item_ids)

    def __repr__(self) -> str:
        parts = ["one pass"] if self.one_pass_share > 0 else []
        if self.samples is not None:
            parts.append(f"{self.samples.shape[1]} samples")
        made = " and ".join(parts) or "quantiles"
        return f"Forecast({len(self)} series, {made}, {self.prediction_length} points)"

    @property
    def item_ids(self) -> list[str]:
        """The name of each row, which is `item`, or `item/target` if there are several targets."""
        names = self.dataset.target_names
        if len(names) == 1:
            return list(self.dataset.item_ids)
        return [f"{item}/{name}" for item in self.dataset.item_ids for name in names]

    @property
    def past(self) -> list[Float[np.ndarray, "T"]]:
        """The past values of each row, NaN where a value is missing."""
        return [row for target in self.dataset.targets for row in target]

    @property
    def prediction_length(self) -> int:
        """Number of time steps of the forecast, P."""
        arrays = (self.samples, self.values, *(self.marginals or ()))
        return next(array.shape[-1] for array in arrays if array is not None)

    @property
    def arrays(self) -> dict[str, Any]:
        """The fields with one row per item and target variate; `None` where there is none."""
        names = ("samples", "values", "means", "marginals", "effect")
        return {name: getattr(self, name) for name in names}

    @property
    def mean(self) -> Float[np.ndarray, "B P"]:
        """The mean of each point. With heavy tails, the median is more robust than this mean."""
        if self.means is not None:
            return self.means
        return self._mixed(
            lambda marginals: marginals.mean(self.lowest),
            lambda samples: samples.mean(axis=1, dtype=np.float64),
        )

    def _mixed(
        self,
        of_marginals: Callable[[Marginals], Float[np.ndarray, "B ..."]],
        of_samples: Callable[[Float[np.ndarray, "B S P"]], Float[np.ndarray, "B ..."]],
    ) -> Float[np.ndarray, "B ..."]:
        """The weighted mean of a statistic of the marginals and of the samples."""
        share = self.one_pass_share
        if share == 0:
            assert self.samples is not None
            return of_samples(self.samples)
        assert self.marginals is not None
        if share == 1:
            return of_marginals(self.marginals)
        assert self.samples is not None
        return share * of_marginals(self.marginals) + (1 - share) * of_samples(self.samples)

    @property
    def median(self) -> Float[np.ndarray, "B P"]:
        """The median of each point."""
        return self.quantile(0.5)

    def quantile(self, level: float) -> Float[np.ndarray, "B P"]:
        """The quantile of each point at one level.

        Args:
          level: Quantile level between 0 and 1.

        Raises:
          ConfigError: If the level is not between 0 and 1, or is not available without samples.
        """
        return self.quantiles([level])[:, 0]

    def quantiles(
        self, levels: Sequence[float], row: int | None = None
    ) -> Float[np.ndarray, "B Q P"]:
        """The quantiles of each point at several levels.

        Quantiles of samples are interpolated linearly between the samples.

        Args:
          levels: Quantile levels between 0 and 1.
          row: Index of the only row to return. `None`: all rows.

        Raises:
          ConfigError: If a level is not between 0 and 1, or is not available without samples.
        """
        levels, rows = check_levels(levels), slice(row, None if row is None else row + 1)
        if self.values is None:
            return self._mixed(
                lambda marginals: np.maximum(marginals.take(rows).quantiles(levels), self.lowest),
                lambda samples: np.moveaxis(
                    np.quantile(samples[rows].astype(np.float64), levels, axis=1), 0, 1
                ),
            )
        levels = [round(level, 12) for level in levels]  # (1 - 0.8) / 2 is not exactly 0.1
        known = [round(level, 12) for level in self.quantile_levels]
        missing = [level for level in levels if level not in known]
        if missing:
            raise ConfigError(
                f"This forecast has no samples and only the quantile levels {known}; level "
                f"{missing[0]} is not among them: ask for it with the forecast (quantile_levels)."
            )
        return self.values[rows][:, [known.index(level) for level in levels]]

    @property
    def index(self) -> list[Any]:
        """The time stamps of the forecast points, as one pandas index per row.

        For a row without dates, they are positions, counted from the first value of the series.
        """
        return [self.stamps(row, 0, self.prediction_length) for row in range(len(self))]

    def dated(self, row: int) -> bool:
        """Whether a row has dates."""
        return self.dataset.starts[row // len(self.dataset.target_names)] is not None

    def stamps(self, row: int, first: int, count: int) -> Any:
        """The time stamps of consecutive points of one row.

        Without dates, they are the numbers of the points (`SeriesDataset.numbering`).

        Args:
          row: Index of the row.
          first: Number of the first point. Point 0 is the first forecast point, and point -1 is the
            last point of the past.
          count: Number of points.
        """
        item = row // len(self.dataset.target_names)
        if self.dated(row):
            return self.dataset.timestamps(item, first, count)
        return self.dataset.positions(item, first, count)

    def to_frame(self, quantile_levels: Sequence[float] | None = None) -> "pd.DataFrame":
        """The forecast as a pandas data frame, with one row per series and time step.

        The columns are the name of the series, the time stamp, `predictions` (the median), and one
        column per quantile level, named by the level, such as `"0.1"`. With several targets, there
        is also a column `target_name`.

        Args:
          quantile_levels: Quantile levels of the columns. `None`: the attribute `quantile_levels`.

        Raises:
          ConfigError: If a level is not between 0 and 1, or is not available without samples.
          DataError: If the column of names or times is named like another column.
        """
        import pandas as pd

        levels = check_levels(self.quantile_levels if quantile_levels is None else quantile_levels)
        steps, names = self.prediction_length, self.dataset.target_names
        self.dataset.check_columns(frame_columns(levels, names))
        values = self.quantiles([0.5, *levels])
        columns: dict[Hashable, Any] = {
            self.dataset.id_column: pd.Index(self.dataset.labels).repeat(len(names) * steps)
        }
        if len(names) > 1:
            columns["target_name"] = np.tile(np.repeat(names, steps), len(self.dataset))
        index = self.index
        dated = self.dataset.dated
        columns[self.dataset.timestamp_column] = (
            index[0].append(index[1:]) if dated else np.concatenate(index)
        )
        for number, name in enumerate(["predictions", *level_names(levels)]):
            columns[name] = values[:, number].ravel()
        return pd.DataFrame(columns)

    def plot(
        self,
        series: Sequence[str] | str | None = None,
        *,
        history: int | None = None,
        truth: Any = None,
        levels: Sequence[float] = (0.5, 0.8, 0.95),
    ) -> "Figure":
        """Plots the past, the median, and central prediction intervals of some series.

        Args:
          series: Names of the series to plot, with one panel per series. `None`: the first eight.
          history: Number of past points to plot. `None`: a number that depends on the prediction
            length.
          truth: The true values, as an array `[B, P]` or one array per series. `None`: not plotted.
          levels: Coverage of each prediction interval, between 0 and 1.

        Returns:
          A Matplotlib figure. `figure.savefig("forecast.png")` saves it.

        Raises:
          ConfigError: If a name is unknown, or a level is not between 0 and 1.
          DataError: If `truth` has another number of series than the forecast.
          MissingExtraError: If Matplotlib is not installed.
        """
        from lagllama_jax.inference.plots import plot_forecast

        return plot_forecast(self, series, history, truth, check_levels(levels))


def frame_columns(quantile_levels: Sequence[float], target_names: Sequence[str]) -> list[str]:
    """The columns of `Forecast.to_frame` beside those of names and times."""
    several = ["target_name"] if len(target_names) > 1 else []
    return [*several, "predictions", *level_names(quantile_levels)]


@runtime_checkable
class Predictor(Protocol):
    """The interface of the model, the baselines, and wrappers around other predictors."""

    def predict(
        self, dataset: SeriesDataset, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        """Forecasts the points that follow each item, in the units of the item.

        Args:
          dataset: The series.
          prediction_length: Number of time steps to forecast.
          config: Options of the forecast.
        """
        ...
