"""Compares forecasts of sub-hourly series in one pass with and without aggregation.

python experiments/aggregation/run.py
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from lagllama_jax import ForecastConfig, LagLlama
from lagllama_jax.evaluation.baselines.naive import SeasonalNaive
from lagllama_jax.evaluation.run import evaluate_task
from lagllama_jax.evaluation.scores import CRPS
from lagllama_jax.evaluation.validation import validation_tasks
from lagllama_jax.files import write_rows

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("LAGLLAMA_SHARED", HERE / "../../../shared"))
FINE = ("5min", "10min", "30min")


@dataclass(frozen=True)
class Arguments:
    """What is compared.

    Attributes:
      model: `box` for the bundled weights, or a folder.
      data_dir: Folder of the Parquet files of the corpus.
      limit: Largest number of windows per task.
      output: CSV file to write.
    """

    model: str = "box"
    data_dir: Path = SHARED / "data/corpus"
    limit: int = 40
    output: Path = HERE / "results.csv"


def main(arguments: Arguments) -> None:
    predictor = LagLlama.from_pretrained(arguments.model).predictor()
    rows = []
    for task in validation_tasks(arguments.data_dir):
        if task.frequency not in FINE:
            continue
        naive = evaluate_task(SeasonalNaive(), task, limit=arguments.limit)
        row = {"task": task.name}
        for coarsen in (1, "auto"):
            config = ForecastConfig(method="one_pass", coarsen=coarsen)
            scored = evaluate_task(predictor, task, config=config, limit=arguments.limit)
            row[f"coarsen={coarsen}"] = f"{scored[CRPS] / naive[CRPS]:.3f}"
            row[f"coverage_80, coarsen={coarsen}"] = f"{scored['coverage_80']:.2f}"
        rows.append(row)
        print(row, flush=True)
        write_rows(arguments.output, rows, list(row))
    for name in ("coarsen=1", "coarsen=auto"):
        mean = np.exp(np.mean([np.log(float(row[name])) for row in rows]))
        print(f"geometric mean, {name}: {mean:.3f}")


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
