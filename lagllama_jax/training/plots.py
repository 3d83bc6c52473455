"""A plot of the losses of a run."""

from pathlib import Path

import numpy as np

from lagllama_jax.errors import require
from lagllama_jax.files import atomic_path
from lagllama_jax.training.metrics import read_metrics


def loss_curve(metrics: Path, picture: Path) -> None:
    """Plots training and validation loss against steps, in scaled units.

    Args:
      metrics: A file that `MetricsFile` wrote.
      picture: PNG, SVG or PDF file to write.

    Raises:
      MissingExtraError: If Matplotlib is not installed.
      DataError: If the file cannot be written.
    """
    figure = require("matplotlib.figure", "plot").Figure(figsize=(8, 4.5), layout="constrained")
    rows = read_metrics(metrics)
    axes = figure.subplots()
    step = np.array([row["step"] for row in rows])
    loss = np.array([row["scaled_loss"] for row in rows], float)
    axes.plot(step, loss, color="0.75", linewidth=0.8, label="training")
    width = max(len(loss) // 50, 1)
    if width > 1:
        smooth = np.convolve(loss, np.ones(width) / width, "valid")
        axes.plot(step[width - 1 :], smooth, color="tab:blue", label=f"mean of {width} rows")
    scored = [(row["step"], row["validation_loss"]) for row in rows if row["validation_loss"]]
    if scored:
        axes.plot(*zip(*scored, strict=True), "o-", color="tab:red", ms=3, label="validation")
    axes.set(xlabel="step", ylabel="loss (scaled units)")
    axes.legend()
    with atomic_path(picture) as temporary:
        figure.savefig(temporary, dpi=120)
