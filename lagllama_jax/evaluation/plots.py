"""Pictures of results: ratio bars, calibration, example forecasts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lagllama_jax.errors import require
from lagllama_jax.evaluation.backtest import Row
from lagllama_jax.evaluation.forecasters import Prediction
from lagllama_jax.evaluation.metrics import LEVELS
from lagllama_jax.evaluation.windows import Windows
from lagllama_jax.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OWN, OTHER = "#c1440e", "#9aa5b1"


def _figure(width: float, height: float) -> "Figure":
    """A figure of its own: the user's pyplot state is left alone."""
    return require("matplotlib.figure", "plot").Figure((width, height), layout="constrained")


def save(figure: "Figure", path: Path) -> None:
    """Writes a figure, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=130)


def ratio_bars(means: Mapping[str, tuple[float, float]], own: str, title: str = "") -> "Figure":
    """Models by geometric mean CRPS relative to the reference (the line at 1); ours stands out.

    Args:
      means: model to relative CRPS and MASE, as `report.relative` returns.
      own: the model in colour.
      title: of the picture.
    """
    names = list(means)[::-1]
    values = [means[name][0] for name in names]
    figure = _figure(7, 0.8 + 0.26 * len(names))
    axes = figure.add_subplot()
    bars = axes.barh(names, values, color=[OWN if name == own else OTHER for name in names])
    axes.bar_label(bars, fmt="%.3f", padding=3, fontsize=8)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set(xlabel="CRPS relative to seasonal naive, geometric mean (lower is better)")
    axes.set_title(title)
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def calibration(rows: Sequence[Row]) -> "Figure":
    """Share of points at or below each decile, one line a task; the diagonal is perfect."""
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
    windows: Windows,
    prediction: Prediction,
    levels: Sequence[float],
    title: str = "",
    count: int = 3,
) -> "Figure":
    """A few windows, spread evenly: the end of the past, what came, median and 80 % interval.

    Args:
      windows: what was asked.
      prediction: what was answered, at `levels`; in the units of the series, as the axis is.
      levels: must hold 0.1, 0.5 and 0.9.
      title: of the picture.
      count: at most that many windows.

    Raises:
      MissingExtraError: Matplotlib is not installed.
    """
    chosen = np.linspace(0, len(windows) - 1, min(count, len(windows))).round().astype(int)
    lower, median, upper = (
        prediction.quantiles[:, list(levels).index(level)] for level in (0.1, 0.5, 0.9)
    )
    figure = _figure(4 * len(chosen), 3)
    ahead = np.arange(windows.prediction_length)
    for axes, number in zip(figure.subplots(1, len(chosen), squeeze=False)[0], chosen, strict=True):
        past = windows.past[number][-3 * windows.prediction_length :]
        axes.plot(np.arange(-len(past), 0), past, color="black", linewidth=0.8)
        axes.plot(ahead, windows.target[number], color="black", linewidth=0.8, label="observed")
        axes.plot(ahead, median[number], color=OWN, label="median")
        axes.fill_between(
            ahead, lower[number], upper[number], color=OWN, alpha=0.25, label="80 % interval"
        )
        axes.set_title(windows.item_ids[number], fontsize=9)
    figure.suptitle(title, fontsize=10)
    axes.legend(fontsize=7)
    return figure
