"""The result of a forecast: sample paths, and what is read off them."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lagllama_jax.errors import ConfigError
from lagllama_jax.typing import Float

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Times = Callable[[int, int, int], Any]
"""The time stamps of a series: its number, the first point (0 the first to come, negative in the
past) and how many."""

DEFAULT_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def check_levels(levels: Sequence[Any]) -> tuple[float, ...]:
    """Quantile levels as numbers.

    Raises:
      ConfigError: none, or one that is not between 0 and 1.
    """
    for level in levels:
        number = isinstance(level, int | float | np.number) and not isinstance(level, bool)
        if not number or not 0 < level < 1:
            raise ConfigError(f"Quantile level {level!r} must be between 0 and 1, such as 0.9.")
    if len(levels) == 0:
        raise ConfigError("Quantile levels are empty: give at least one, such as 0.5.")
    return tuple(float(level) for level in levels)


@dataclass(frozen=True, repr=False)
class Forecast:
    """Sample paths of the points that follow each series, in its units.

    Attributes:
      samples: the paths; each is one joint future.
      item_ids: names of the series.
      times: their time stamps; `None`: positions in the series.
      past: the series themselves, for pictures; `None`: not kept.
      quantile_levels: the columns of `to_frame` when it is given none.
      id_column: name of the column of names in `to_frame`.
      timestamp_column: name of the column of time stamps in `to_frame`.
      labels: the names as the column should hold them; `None`: `item_ids`.
    """

    samples: Float[np.ndarray, "B S P"]
    item_ids: Sequence[str]
    times: Times | None = None
    past: Sequence[np.ndarray] | None = None
    quantile_levels: Sequence[float] = DEFAULT_LEVELS
    id_column: Hashable = "item_id"
    timestamp_column: Hashable = "timestamp"
    labels: Sequence[Any] | None = field(default=None)

    def __len__(self) -> int:
        return len(self.samples)

    def __repr__(self) -> str:
        series, paths, points = self.samples.shape
        return f"Forecast({series} series, {paths} samples, {points} points)"

    @property
    def prediction_length(self) -> int:
        """Points forecast, P."""
        return self.samples.shape[-1]

    @property
    def mean(self) -> Float[np.ndarray, "B P"]:
        """Mean of the samples. Of heavy tails, single samples move it; the median stays."""
        return self.samples.mean(axis=1, dtype=np.float64)

    @property
    def median(self) -> Float[np.ndarray, "B P"]:
        """Median of the samples."""
        return self.quantile(0.5)

    def quantile(self, level: float) -> Float[np.ndarray, "B P"]:
        """One quantile of the samples at every point.

        Raises:
          ConfigError: the level is not between 0 and 1.
        """
        return self.quantiles([level])[:, 0]

    def quantiles(self, levels: Sequence[float]) -> Float[np.ndarray, "B Q P"]:
        """Quantiles of the samples at every point, interpolated linearly between samples.

        Raises:
          ConfigError: a level is not between 0 and 1.
        """
        levels = check_levels(levels)
        quantiles = np.quantile(self.samples.astype(np.float64), levels, axis=1)
        return np.moveaxis(quantiles, 0, 1)

    @property
    def index(self) -> list[Any]:
        """The time stamps of the forecast points, one pandas index a series."""
        return [self.stamps(series, 0, self.prediction_length) for series in range(len(self))]

    def stamps(self, series: int, first: int, count: int) -> Any:
        """Time stamps of a stretch of one series; point 0 is the first forecast, -1 the last known.

        Without dates: positions, counted from the series' first value.
        """
        if self.times is not None:
            return self.times(series, first, count)
        known = 0 if self.past is None else len(self.past[series])
        return np.arange(known + first, known + first + count)

    def to_frame(self, quantile_levels: Sequence[float] | None = None) -> "pd.DataFrame":
        """One row a series and point: name, time stamp, `predictions` (the median), quantiles.

        Args:
          quantile_levels: a column each, named by the level, such as `"0.1"`; `None`: those that
            were asked for with the forecast.

        Raises:
          ConfigError: a level is not between 0 and 1.
        """
        import pandas as pd

        levels = check_levels(self.quantile_levels if quantile_levels is None else quantile_levels)
        values = self.quantiles([0.5, *levels]).astype(np.float32)
        labels = self.item_ids if self.labels is None else self.labels
        index = self.index
        stamps = np.concatenate(index) if self.times is None else index[0].append(index[1:])
        columns: dict[Hashable, Any] = {
            self.id_column: pd.Index(labels).repeat(self.prediction_length),
            self.timestamp_column: stamps,
            "predictions": values[:, 0].ravel(),
        }
        for number, level in enumerate(levels, start=1):
            columns[f"{level:g}"] = values[:, number].ravel()
        return pd.DataFrame(columns)

    def plot(
        self,
        series: Sequence[str] | str | None = None,
        *,
        history: int | None = None,
        truth: Any = None,
        levels: Sequence[float] = (0.5, 0.8, 0.95),
    ) -> "Figure":
        """A picture: the past, the median, and central intervals that hold given shares.

        Args:
          series: names of those to draw, a panel each; `None`: the first eight.
          history: points of the past to draw; `None`: by the prediction length.
          truth: what came to pass, for comparison: values `[B, P]` or one array a series.
          levels: shares of the futures that lie within the intervals.

        Returns:
          A Matplotlib figure; `figure.savefig("forecast.png")` writes it.

        Raises:
          ConfigError: an unknown name, or a share that is not between 0 and 1.
          MissingExtraError: Matplotlib is not installed.
        """
        from lagllama_jax.inference.plots import plot_forecast

        return plot_forecast(self, series, history, truth, check_levels(levels))
