"""Draws the pictures of the page as SVG."""

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from lagllama_jax.errors import require
from lagllama_jax.inference.plots import MEDIAN, PAST, decorate, ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lagllama_jax.inference.forecast import Forecast

MOST_PATHS = 30
MOST_COVARIATES = 6
SHOWN = 72  # smallest number of past points that are drawn
_EFFECT = "#b7410e"


def as_svg(figure: "Figure") -> bytes:
    """A figure as SVG, which is closed. Texts are drawn as outlines, which need no fonts."""
    pyplot = require("matplotlib.pyplot", "app")
    written = io.BytesIO()
    figure.savefig(written, format="svg", metadata={"Date": None}, transparent=True)
    pyplot.close(figure)
    return written.getvalue()


def draw_paths(forecast: "Forecast", row: int) -> bytes:
    """Draws the first sample paths of a row of a forecast, after the end of its past."""
    pyplot = require("matplotlib.pyplot", "app")
    assert forecast.samples is not None
    figure, axis = pyplot.subplots(figsize=(9, 3.4), layout="constrained")
    _past(axis, forecast, row)
    coming = ticks(forecast.stamps(row, 0, forecast.prediction_length))
    drawn = forecast.samples[row, :MOST_PATHS]
    colours = pyplot.get_cmap("viridis")(np.linspace(0.05, 0.85, len(drawn)))
    for path, colour in zip(drawn, colours, strict=True):
        axis.plot(coming, path, color=colour, linewidth=0.9, alpha=0.65)
    decorate(axis, "", dated=forecast.dated(row))
    return as_svg(figure)


def draw_covariates(forecast: "Forecast", row: int) -> bytes:
    """Draws the effect of the known covariates on a row of a forecast, and the covariates."""
    pyplot = require("matplotlib.pyplot", "app")
    dataset, length = forecast.dataset, forecast.prediction_length
    item = row // len(dataset.target_names)
    assert dataset.known_covariates is not None
    values, names = dataset.known_covariates[item], dataset.known_names[:MOST_COVARIATES]
    panels = len(names) + (forecast.effect is not None)
    figure, axes = pyplot.subplots(
        panels,
        1,
        figsize=(9, 0.9 + 1.35 * panels),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    rest = list(axes.flat)
    shown = _shown(forecast, row)
    coming = ticks(forecast.stamps(row, 0, length))
    if forecast.effect is not None:
        axis = rest.pop(0)
        axis.axhline(0, color="#8a8f98", linewidth=0.8)
        axis.plot(coming, forecast.effect[row], color=_EFFECT, linewidth=1.6)
        decorate(axis, "effect on the forecast", dated=forecast.dated(row))
    times = ticks(forecast.stamps(row, -shown, shown + length))
    for axis, name, one in zip(rest, names, values, strict=False):
        axis.plot(times, one[len(one) - len(times) :], color=PAST, linewidth=1.2)
        decorate(axis, short(name), dated=forecast.dated(row))
    for axis in axes.flat:
        axis.axvline(coming[0], color=MEDIAN, linewidth=1, linestyle=":")
    return as_svg(figure)


def short(name: Any) -> str:
    """A name on one line, shortened for a title."""
    text = " ".join(str(name).split())
    return text if len(text) <= 60 else f"{text[:60]}…"


def _shown(forecast: "Forecast", row: int) -> int:
    return min(max(3 * forecast.prediction_length, SHOWN), len(forecast.past[row]))


def _past(axis: "Axes", forecast: "Forecast", row: int) -> None:
    shown, past = _shown(forecast, row), forecast.past[row]
    times = ticks(forecast.stamps(row, -shown, shown))
    axis.plot(times, past[len(past) - shown :], color=PAST, linewidth=1.3)
