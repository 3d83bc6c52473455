"""Measures what attention across variates costs: groups of series, and the same series alone.

python experiments/benchmarks/groups.py

The model has the size of the bundled one, with attention across variates and random weights. Both
ways are timed alternately, in one pass, on the same series.
"""

import time
from pathlib import Path

import numpy as np
import tyro
from decode import product_rate
from one_pass import random_model
from record import save

RESULTS = Path(__file__).resolve().parent / "results" / "groups.csv"


def main(
    size: int = 8, groups: int = 50, steps: int = 24, repetitions: int = 5, output: Path = RESULTS
) -> None:
    """Times both ways and writes a table of one row.

    Args:
      size: Number of series per group.
      groups: Number of groups.
      steps: Number of time steps to forecast.
      repetitions: Number of timed calls of each way.
      output: CSV file to write.
    """
    model = random_model(variate_attention=True)
    values = np.random.default_rng(0).normal(size=(groups, size, 2000)).cumsum(2)
    ways = {"together": list(values), "alone": list(values.reshape(-1, 2000))}

    def timed(way: str) -> float:
        covariates = "network" if way == "together" else "none"
        begun = time.perf_counter()
        model.predict(ways[way], steps, covariates=covariates, progress=False).quantiles([0.5])
        return time.perf_counter() - begun

    for way in ways:
        timed(way)  # with the compilation
    seconds = dict.fromkeys(ways, np.inf)
    for _ in range(repetitions):
        seconds = {way: min(before, timed(way)) for way, before in seconds.items()}
    row = {"size": size, "groups": groups, "steps": steps} | seconds
    row["ratio"] = seconds["together"] / seconds["alone"]
    row["product_gflops"] = product_rate() / 1e9
    print(row)
    save([row], output)


if __name__ == "__main__":
    tyro.cli(main)
