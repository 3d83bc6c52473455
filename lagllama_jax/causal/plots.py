"""Plots the effect of an intervention with Matplotlib."""

from typing import TYPE_CHECKING, Any

import numpy as np

from lagllama_jax.causal.effect import Effect
from lagllama_jax.causal.report import running
from lagllama_jax.errors import require
from lagllama_jax.inference.plots import MEDIAN, PAST

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHADE = "#c9dcee"


def plot_effect(effect: Effect) -> "Figure":
    """Plots an effect in three panels, as `Effect.plot` says."""
    pyplot = require("matplotlib.pyplot", "plot")
    study = effect.study
    figure, axes = pyplot.subplots(3, 1, figsize=(10, 8), sharex=True, layout="constrained")
    times = study.times
    if hasattr(times, "tz_localize"):
        times = times.tz_localize(None).to_numpy()
    times = np.asarray(times)
    after = times[study.before :]
    past = np.mean([target[0] for target in study.dataset.targets], axis=0)
    low, high = np.quantile(effect.counterfactual, [0.025, 0.975], axis=0)
    axes[0].fill_between(after, low, high, color=SHADE, linewidth=0, label="95 % interval")
    axes[0].plot(times, np.concatenate([past, effect.actual]), color=PAST, lw=1.3, label="actual")
    line: dict[str, Any] = {"color": MEDIAN, "linewidth": 1.6, "linestyle": "--"}
    axes[0].plot(after, effect.predicted, label="without the intervention", **line)
    units = study.units
    name = units[0] if len(units) == 1 else f"mean of {len(units)} units"
    axes[0].set_title(name, loc="left", fontsize=11, parse_math=False)  # it may have a $
    axes[0].legend(
        frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=9, borderpad=0
    )
    difference = effect.actual - effect.predicted
    _difference(axes[1], after, difference, effect.actual - high, effect.actual - low)
    axes[1].set_title("effect of each time step", loc="left", fontsize=11)
    _difference(axes[2], after, *running(effect))
    axes[2].set_title("cumulative effect", loc="left", fontsize=11)
    for axis in axes:
        axis.axvline(after[0], color="#8a8f98", linewidth=1, linestyle=":")
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color="#e5e7eb", linewidth=0.8)
        axis.set_axisbelow(True)
        axis.margins(x=0.01)
    if study.staggered:
        axes[2].set_xlabel("time steps since the intervention on each unit", fontsize=10)
    figure.supxlabel(effect.verdict, fontsize=10, x=0.01, ha="left")
    return figure


def _difference(axis: "Axes", times: Any, middle: Any, low: Any, high: Any) -> None:
    axis.fill_between(times, low, high, color=SHADE, linewidth=0)
    axis.plot(times, middle, color=MEDIAN, linewidth=1.5)
    axis.axhline(0, color="#8a8f98", linewidth=0.8)
