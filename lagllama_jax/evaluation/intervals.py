"""Forecasts and cross-validation in the calling style and with the column names of Nixtla."""

import numbers
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.config import ForecastConfig
from lagllama_jax.config.base import check
from lagllama_jax.evaluation.cross_validation import cross_validate
from lagllama_jax.series.dataframe import read_frame
from lagllama_jax.series.frames import like

NAME = "LagLlama"


def interval_columns(level: Any) -> dict[str, float]:
    """The columns of central prediction intervals and their quantile levels, in Nixtla's order.

    Args:
      level: A list of coverages in percent, such as 80, or `None`.

    Raises:
      ConfigError: If it is no list, or a coverage is not a number from 1 to below 100.

    >>> interval_columns([80])
    {'LagLlama-lo-80': 0.1, 'LagLlama-hi-80': 0.9}
    """
    given = () if level is None else level
    check(np.iterable(given), f"level={level!r} must be a list of percentages, such as [80].")
    for width in given:
        inside = isinstance(width, numbers.Real) and 1 <= float(width) < 100
        check(inside, f"level={width!r} must be a percentage from 1 to below 100, such as 80.")
    widths = sorted(set(given))
    low = {f"{NAME}-lo-{width:g}": round(0.5 - width / 200, 12) for width in reversed(widths)}
    high = {f"{NAME}-hi-{width:g}": round(0.5 + width / 200, 12) for width in widths}
    return low | high


def forecast_intervals(
    model: Any,
    df: Any,
    h: int,
    X_df: Any = None,
    level: Sequence[float] | None = None,
    columns: Sequence[Hashable | None] = (None, None, None),
    **options: Any,
) -> Any:
    """The table of `LagLlama.forecast`, whose arguments these are.

    Args:
      model: A `LagLlama`.
      df: The data frame.
      h: Number of time steps to forecast.
      X_df: The known covariates of the horizon.
      level: Coverages of intervals in percent.
      columns: Names of the columns of names, time stamps and values.
      **options: `freq`, and further arguments of `LagLlama.predict`.
    """
    named = interval_columns(level)
    freq = options.pop("freq", None)
    item_id, timestamp, target = columns
    read = read_frame(
        df,
        future=X_df,
        prediction_length=h,
        freq=freq,
        id_column=item_id,
        timestamp_column=timestamp,
        target=target,
    )
    read.check_columns([NAME, *named])
    levels = _levels(named, options)
    forecast = model.predict(read, h, quantile_levels=levels, **options)
    return like(df, with_names(forecast.to_frame(), list(named)), read)


def cross_validate_intervals(
    model: Any,
    df: Any,
    h: int,
    n_windows: int,
    step_size: int,
    level: Sequence[float] | None = None,
    columns: Sequence[Hashable | None] = (None, None, None),
    **options: Any,
) -> pd.DataFrame:
    """The table of `LagLlama.cross_validation`, whose arguments these are.

    Args:
      model: A `LagLlama`.
      df: The data frame.
      h: Number of time steps of a window.
      n_windows: Number of windows per series.
      step_size: Number of time steps from one window to the next.
      level: Coverages of intervals in percent.
      columns: Names of the columns of names, time stamps and values.
      **options: `freq`, and fields of `ForecastConfig`.
    """
    named = interval_columns(level)
    check(NAME not in columns, f"{NAME!r} is the column of the forecast: rename that of the input.")
    levels = _levels(named, options)
    names = ("id_column", "timestamp_column", "target")
    reading = {"freq": options.pop("freq", None), **dict(zip(names, columns, strict=True))}
    config = ForecastConfig.of(**options)
    table = cross_validate(
        model, df, h, n_windows, step_size, quantile_levels=levels, config=config, **reading
    )
    return with_names(table, list(named))


def _levels(named: dict[str, float], options: dict[str, Any]) -> tuple[float, ...]:
    """The quantile levels of a forecast with some intervals.

    Raises:
      ConfigError: If quantile levels are among the options.
    """
    given = options.pop("quantile_levels", None)
    check(given is None, f"quantile_levels={given!r} are given by level here, such as level=[80].")
    return tuple(named.values()) or (0.5,)


def with_names(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """A table with `predictions` named after the model, and its last columns by `names`.

    Without names, the last column is left out.
    """
    kept = list(table.columns[: -max(len(names), 1)])
    kept[kept.index("predictions")] = NAME
    if not names:
        return table.iloc[:, :-1].set_axis(kept, axis=1)
    return table.set_axis([*kept, *names], axis=1)
