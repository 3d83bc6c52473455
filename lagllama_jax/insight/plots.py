"""Pictures of scores, attention weights and attributions, by Matplotlib."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lagllama_jax.config import Count, checked
from lagllama_jax.errors import ConfigError, require
from lagllama_jax.inference.plots import MEDIAN, PAST, TRUTH, decorate, ticks
from lagllama_jax.series.dataset import SeriesDataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lagllama_jax.insight.anomalies import AnomalyScores
    from lagllama_jax.insight.attention import AttentionWeights
    from lagllama_jax.insight.attribution import LagAttribution

MOST_PANELS, MOST_STEPS, NAMED = 4, 6, 4
INTERVAL = "#bcd3ea"


def plot_scores(
    scores: "AnomalyScores", series: Sequence[str] | str | None, history: int | None
) -> "Figure":
    """Plots anomaly scores. The arguments and errors are those of `AnomalyScores.plot`."""
    names = scores.item_ids
    wanted = names[:MOST_PANELS] if series is None else series
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    unknown = [name for name in wanted if name not in names]
    if unknown or not wanted:
        raise ConfigError(f"No series {unknown} in these scores; they have {', '.join(names[:8])}.")
    figure, axes = _panels(len(wanted), 3.2)
    for axis, name in zip(axes, wanted, strict=True):
        row = names.index(name)
        values = scores.observed[row]
        last = slice(-_span(history, len(values)), None)
        times, tail = ticks(scores.stamps(row))[last], scores.tail_probability[row][last]
        ends = scores.lower[row][last], scores.upper[row][last]
        label = f"{100 * scores.coverage:g} % interval"
        axis.fill_between(times, *ends, color=INTERVAL, linewidth=0, label=label)
        axis.plot(times, values[last], color=PAST, linewidth=0.9, label="observed")
        rare = tail < scores.threshold
        found = f"tail probability below {scores.threshold:g}"
        axis.plot(times[rare], values[last][rare], "o", color=TRUTH, markersize=4, label=found)
        decorate(axis, name, dated=scores.dataset.starts[row] is not None)
    _legend(figure, axes[0])
    return figure


def plot_attention(weights: "AttentionWeights", layer: int | None, head: int | None) -> "Figure":
    """Plots attention weights. Arguments and errors are those of `AttentionWeights.plot`."""
    pyplot = require("matplotlib.pyplot", "plot")
    mean = weights.mean(layer, head)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    shown = np.where(mean > 0, mean, np.nan)
    most = np.nanquantile(shown, 0.99)  # the first rows have few keys, and so large weights
    image = left.imshow(shown, aspect="auto", cmap="Blues", vmin=0, vmax=most)
    figure.colorbar(image, ax=left, label="weight", extend="max")
    _time_axis(left.xaxis, weights, weights.key_steps)
    _time_axis(left.yaxis, weights, weights.query_steps)
    itself = len(weights.key_steps) < mean.shape[1]
    left.set_xlabel("step of the key" + " (last column: the query itself)" * itself)
    left.set_ylabel("step that the query describes")
    lag = weights.query_steps[:, None] - weights.key_steps
    within = mean[:, : lag.shape[1]]
    lags = np.arange(1, lag.max() + 1)
    profile = [within[lag == one].mean() for one in lags.tolist()]
    right.bar(lags, profile, width=0.8, color=MEDIAN)
    right.set_xlabel("lag of the key, in steps before the described one")
    right.set_ylabel("mean weight")
    right.spines[["top", "right"]].set_visible(False)
    which = ["mean of all" if one is None else f"{one}" for one in (layer, head)]
    figure.suptitle(f"Attention weights (layer: {which[0]}, head: {which[1]})", fontsize=11)
    return figure


def plot_attribution(found: "LagAttribution", history: int | None) -> "Figure":
    """Plots an attribution. The arguments and errors are those of `LagAttribution.plot`."""
    shown = found.steps[:MOST_STEPS]
    numbers = (found.values + found.observed)[: len(shown)]
    past = found.dataset.targets[0][0]
    last = _span(history, len(past), _telling(numbers))
    last = min(last, numbers.shape[1])
    times = ticks(found.stamps(1 - last, last))
    figure, axes = _panels(1 + len(shown), 1.9, shared=True)
    axes[0].plot(times, past[len(past) - last :], color=PAST, linewidth=1.1, label="past")
    coming = np.concatenate([ticks(found.stamps(int(step), 1)) for step in shown])
    for name, colour, marker in (("location", MEDIAN, "o"), ("baseline", TRUTH, "x")):
        style: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": "", "label": name}
        axes[0].plot(coming, getattr(found, name)[: len(shown)], **style)
    _legend(figure, axes[0])
    dated = found.dataset.starts[0] is not None
    decorate(axes[0], found.dataset.item_ids[0], dated)
    for axis, step, row in zip(axes[1:], shown.tolist(), numbers[:, -last:], strict=True):
        axis.vlines(times, 0, row, color=np.where(row > 0, MEDIAN, TRUTH), linewidth=1.4)
        axis.axhline(0, color=PAST, linewidth=0.6)
        for place in _apart(np.abs(row)):
            distance = step + last - 1 - place
            where = (0, 2) if row[place] > 0 else (0, -9)
            options: dict[str, Any] = {"xytext": where, "textcoords": "offset points"}
            axis.annotate(
                f"{distance}", (times[place], row[place]), ha="center", fontsize=7, **options
            )
        stamp = found.stamps(step, 1)[0]
        when = f"{stamp:%a {_pattern(found.dataset)}}" if dated else f"step {stamp}"
        words = f"contributions to the forecast of {when} (labels: steps before it)"
        words += _covariates_in_words(found, step)
        decorate(axis, words, dated)
    return figure


def _covariates_in_words(found: "LagAttribution", step: int) -> str:
    """The largest contributions of known covariates to a step."""
    numbers = found.covariates[found.steps.tolist().index(step)]
    largest = np.argsort(-np.abs(numbers))[:NAMED]
    parts = [f"{found.covariate_names[place]} {numbers[place]:+.3g}" for place in largest]
    return f"\nknown covariates: {', '.join(parts)}" if parts else ""


def _telling(numbers: np.ndarray) -> int:
    """Number of last steps that hold 99 % of the contributions of each row."""
    size = np.abs(numbers)
    before = np.cumsum(size, axis=1) / np.maximum(size.sum(1, keepdims=True), 1e-300)
    return int((before > 0.01).sum(1).max(initial=1))


def _apart(size: np.ndarray) -> list[int]:
    """Places of the largest entries that are far enough apart to be labelled."""
    chosen: list[int] = []
    for place in np.argsort(-size).tolist():
        if all(abs(place - other) > len(size) / 40 for other in chosen):
            chosen.append(place)
        if len(chosen) == NAMED:
            break
    return chosen


def _span(history: int | None, length: int, usual: int | None = None) -> int:
    """Number of last steps to plot."""
    wanted = (usual or length) if history is None else int(checked("history", history, Count))
    return max(1, min(wanted, length))


def _panels(count: int, height: float, shared: bool = False) -> tuple["Figure", list["Axes"]]:
    pyplot = require("matplotlib.pyplot", "plot")
    size = (10, height * count + 0.6)
    options = {"layout": "constrained", "squeeze": False, "sharex": shared}
    figure, axes = pyplot.subplots(count, 1, figsize=size, **options)
    return figure, list(axes.flat)


def _legend(figure: "Figure", axis: "Axes") -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)


def _pattern(dataset: SeriesDataset) -> str:
    """The format of the time stamps of a series."""
    frequency = dataset.frequencies[0]
    return "%Y-%m-%d %H:%M" if frequency is not None and frequency.within_day else "%Y-%m-%d"


def _time_axis(axis: Any, weights: "AttentionWeights", steps: np.ndarray) -> None:
    """Labels a few of the steps of an axis by their time stamps."""
    places = np.unique(np.linspace(0, len(steps) - 1, 6).astype(int))
    stamps = weights.stamps(steps)
    dated = weights.dataset.starts[0] is not None
    pattern = _pattern(weights.dataset).replace(" ", "\n")
    labels = [f"{stamps[place]:{pattern}}" if dated else f"{stamps[place]}" for place in places]
    axis.set_ticks(places, labels, fontsize=7)
