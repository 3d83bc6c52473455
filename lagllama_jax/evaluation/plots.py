"""Pictures of results: relative scores, calibration and example forecasts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lagllama_jax.errors import require
from lagllama_jax.evaluation.metrics import LEVELS
from lagllama_jax.evaluation.scores import Row
from lagllama_jax.evaluation.windows import EvaluationWindows
from lagllama_jax.files import atomic_path, make_folder
from lagllama_jax.inference.forecast import Forecast

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OWN, OTHER = "#c1440e", "#9aa5b1"


def _figure(width: float, height: float) -> "Figure":
    """A new figure that does not change the user's pyplot state."""
    return require("matplotlib.figure", "plot").Figure((width, height), layout="constrained")


def save(figure: "Figure", path: Path) -> None:
    """Writes a figure to a file atomically, and closes it."""
    make_folder(path.parent)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=130)
    require("matplotlib.pyplot", "plot").close(figure)


def ratio_bars(means: Mapping[str, tuple[float, float]], own: str) -> "Figure":
    """Plots the models' geometric mean CRPS relative to the reference, which is a line at 1.

    Args:
      means: Relative CRPS and MASE of each model, as `report.relative` returns them.
      own: The model that is drawn in colour.

    Raises:
      MissingExtraError: If Matplotlib is not installed.
    """
    names = list(means)[::-1]
    values = [means[name][0] for name in names]
    figure = _figure(7, 0.8 + 0.26 * len(names))
    axes = figure.add_subplot()
    bars = axes.barh(names, values, color=[OWN if name == own else OTHER for name in names])
    axes.bar_label(bars, fmt="%.3f", padding=3, fontsize=8)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set(xlabel="CRPS relative to seasonal naive, geometric mean (lower is better)")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def calibration(rows: Sequence[Row]) -> "Figure":
    """Plots the share of points at or below each decile, with one line per task.

    Raises:
      MissingExtraError: If Matplotlib is not installed.
    """
    figure = _figure(5, 5)
    axes = figure.add_subplot()
    shares = np.array([[row[f"below_{level}"] for level in LEVELS] for row in rows])
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8)
    axes.plot(LEVELS, shares.T, color=OTHER, linewidth=1)
    axes.plot(LEVELS, shares.mean(0), color=OWN, linewidth=2.5, label="mean over tasks")
    axes.set(xlabel="quantile level", ylabel="share of points at or below", xlim=(0, 1))
    axes.set(ylim=(0, 1), aspect="equal", title=f"{rows[0]['model']}, {len(rows)} task(s)")
    axes.legend()
    return figure


def examples(
    windows: EvaluationWindows, forecast: Forecast, title: str = "", count: int = 3
) -> "Figure":
    """Plots at most `count` evenly spread windows: past, true values, median and 80 % interval.

    The forecast is that of `windows.dataset`, with the levels 0.1, 0.5 and 0.9.

    Raises:
      MissingExtraError: If Matplotlib is not installed.
    """
    chosen = np.linspace(0, len(forecast) - 1, min(count, len(forecast))).round().astype(int)
    names = [forecast.item_ids[number] for number in chosen]
    history = 3 * windows.prediction_length
    figure = forecast.plot(names, history=history, truth=windows.target, levels=(0.8,))
    figure.suptitle(title, fontsize=10)
    return figure
