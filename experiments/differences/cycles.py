"""Compares forecasts of made-up cycles with and without seasonal differences, by their noise.

python experiments/differences/cycles.py
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from lagllama_jax import LagLlama
from lagllama_jax.config import DEFAULT_LEVELS as LEVELS
from lagllama_jax.files import write_rows
from lagllama_jax.inference.backtest import loss

HERE = Path(__file__).resolve().parent
NOISES = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
POINTS, STEPS, HARMONICS = 700, 48, 6


@dataclass(frozen=True)
class Arguments:
    """What is compared.

    Attributes:
      model: Folder of the model, or `box`.
      series: Number of series per size of the noise.
      output: CSV file to write.
    """

    model: str = "box"
    series: int = 100
    output: Path = HERE / "cycles.csv"


def cycles(count: int, noise: float) -> np.ndarray:
    """Smooth cycles of 12 to 60 points and variance 1, with noise and a random walk.

    The standard deviation of the noise is `noise`, and that of a step of the walk a fifth of it.
    """
    rng = np.random.default_rng(0)
    turns = 2 * np.pi * np.arange(POINTS + STEPS) / rng.integers(12, 61, (count, 1))
    number = np.arange(1, HARMONICS + 1)[:, None, None]
    size = rng.normal(size=(HARMONICS, count, 1)) / number
    waves = size * np.sin(number * turns + rng.uniform(0, 2 * np.pi, (HARMONICS, count, 1)))
    whole = waves.sum(axis=0)
    whole /= whole.std(axis=1, keepdims=True)
    walk = rng.normal(size=whole.shape).cumsum(axis=1) / 5
    return whole + noise * (rng.normal(size=whole.shape) + walk)


def main(arguments: Arguments) -> None:
    model, rows = LagLlama.from_pretrained(arguments.model), []
    for noise in NOISES:
        series = cycles(arguments.series, noise)
        past, truth = series[:, :-STEPS], series[:, -STEPS:]
        row, medians = {"noise": noise, "series": len(series)}, []
        for way in ("none", "auto"):
            found = model.predict(past, STEPS, difference=way).quantiles(LEVELS)
            medians.append(found[:, len(LEVELS) // 2])
            row[f"crps_{way}"] = f"{2 * loss(found, truth).mean() / STEPS:.5f}"
            inside = (truth >= found[:, 0]) & (truth <= found[:, -1])
            row[f"coverage_80_{way}"] = f"{inside.mean():.2f}"
        row["through_differences"] = int((medians[0] != medians[1]).any(axis=1).sum())
        rows.append(row)
        print(row, flush=True)
    write_rows(arguments.output, rows, list(rows[0]))


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
