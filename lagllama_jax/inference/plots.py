"""Plots a forecast with Matplotlib."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lagllama_jax.errors import ConfigError, DataError, require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lagllama_jax.inference.forecast import Forecast

MAX_PANELS = 8
PAST, MEDIAN, TRUTH = "#3d4451", "#0b4f8a", "#d9480f"
NARROW, WIDE = np.array([0.45, 0.68, 0.90]), np.array([0.87, 0.93, 0.98])
"""Colours (RGB, 0 to 1) of the narrowest and the widest interval."""


def plot_forecast(
    forecast: "Forecast",
    series: Sequence[str] | str | None,
    history: int | None,
    truth: Any,
    levels: Sequence[float],
) -> "Figure":
    """Plots a forecast. The arguments and errors are those of `Forecast.plot`."""
    pyplot = require("matplotlib.pyplot", "plot")
    numbers = _numbers(forecast, series)
    truths = _truths(forecast, truth)
    columns = 1 if len(numbers) <= 2 else 2
    rows = -(-len(numbers) // columns)
    figure, axes = pyplot.subplots(
        rows,
        columns,
        figsize=(9 if columns == 1 else 12, 3.6 if rows == 1 else 2.8 * rows),
        layout="constrained",
        squeeze=False,
    )
    for axis in axes.flat[len(numbers) :]:
        axis.set_visible(False)
    for axis, number in zip(axes.flat, numbers, strict=False):
        _panel(axis, forecast, number, history, None if truths is None else truths[number], levels)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def _numbers(forecast: "Forecast", series: Sequence[str] | str | None) -> list[int]:
    if series is None:
        return list(range(min(len(forecast), MAX_PANELS)))
    wanted = [series] if isinstance(series, str) else list(series)
    names = list(forecast.item_ids)
    unknown = [name for name in wanted if name not in names]
    if unknown or not wanted:
        raise ConfigError(f"No series {unknown} in this forecast; it has {', '.join(names[:8])}.")
    return [names.index(name) for name in wanted]


def _truths(forecast: "Forecast", truth: Any) -> list[np.ndarray] | None:
    if truth is None:
        return None
    rows = [truth] if np.ndim(truth[0]) == 0 else list(truth)
    if len(rows) != len(forecast):
        raise DataError(f"Truth of {len(rows)} series for a forecast of {len(forecast)}.")
    return [np.asarray(row, dtype=np.float64)[: forecast.prediction_length] for row in rows]


def _panel(
    axis: "Axes",
    forecast: "Forecast",
    number: int,
    history: int | None,
    truth: np.ndarray | None,
    levels: Sequence[float],
) -> None:
    length = forecast.prediction_length
    past = forecast.past[number]
    shown = min(max(3 * length, 72) if history is None else history, len(past))
    if shown:
        _past(axis, ticks(forecast.stamps(number, -shown, shown)), past[len(past) - shown :])
    coming = ticks(forecast.stamps(number, 0, length))
    marker = "o" if length == 1 else None
    shades = np.linspace(WIDE, NARROW, len(levels)) if len(levels) > 1 else [NARROW]
    for level, shade in zip(sorted(levels, reverse=True), shades, strict=True):
        ends = forecast.quantiles([(1 - level) / 2, (1 + level) / 2], number)[0]
        _interval(axis, coming, ends, level, tuple(shade))
    median = forecast.quantiles([0.5], number)[0, 0]
    axis.plot(coming, median, color=MEDIAN, linewidth=1.8, marker=marker, label="median")
    if truth is not None:
        style: dict[str, Any] = {"color": TRUTH, "linewidth": 1.3, "marker": marker}
        axis.plot(coming[: len(truth)], truth, label="actual", **style)
    unnamed = len(forecast) == 1 and list(forecast.dataset.labels) == [0]
    title = "" if unnamed else forecast.item_ids[number]
    decorate(axis, title, dated=forecast.dated(number))


def _past(axis: "Axes", known: np.ndarray, past: np.ndarray) -> None:
    """Plots the past as a line with breaks at gaps, and single values between gaps as dots."""
    axis.plot(known, past, color=PAST, linewidth=1.3, label="past")
    missing = np.isnan(np.pad(past, 1, constant_values=np.nan))
    alone = ~missing[1:-1] & missing[:-2] & missing[2:]
    if alone.any():
        axis.plot(known[alone], past[alone], ".", color=PAST, markersize=4)


def _interval(
    axis: "Axes", coming: np.ndarray, ends: np.ndarray, level: float, colour: tuple[float, ...]
) -> None:
    low, high = ends
    name = f"{100 * level:g} % interval"
    if len(coming) == 1:
        axis.vlines(coming, low, high, color=colour, linewidth=12, label=name)
    else:
        axis.fill_between(coming, low, high, color=colour, linewidth=0, label=name)


def ticks(stamps: Any) -> np.ndarray:
    """Time stamps for Matplotlib, without their time zone, so that it shows the local clock."""
    if hasattr(stamps, "tz_localize"):
        return np.asarray(stamps.tz_localize(None).to_numpy())
    return np.asarray(stamps)


def decorate(axis: "Axes", title: str, dated: bool) -> None:
    """Gives a panel its title, its grid and, if it has dates, short labels of dates."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    if dated:
        locator = AutoDateLocator()
        axis.xaxis.set_major_locator(locator)
        axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axis.set_title(title, loc="left", fontsize=11, parse_math=False)  # names may have a $
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="#e5e7eb", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.margins(x=0.01)
