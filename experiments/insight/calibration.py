"""Checks whether one-step tail probabilities are calibrated on series that were not trained on.

python experiments/insight/calibration.py
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import tyro

from lagllama_jax import LagLlama
from lagllama_jax.corpus.formats.parquet import read_parquet
from lagllama_jax.evaluation.datasets import ett, exchange_rate
from lagllama_jax.files import write_rows
from lagllama_jax.series.dataset import SeriesDataset

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("LAGLLAMA_SHARED", HERE / "../../../shared"))
SETS = ("ETTh1", "ETTh2", "ETTm1", "ETTm2", "m4_hourly", "beijing_pm25", "exchange_rate")
BINS, THRESHOLDS = 20, (0.1, 0.05, 0.01, 0.001, 0.0001)


@dataclass(frozen=True)
class Arguments:
    """What is checked.

    Attributes:
      model: `box` for the bundled weights, or a folder.
      data_dir: Folder of the evaluation sets.
      sets: Names of the data sets.
      steps: Largest number of last steps per series.
      series: Largest number of series per data set.
      output: Folder for the table and the picture.
    """

    model: str = "box"
    data_dir: Path = SHARED / "data/evaluation"
    sets: tuple[str, ...] = SETS
    steps: int = 4000
    series: int = 100
    output: Path = HERE / "results"


def read(folder: Path, name: str) -> SeriesDataset:
    """Held-out series."""
    if name.startswith("ETT"):
        return ett(folder / f"{name}.csv.gz", "H" if name[3] == "h" else "15T")
    if name == "exchange_rate":
        return exchange_rate(folder / "exchange_rate.txt.gz")
    return read_parquet(folder / f"{name}.parquet")


def last(dataset: SeriesDataset, steps: int) -> SeriesDataset:
    """The last `steps` steps of each series, with their dates."""
    targets, starts = [], []
    for row, target in enumerate(dataset.targets):
        count = min(steps, target.shape[1])
        targets.append(target[:, -count:])
        starts.append(dataset.timestamps(row, -count, 1)[0])
    return replace(dataset, targets=targets, starts=starts)


def main(arguments: Arguments) -> None:
    model = LagLlama.from_pretrained(arguments.model)
    rows, histograms = [], {}
    for name in arguments.sets:
        whole = read(arguments.data_dir, name)
        chosen = np.linspace(0, len(whole) - 1, min(arguments.series, len(whole))).astype(int)
        scores = model.score(last(whole.take(chosen.tolist()), arguments.steps))
        below, tail = (
            np.concatenate(part) for part in (scores.probability, scores.tail_probability)
        )
        below, tail = below[np.isfinite(below)], tail[np.isfinite(tail)]
        histograms[name] = np.histogram(below, BINS, (0, 1))[0] / len(below) * BINS
        row = {"dataset": name, "series": len(scores), "steps": len(tail)}
        row |= {f"below {level:g}": f"{(tail < level).mean():.5f}" for level in THRESHOLDS}
        row["mean PIT"] = f"{below.mean():.3f}"
        row["largest bin"] = f"{histograms[name].max():.2f}"
        row["smallest bin"] = f"{histograms[name].min():.2f}"
        rows.append(row)
        print(row, flush=True)
        write_rows(arguments.output / "calibration.csv", rows, list(row))
    draw(histograms).savefig(arguments.output / "calibration.png", dpi=100)


def draw(histograms: dict[str, np.ndarray]) -> plt.Figure:
    columns = 4
    size = -(-len(histograms) // columns)
    figure, axes = plt.subplots(
        size, columns, figsize=(11, 2.4 * size), sharex=True, sharey=True, layout="constrained"
    )
    middle = (np.arange(BINS) + 0.5) / BINS
    for axis, (name, heights) in zip(axes.flat, histograms.items(), strict=False):
        axis.bar(middle, heights, 0.9 / BINS, color="#0b4f8a")
        axis.axhline(1, color="#d9480f", linewidth=1)
        axis.set_title(name, loc="left", fontsize=10)
    for axis in axes.flat[len(histograms) :]:
        axis.set_visible(False)
    figure.supxlabel("predicted probability of at most the observed value", fontsize=9)
    figure.supylabel("density (1 if calibrated)", fontsize=9)
    return figure


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
