"""`Baseline`: the base class of the baselines."""

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, TypeAlias

import numpy as np

from lagllama_jax.config import Count, ForecastConfig, checked
from lagllama_jax.inference.forecast import Forecast
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float

Pasts: TypeAlias = Sequence[Float[np.ndarray, "T"]]


class Asked(NamedTuple):
    """What a baseline is asked: a forecast of series that have the same season.

    Attributes:
      pasts: The past of each series. NaN marks a missing value.
      prediction_length: Number of points ahead.
      season: Seasonal period in steps.
      levels: Ascending quantile levels in (0, 1); 0.5 is among them.
      known: Known covariates of each series. `None`: there are none, or they are not to be used.
    """

    pasts: Pasts
    prediction_length: int
    season: int
    levels: Sequence[float]
    known: Sequence[Float[np.ndarray, "K T_plus_P"]] | None = None


@dataclass(frozen=True)
class Baseline(abc.ABC):
    """A `Predictor` that forecasts every variate on its own and gives quantiles, not samples.

    Of the forecast configuration, only `quantile_levels` is used, and `covariates` by those that
    can. The mean of the forecast is its median.

    Attributes:
      season: Seasonal period in steps. `None`: the default of each series' frequency, or 1 for a
        series without dates.
    """

    season: int | None = None
    name: ClassVar[str]
    """The name of the baseline in results tables."""

    def __post_init__(self) -> None:
        if self.season is not None:
            checked("season", self.season, Count)

    def predict(
        self, dataset: SeriesDataset, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        """Forecasts the `prediction_length` points that follow each item.

        Raises:
          ConfigError: If `prediction_length` is not a whole number of at least 1.
          MissingExtraError: If the baseline comes with an extra that is not installed.
        """
        checked("prediction_length", prediction_length, Count)
        levels = tuple(sorted({0.5, *config.quantile_levels}))
        pasts = [row for target in dataset.targets for row in target]
        each = [self.season or (step.season if step else 1) for step in dataset.frequencies]
        seasons = np.repeat(each, len(dataset.target_names))
        known = None if config.covariates == "none" else dataset.known_covariates
        values = np.empty((len(pasts), len(levels), prediction_length))
        for season in np.unique(seasons).tolist():
            rows = np.flatnonzero(seasons == season)
            alike = [pasts[row] for row in rows]
            more = [known[row // len(dataset.target_names)] for row in rows] if known else None
            values[rows] = self.quantiles(Asked(alike, prediction_length, season, levels, more))
        medians = values[:, levels.index(0.5)]
        return Forecast(dataset, quantile_levels=levels, values=values, means=medians)

    @abc.abstractmethod
    def quantiles(self, asked: Asked) -> Float[np.ndarray, "B Q P"]:
        """Forecasts series that have the same season.

        Args:
          asked: The series and the points ahead.

        Returns:
          The quantiles `[B, Q, P]` of each series, level and point, in the units of the series.
        """
