"""Does fine-tuning on an item with its covariates improve forecasts by the network that sees them?

python experiments/finetune/covariates.py          # -> results/covariates.csv

The weights are fine-tuned on the points before the first test window of each task, whose last
horizons are held back by `fit`.
"""

import dataclasses
import sys
import time
from pathlib import Path

import numpy as np
import tyro

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from ledger import Ledger, provenance, stop_if  # noqa: E402

from lagllama_jax import ForecastConfig, LagLlama  # noqa: E402
from lagllama_jax.config import FitConfig  # noqa: E402
from lagllama_jax.evaluation.run import evaluate_task  # noqa: E402
from lagllama_jax.evaluation.scores import CRPS  # noqa: E402
from lagllama_jax.evaluation.suites import covariate_tasks  # noqa: E402
from lagllama_jax.evaluation.tasks import Task  # noqa: E402


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What is fine-tuned, and how.

    Attributes:
      tasks: Beginnings of the names of tasks of the covariate suite.
      seeds: Random seeds of the windows.
      data_dir: Folder of the evaluation sets.
      fit: Configuration of the fine-tuning.
      output: CSV file, in which rows of the same task and seed are replaced.
    """

    tasks: tuple[str, ...] = ("vic_electricity/H",)
    seeds: tuple[int, ...] = (0, 1)
    data_dir: Path = HERE / "../../../shared/data/evaluation"
    fit: FitConfig = FitConfig(covariates="network", validation=10, epochs=12)
    output: Path = HERE / "results" / "covariates.csv"


def scores(model: LagLlama, task: Task, name: str) -> dict[str, str]:
    """CRPS with each way to use covariates."""
    found = {}
    for way in ("none", "network", "regression"):
        scored = evaluate_task(model.predictor(), task, way, ForecastConfig(covariates=way))
        found[f"{way}_{name}"] = f"{scored[CRPS]:.4f}"
    return found


def main(arguments: Arguments) -> None:
    model = LagLlama.from_pretrained()
    for task in covariate_tasks(arguments.data_dir):
        if not task.name.startswith(arguments.tasks):
            continue
        windows = task.windows(None).dataset
        first = windows.take([int(np.argmin(windows.lengths))])
        before = scores(model, task, "before")
        for seed in arguments.seeds:
            begun = time.perf_counter()
            options = dataclasses.asdict(arguments.fit) | {"seed": seed}
            tuned = model.fit(first, task.prediction_length, **options)
            assert tuned.report is not None
            stop_if(tuned.report.interrupted)
            row = {"task": task.name, "seed": seed, "steps": tuned.report.steps}
            row["seconds"] = f"{time.perf_counter() - begun:.0f}"
            row |= before | scores(tuned, task, "after")
            Ledger(arguments.output, ("task", "seed")).put(row | provenance())
            print(row, flush=True)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
