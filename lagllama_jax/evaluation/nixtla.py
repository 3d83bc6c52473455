"""`CalledLikeNixtla`: the methods of `LagLlama` in the calling style of Nixtla's packages."""

from collections.abc import Sequence
from typing import Any


class CalledLikeNixtla:
    """Forecasts and cross-validation with the arguments and columns of Nixtla's packages."""

    def forecast(
        self,
        df: Any,
        h: int,
        X_df: Any = None,
        level: Sequence[float] | None = None,
        *,
        id_col: str | None = None,
        time_col: str | None = None,
        target_col: str | None = None,
        **options: Any,
    ) -> Any:
        """Forecasts the series of a data frame, in the calling style of Nixtla's packages.

        The numbers are those of `predict_df`.

        Args:
          df: A data frame as in `predict_df`.
          h: Number of time steps to forecast.
          X_df: A data frame of known covariates, as `future_df` in `predict_df`.
          level: Coverages of central prediction intervals in percent, such as `[80, 95]`.
          id_col: Column of the names of the series, if it has another name than in `predict_df`.
          time_col: Column of the time stamps, likewise.
          target_col: Column of the values, likewise.
          **options: `freq`, and further arguments of `predict`.

        Returns:
          A data frame of the kind of `df` with names and time stamps, `LagLlama` (the median), and
          the ends of the intervals, such as `LagLlama-lo-80` and `LagLlama-hi-80`.

        Raises:
          DataError: As in `predict_df`.
          ConfigError: As in `predict`, or if a level is not a percentage.

        Examples:
          >>> import pandas as pd
          >>> from lagllama_jax import LagLlama
          >>> days = pd.date_range("2026-01-01", periods=60)
          >>> df = pd.DataFrame({"unique_id": "shop", "ds": days, "y": range(60)})
          >>> list(LagLlama.from_pretrained().forecast(df, h=7, level=[80]).columns)
          ['unique_id', 'ds', 'LagLlama', 'LagLlama-lo-80', 'LagLlama-hi-80']
        """
        from lagllama_jax.evaluation.intervals import forecast_intervals

        columns = (id_col, time_col, target_col)
        return forecast_intervals(self, df, h, X_df, level, columns, **options)

    def cross_validation(
        self,
        df: Any,
        h: int,
        n_windows: int = 1,
        step_size: int = 1,
        *,
        level: Sequence[float] | None = None,
        id_col: str | None = None,
        time_col: str | None = None,
        target_col: str | None = None,
        **options: Any,
    ) -> Any:
        """Forecasts the last windows of series, in the calling style of Nixtla's packages.

        Args:
          df: A data frame as in `predict_df`. Columns of covariates are not used.
          h: Number of time steps of a window.
          n_windows: Number of windows at the end of each series.
          step_size: Number of time steps from one window to the next.
          level: Coverages of central prediction intervals in percent.
          id_col: Column of the names of the series, if it has another name than in `predict_df`.
          time_col: Column of the time stamps, likewise.
          target_col: Column of the values, likewise.
          **options: `freq`, and fields of `ForecastConfig`.

        Returns:
          A pandas data frame with names and time stamps, `cutoff` (the last time before the
          window), the true values, and the columns of `forecast`.

        Raises:
          DataError: If the data are invalid, or a series is too short for its windows.
          ConfigError: If a number or a level is invalid.
        """
        from lagllama_jax.evaluation.intervals import cross_validate_intervals

        columns = (id_col, time_col, target_col)
        return cross_validate_intervals(
            self, df, h, n_windows, step_size, level, columns, **options
        )
