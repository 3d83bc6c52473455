"""The table and the picture of the compared scalers."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.evaluation.plots import OTHER, OWN, save
from lagllama_jax.evaluation.report import markdown_table
from lagllama_jax.files import atomic_path


def write_report(rows: pd.DataFrame, folder: Path) -> str:
    """Writes scalers.md and scalers.png, and returns the table.

    Args:
      rows: The rows of scalers.csv.
      folder: Where the two files are written.
    """
    table = summary(rows)
    with atomic_path(folder / "scalers.md") as temporary:
        temporary.write_text(table)
    save(picture(rows), folder / "scalers.png")
    return table


def summary(rows: pd.DataFrame) -> str:
    """A Markdown table of means over seeds, with one line per scaler, sorted by CRPS."""
    header = (
        "scaler",
        "CRPS / naive (lowest to highest seed)",
        "MASE / naive",
        "80 % coverage",
        "better than naive on",
        "seconds",
        "trainings",
    )
    lines = []
    groups = sorted(rows.groupby("scaler"), key=lambda group: group[1]["crps"].mean())
    for scaler, group in groups:
        mean, crps = group.mean(numeric_only=True), group["crps"]
        finished = int((group["outcome"] == "finished").sum())
        line = (
            scaler,
            f"{crps.mean():.3f} ({crps.min():.3f} to {crps.max():.3f})",
            f"{mean['mase']:.3f}",
            f"{mean['coverage_80']:.0%}",
            f"{mean['better_than_naive']:.0%}",
            f"{mean['seconds']:.0f}",
            f"{finished} of {len(group)} finished",
        )
        lines.append(line)
    return markdown_table(header, lines) + "\n"


def picture(rows: pd.DataFrame) -> Any:
    """Plots the CRPS relative to seasonal naive of each scaler on a logarithmic axis."""
    from matplotlib.figure import Figure

    means = rows.groupby("scaler")["crps"].mean().sort_values(ascending=False).dropna()
    figure = Figure((6.4, 0.9 + 0.4 * len(means)), layout="constrained")
    axes = figure.subplots()
    axes.hlines(means.index, np.minimum(means, 1), np.maximum(means, 1), color=OTHER)
    axes.plot(rows["crps"], rows["scaler"], "o", color=OWN, alpha=0.6)
    axes.axvline(1.0, color="black", linewidth=0.8)
    for scaler, value in means.items():
        axes.annotate(
            f"{value:.3f}", (value, scaler), (0, 7), textcoords="offset points", ha="center",
            fontsize=8,
        )  # fmt: skip
    axes.set(xscale="log", xlabel="CRPS relative to seasonal naive (the line at 1)")
    axes.margins(x=0.15, y=0.2)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
