"""CRPS of forecasts of random walks, relative to that of the exact forecast.

python experiments/zero_shot/random_walks.py

The steps of the walks are standard normal, so the exact forecast of h steps is the last value with
a standard deviation of the root of h. `dated` series are daily; the others have no dates.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from scipy.stats import norm

from lagllama_jax import LagLlama
from lagllama_jax.evaluation.metrics import LEVELS
from lagllama_jax.files import write_rows

HERE = Path(__file__).resolve().parent
PASTS, STEPS = (60, 300, 1200), 30


@dataclass(frozen=True)
class Arguments:
    """What is scored.

    Attributes:
      model: Folder of the model, or `box`.
      series: Number of random walks.
      output: CSV file to write.
    """

    model: str = "box"
    series: int = 400
    output: Path = HERE / "results" / "random_walks.csv"


def losses(quantiles: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean quantile loss of each series and step."""
    levels = np.array(LEVELS)[:, None]
    error = truth[:, None] - quantiles
    return np.maximum(levels * error, (levels - 1) * error).mean(axis=1)


def main(arguments: Arguments) -> None:
    model, rows = LagLlama.from_pretrained(arguments.model), []
    rng = np.random.default_rng(0)
    spread = norm.ppf(LEVELS)[:, None] * np.sqrt(np.arange(1, STEPS + 1))
    for length in PASTS:
        walks = rng.standard_normal((arguments.series, length + STEPS)).cumsum(axis=1)
        past, truth = walks[:, :length], walks[:, length:]
        exact = losses(past[:, -1:, None] + spread, truth)
        for name, dates in (("dated", {"start": "2020-01-01", "freq": "D"}), ("undated", {})):
            found = model.predict(past, STEPS, **dates).quantiles(LEVELS)
            ratio = losses(found, truth).mean(axis=0) / exact.mean(axis=0)
            covered = (truth >= found[:, 0]) & (truth <= found[:, -1])
            row = {"past": length, "dates": name, "first_step": f"{ratio[0]:.3f}"}
            row |= {"last_step": f"{ratio[-1]:.3f}", "coverage_80": f"{covered.mean():.3f}"}
            rows.append(row)
            print(row, flush=True)
    write_rows(arguments.output, rows, list(rows[0]))


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
