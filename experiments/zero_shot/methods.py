"""Scores one pass, sample paths and the mean of both on GIFT-Eval's tasks, from the same forecasts.

python experiments/zero_shot/methods.py

An interrupted run goes on with the tasks that are not yet in the table. Rows of another number of
windows are replaced.
"""

import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from ledger import Ledger  # noqa: E402

from lagllama_jax import ForecastConfig, LagLlama  # noqa: E402
from lagllama_jax.evaluation import metrics  # noqa: E402
from lagllama_jax.evaluation.baselines import baseline  # noqa: E402
from lagllama_jax.evaluation.run import evaluate_task  # noqa: E402
from lagllama_jax.evaluation.scores import CRPS, LEVELS, MASE, score  # noqa: E402
from lagllama_jax.evaluation.suites import suite_tasks  # noqa: E402

SHARED = Path(os.environ.get("LAGLLAMA_SHARED", HERE / "../../../shared"))
SHARES = {"one_pass": 1.0, "paths": 0.0, "both": 0.5}
"""Weight of the one-pass quantiles in those of each method."""


@dataclass(frozen=True)
class Arguments:
    """What is scored.

    Attributes:
      model: Folder of the model, or `box`.
      limit: Largest number of windows per task, evenly spread. `None`: all.
      data_dir: Folder of the evaluation sets.
      output: CSV file to write.
    """

    model: str = "box"
    limit: int | None = None
    data_dir: Path = SHARED / "data/evaluation"
    output: Path = HERE / "results" / "methods.csv"


def coverage_by_third(target: np.ndarray, quantiles: np.ndarray) -> list[float]:
    """Share of the observed points within the 80 % interval, by third of the horizon."""
    inside = (target >= quantiles[:, 0]) & (target <= quantiles[:, -1])
    inside = np.where(np.isfinite(target), inside, np.nan)
    return [float(np.nanmean(part)) for part in np.array_split(inside, 3, axis=1)]


def main(arguments: Arguments) -> None:
    predictor = LagLlama.from_pretrained(arguments.model).predictor()
    config = ForecastConfig(method="both", quantile_levels=LEVELS)
    ledger = Ledger(arguments.output, ("dataset", "method"))
    for task in suite_tasks("all", arguments.data_dir):
        windows = task.windows(arguments.limit)
        done = ledger.select({"dataset": task.name})
        if len(done) == len(SHARES) and (done["windows"] == len(windows)).all():
            continue
        naive = evaluate_task(baseline("seasonal_naive"), task, limit=arguments.limit)
        begun = time.perf_counter()
        forecast = predictor.predict(windows.dataset, task.prediction_length, config)
        seconds = time.perf_counter() - begun
        for method, share in SHARES.items():
            one = replace(forecast, one_pass_share=share)
            scored = score(windows, one)
            row = {"dataset": task.name, "method": method, "windows": len(windows)}
            row |= {"crps": f"{scored[CRPS]:.5g}"}
            row["crps_over_naive"] = f"{scored[CRPS] / naive[CRPS]:.4f}"
            row["mase_over_naive"] = f"{scored[MASE] / naive[MASE]:.4f}"
            thirds = coverage_by_third(windows.target, one.quantiles(metrics.LEVELS))
            row["coverage_80"] = f"{scored['coverage_80']:.3f}"
            row |= {f"coverage_third_{n}": f"{part:.3f}" for n, part in enumerate(thirds, 1)}
            row["seconds_both"] = f"{seconds:.0f}"
            ledger.put(row)
            print(row, flush=True)
    ratios = ledger.table().groupby("method")[["crps_over_naive", "mase_over_naive"]]
    print(ratios.agg(lambda values: np.exp(np.log(values).mean())).round(4))


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
