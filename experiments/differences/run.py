"""Compares forecasts with and without seasonal differences of nearly periodic series.

python experiments/differences/run.py
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from lagllama_jax import ForecastConfig, LagLlama
from lagllama_jax.evaluation.baselines import baseline
from lagllama_jax.evaluation.run import evaluate_task
from lagllama_jax.evaluation.scores import CRPS, LEVELS, MASE, score
from lagllama_jax.evaluation.suites import suite_tasks
from lagllama_jax.files import write_rows
from lagllama_jax.inference.differences import candidates

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("LAGLLAMA_SHARED", HERE / "../../../shared"))
SUITES = {"validation": "data/corpus", "all": "data/evaluation"}


@dataclass(frozen=True)
class Arguments:
    """What is compared.

    Attributes:
      model: `box` for the bundled weights, or a folder.
      data_dir: Folder with the folders of the corpus and of the evaluation sets.
      limit: Largest number of windows per task. `None`: all.
      output: CSV file to write.
    """

    model: str = "box"
    data_dir: Path = SHARED
    limit: int | None = None
    output: Path = HERE / "results.csv"


def main(arguments: Arguments) -> None:
    predictor = LagLlama.from_pretrained(arguments.model).predictor()
    rows = []
    tasks = [
        task
        for suite, folder in SUITES.items()
        for task in suite_tasks(suite, arguments.data_dir / folder)
    ]
    for task in tasks:
        windows, steps = task.windows(arguments.limit), task.prediction_length
        naive = evaluate_task(baseline("seasonal_naive"), task, limit=arguments.limit)
        found, row = {}, {"task": task.name, "windows": len(windows)}
        row["nearly_periodic"] = int((candidates(windows.dataset, steps) > 0).sum())
        for way in ("none", "auto"):
            config = ForecastConfig(method="one_pass", difference=way, quantile_levels=LEVELS)
            found[way] = predictor.predict(windows.dataset, steps, config)
            scored = score(windows, found[way])
            row[f"crps_{way}"] = f"{scored[CRPS] / naive[CRPS]:.4f}"
            row[f"mase_{way}"] = f"{scored[MASE] / naive[MASE]:.4f}"
            row[f"coverage_80_{way}"] = f"{scored['coverage_80']:.3f}"
        changed = found["none"].median != found["auto"].median
        row["through_differences"] = int(changed.any(axis=1).sum())
        rows.append(row)
        print(row, flush=True)
        write_rows(arguments.output, rows, list(row))
    for name in ("crps_none", "crps_auto", "mase_none", "mase_auto"):
        for part, of in (("validation", rows[:-17]), ("17 tasks", rows[-17:])):
            mean = np.exp(np.mean([np.log(float(row[name])) for row in of]))
            print(f"geometric mean, {part}, {name}: {mean:.4f}")


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
