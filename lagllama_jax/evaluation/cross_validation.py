"""`cross_validate`: forecasts of the last windows of the user's series."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lagllama_jax.config import DEFAULT_LEVELS, ForecastConfig, check, check_levels
from lagllama_jax.errors import DataError
from lagllama_jax.evaluation.baselines import baseline
from lagllama_jax.evaluation.fingerprint import DEFAULTS
from lagllama_jax.evaluation.windows import cut
from lagllama_jax.inference.forecast import frame_columns
from lagllama_jax.series.dataframe import read_frame


def cross_validate(
    model: Any,
    df: Any,
    prediction_length: int,
    num_windows: int = 1,
    step: int | None = None,
    *,
    quantile_levels: Sequence[float] = DEFAULT_LEVELS,
    config: ForecastConfig = DEFAULTS,
    **reading: Any,
) -> pd.DataFrame:
    """Forecasts the last windows of every series of a data frame, each from the points before it.

    Args:
      model: A `Predictor`, the name of a baseline, or a `LagLlama`.
      df: A data frame as for `predict_df`: long, with `item_id, timestamp, target` or
        `unique_id, ds, y`, or wide.
      prediction_length: Number of points in each window.
      num_windows: Number of windows at the end of each series.
      step: Number of points from one window to the next. `None`: `prediction_length`, so that the
        windows do not overlap.
      quantile_levels: Quantile levels, one column each.
      config: Configuration of the forecasts.
      **reading: How the data frame is read: `freq`, `id_column`, `timestamp_column`, `target` (one
        column) and the other arguments of `predict_df` of this kind.

    Returns:
      One row per series, window and time step: the name and time columns of `df`, `cutoff` (the
      last time before the window), the true value (under the name of its column if `target`
      is given, otherwise `target`, or `y` beside `ds`), `predictions`
      (the median), and one column per quantile level.

    Raises:
      ConfigError: If a number of points or windows is not a whole number of at least 1, a level is
        outside (0, 1), or the baseline is unknown.
      DataError: If the frame cannot be read, or a series is too short for its windows.
      MissingExtraError: If the baseline comes with an extra that is not installed.

    Examples:
      >>> import pandas as pd
      >>> dates = pd.date_range("2024-01-01", periods=60, freq="D")
      >>> df = pd.DataFrame({"unique_id": "a", "ds": dates, "y": range(60)})
      >>> cross_validate("naive", df, prediction_length=7, quantile_levels=[0.9]).columns.tolist()
      ['unique_id', 'ds', 'cutoff', 'y', 'predictions', '0.9']
    """
    levels = check_levels(quantile_levels)
    asked = config.replace(quantile_levels=tuple(sorted({0.5, *levels})))
    series = read_frame(df, **reading)
    check(len(series.target_names) == 1, "Several targets: give one of them (target).")
    usual = "y" if series.timestamp_column == "ds" else "target"
    truth = usual if reading.get("target") is None else series.target_names[0]
    results = ["cutoff", *frame_columns(levels, series.target_names)]
    series.check_columns([truth, *results])
    if truth in results:
        raise DataError(
            f"The column {truth!r} of the input is named like one of the result. Give it another "
            "name."
        )
    windows = cut(series, prediction_length, num_windows, step)
    predictor = baseline(model) if isinstance(model, str) else model
    if hasattr(predictor, "predictor"):
        predictor = predictor.predictor()
    forecast = predictor.predict(windows.dataset, prediction_length, asked)
    frame = forecast.to_frame(levels)
    last = [pd.Series(forecast.stamps(row, -1, 1)) for row in range(len(windows))]
    frame.insert(2, "cutoff", pd.concat(last).repeat(prediction_length).array)
    frame.insert(3, truth, windows.target.ravel())
    return frame
