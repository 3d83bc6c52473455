"""How far forecast(1000 x) is from 1000 forecast(x) on the ETT tasks.

python experiments/zero_shot/units.py                      # the weights in the box
python experiments/zero_shot/units.py --model lag-llama.ckpt --name "Lag-Llama here"
"""

import dataclasses
import os
from pathlib import Path

import numpy as np
import tyro

from lagllama_jax import ForecastConfig, LagLlama
from lagllama_jax.evaluation.forecasters import ModelForecaster
from lagllama_jax.evaluation.provenance import record_run
from lagllama_jax.evaluation.suites import ett_tasks
from lagllama_jax.evaluation.units import unit_difference
from lagllama_jax.evaluation.windows import windows_of
from lagllama_jax.files import write_rows

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("LAGLLAMA_SHARED", HERE / "../../../shared"))
COLUMNS = ("dataset", "windows", "median_relative_difference")


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What is measured, on how many windows a task."""

    model: str = "box"
    name: str = "lagllama_jax"
    data_dir: Path = SHARED / "data/evaluation"
    output_dir: Path = HERE / "results/units"
    factor: float = 1000.0
    windows: int = 20
    num_samples: int = 100


def main(arguments: Arguments) -> None:
    model = LagLlama.from_pretrained(None if arguments.model == "box" else arguments.model)
    config = ForecastConfig(num_samples=arguments.num_samples)
    forecaster = ModelForecaster(model.parameters, model.config, config, arguments.name)
    rows = []
    for task in ett_tasks(arguments.data_dir, ("short",)):
        windows = windows_of(task, limit=arguments.windows)
        difference = unit_difference(forecaster, windows, arguments.factor)
        row = task.name, len(windows), difference
        rows.append(dict(zip(COLUMNS, row, strict=True)))
        print(f"{task.name:<16} {difference:.1e}", flush=True)
    print(f"{'median':<16} {np.median([row[COLUMNS[-1]] for row in rows]):.1e}")
    record_run(arguments.output_dir, arguments.name, config)
    write_rows(arguments.output_dir / f"{arguments.name}.csv", rows, COLUMNS)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
