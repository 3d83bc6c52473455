"""Scores the bundled weights beside statistical models and networks that are trained per data set.

python experiments/zero_shot/peers.py --models lagllama_jax auto_ets auto_theta auto_arima
python experiments/zero_shot/peers.py --models deepar nhits     # in the environment of test-peers

All forecast the same windows of hourly tasks of GIFT-Eval. The statistical models are fitted to the
last 1,000 points of each window, and the networks are trained on the points before the windows.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from ledger import Ledger  # noqa: E402
from spread import Spread  # noqa: E402

from lagllama_jax import LagLlama  # noqa: E402
from lagllama_jax.evaluation.baselines import baseline  # noqa: E402
from lagllama_jax.evaluation.run import evaluate_task  # noqa: E402
from lagllama_jax.evaluation.scores import CRPS, MASE  # noqa: E402
from lagllama_jax.evaluation.suites import suite_tasks  # noqa: E402

SHARED = Path(os.environ.get("LAGLLAMA_SHARED", HERE / "../../../shared"))


@dataclass(frozen=True)
class Arguments:
    """What is scored.

    Attributes:
      models: `lagllama_jax`, or names of baselines.
      tasks: Names of tasks.
      limit: Largest number of windows per task, evenly spread; ARIMA takes a minute for each.
      workers: Number of processes that share the windows of a baseline that uses one core.
      data_dir: Folder of the evaluation sets.
      output: CSV file, in which rows of these models and tasks are replaced.
    """

    models: tuple[str, ...] = ("seasonal_naive", "lagllama_jax")
    tasks: tuple[str, ...] = ("ett1/H/short", "ett2/H/short", "m4_hourly/H/short")
    limit: int | None = 42
    workers: int = 1
    data_dir: Path = SHARED / "data/evaluation"
    output: Path = HERE / "results" / "peers.csv"


def main(arguments: Arguments) -> None:
    tasks = [
        task for task in suite_tasks("all", arguments.data_dir) if task.name in arguments.tasks
    ]
    for name in arguments.models:
        ours = name == "lagllama_jax"
        predictor = LagLlama.from_pretrained().predictor() if ours else baseline(name)
        workers = 1 if ours else arguments.workers
        if workers > 1:
            predictor = Spread(predictor, workers)
        for task in tasks:
            scored = evaluate_task(predictor, task, name, limit=arguments.limit)
            row = {"dataset": task.name, "model": name, "windows": scored["windows"]}
            row |= {"crps": f"{scored[CRPS]:.4f}", "mase": f"{scored[MASE]:.3f}"}
            row |= {"coverage_80": f"{scored['coverage_80']:.2f}"}
            row |= {"seconds": f"{scored['seconds']:.1f}", "workers": workers}
            print(row, flush=True)
            Ledger(arguments.output, ("dataset", "model")).put(row)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
