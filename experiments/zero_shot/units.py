"""Compares forecast(1000 x) with 1000 forecast(x) on the short ETT tasks.

python experiments/zero_shot/units.py                      # the bundled weights
python experiments/zero_shot/units.py --model lag-llama.ckpt --name "Lag-Llama here"
"""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import tyro

sys.path.insert(0, str(Path(__file__).resolve().parent))

from run import DATA, HERE  # noqa: E402

from lagllama_jax import ForecastConfig, LagLlama  # noqa: E402
from lagllama_jax.evaluation.provenance import record_run  # noqa: E402
from lagllama_jax.evaluation.suites import ett_tasks  # noqa: E402
from lagllama_jax.evaluation.windows import EvaluationWindows  # noqa: E402
from lagllama_jax.files import write_rows  # noqa: E402
from lagllama_jax.inference.forecast import Predictor  # noqa: E402


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What is measured, and on how many windows per task.

    Attributes:
      model: `box` for the bundled weights, a folder, an authors' .ckpt file or a hub id.
      name: Name of the model, and of the CSV file.
      data_dir: Folder of the evaluation sets.
      output_dir: Folder for the CSV file and run.json.
      factor: Factor by which the series are multiplied.
      windows: Largest number of windows per task.
      num_samples: Number of sample paths per series.
    """

    model: str = "box"
    name: str = "lagllama_jax"
    data_dir: Path = DATA
    output_dir: Path = HERE / "results/units"
    factor: float = 1000.0
    windows: int = 20
    num_samples: int = 100


def unit_difference(
    predictor: Predictor, windows: EvaluationWindows, config: ForecastConfig, factor: float
) -> float:
    """Median relative difference of forecast(factor * x) and factor * forecast(x).

    The median is over all windows, quantile levels and steps. Both forecasts use the same random
    numbers.

    Returns:
      A share without a unit: 0 for a model that ignores the unit of its input, and where every
      forecast is 0.
    """
    given = windows.dataset
    scaled = dataclasses.replace(given, targets=[factor * target for target in given.targets])
    expected, found = (
        predictor.predict(one, windows.prediction_length, config).quantiles(config.quantile_levels)
        for one in (given, scaled)
    )
    sized = expected != 0
    difference = np.abs(found - factor * expected)[sized] / np.abs(factor * expected[sized])
    return float(np.median(difference)) if difference.size else 0.0


def main(arguments: Arguments) -> None:
    predictor = LagLlama.from_pretrained(arguments.model).predictor()
    config = ForecastConfig(num_samples=arguments.num_samples)
    columns, rows = ("dataset", "windows", "median_relative_difference"), []
    for task in ett_tasks(arguments.data_dir, ("short",)):
        windows = task.windows(limit=arguments.windows)
        difference = unit_difference(predictor, windows, config, arguments.factor)
        rows.append(dict(zip(columns, (task.name, len(windows), difference), strict=True)))
        print(f"{task.name:<16} {difference:.1e}", flush=True)
    print(f"{'median':<16} {np.median([row[columns[-1]] for row in rows]):.1e}")
    record_run(arguments.output_dir, arguments.name, config)
    write_rows(arguments.output_dir / f"{arguments.name}.csv", rows, columns)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
