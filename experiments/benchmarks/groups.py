"""Measures what attention across variates costs: groups of series, and the same series alone.

python experiments/benchmarks/groups.py

The model has the size of the bundled one, with attention across variates and random weights. Both
ways are timed alternately, in one pass, on the same series.
"""

import csv
import time
from pathlib import Path

import jax
import numpy as np
import tyro
from decode import product_rate
from one_pass import random_model

from lagllama_jax import LagLlama
from lagllama_jax.evaluation.provenance import processor
from lagllama_jax.files import write_rows
from lagllama_jax.model.network import init_parameters

RESULTS = Path(__file__).resolve().parent / "results" / "groups.csv"


def main(
    size: int = 8, groups: int = 50, steps: int = 24, repetitions: int = 5, output: Path = RESULTS
) -> None:
    """Times both ways and adds a row to a table.

    Args:
      size: Number of series per group.
      groups: Number of groups.
      steps: Number of time steps to forecast.
      repetitions: Number of timed calls of each way.
      output: CSV file to write.
    """
    config = random_model().config.replace(variate_attention=True)
    model = LagLlama(init_parameters(config, jax.random.key(0)), config)
    values = np.random.default_rng(0).normal(size=(groups, size, 2000)).cumsum(2)
    ways = {"together": list(values), "alone": list(values.reshape(-1, 2000))}

    def timed(way: str) -> float:
        covariates = "network" if way == "together" else "none"
        begun = time.perf_counter()
        model.predict(ways[way], steps, covariates=covariates, progress=False).quantiles([0.5])
        return time.perf_counter() - begun

    seconds = {way: timed(way) for way in ways}  # with the compilation
    seconds = {way: np.inf for way in ways}
    for _ in range(repetitions):
        seconds = {way: min(before, timed(way)) for way, before in seconds.items()}
    row = {"size": size, "groups": groups, "steps": steps}
    row |= {way: f"{value:.3f}" for way, value in seconds.items()}
    row |= {"ratio": f"{seconds['together'] / seconds['alone']:.3f}"}
    row |= {"product_gflops": f"{product_rate() / 1e9:.0f}", "hardware": processor()}
    print(row)
    before = list(csv.DictReader(output.open())) if output.exists() else []
    write_rows(output, [*before, row], list(row))


if __name__ == "__main__":
    tyro.cli(main)
