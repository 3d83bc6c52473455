"""Gain of known covariates by ARIMAX of statsforecast, beside the weighted regression.

python experiments/covariates/arimax.py --tasks m5_small/D buildings_daily/D
python experiments/covariates/arimax.py --tasks vic_electricity/H --limit 8

Both are scored on the same windows. ARIMAX is fitted to the last 1,000 points of each.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from ledger import Ledger  # noqa: E402
from spread import Spread  # noqa: E402

from lagllama_jax import ForecastConfig, LagLlama  # noqa: E402
from lagllama_jax.evaluation.baselines import baseline  # noqa: E402
from lagllama_jax.evaluation.run import evaluate_task  # noqa: E402
from lagllama_jax.evaluation.scores import CRPS  # noqa: E402
from lagllama_jax.evaluation.suites import covariate_tasks  # noqa: E402


@dataclass(frozen=True)
class Arguments:
    """What is scored.

    Attributes:
      tasks: Beginnings of the names of tasks.
      limit: Largest number of windows per task, evenly spread; ARIMA takes a minute for each.
      workers: Number of processes that share the windows of ARIMAX.
      data_dir: Folder of the evaluation sets.
      output: CSV file, in which rows of these tasks are replaced.
    """

    tasks: tuple[str, ...]
    limit: int | None = None
    workers: int = 1
    data_dir: Path = HERE / "../../../shared/data/evaluation"
    output: Path = HERE / "arimax.csv"


def main(arguments: Arguments) -> None:
    arima = baseline("auto_arima")
    models = {
        "auto_arima": Spread(arima, arguments.workers) if arguments.workers > 1 else arima,
        "lagllama_jax": LagLlama.from_pretrained().predictor(),
    }
    for task in covariate_tasks(arguments.data_dir):
        if not task.name.startswith(arguments.tasks):
            continue
        for name, predictor in models.items():
            row = {"dataset": task.name, "model": name}
            for way in ("none", "regression"):
                config = ForecastConfig(covariates=way)
                scored = evaluate_task(predictor, task, name, config, arguments.limit)
                row |= {"windows": scored["windows"], f"crps_{way}": f"{scored[CRPS]:.4f}"}
                row[f"seconds_{way}"] = f"{scored['seconds']:.0f}"
            print(row, flush=True)
            Ledger(arguments.output, ("dataset", "model")).put(row)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
