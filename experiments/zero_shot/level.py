"""Compares forecasts of the same daily patterns at several levels.

python experiments/zero_shot/level.py                      # the bundled weights
"""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import tyro

sys.path.insert(0, str(Path(__file__).resolve().parent))

from run import HERE  # noqa: E402

from lagllama_jax import ForecastConfig, LagLlama  # noqa: E402
from lagllama_jax.evaluation.provenance import record_run  # noqa: E402
from lagllama_jax.files import write_rows  # noqa: E402

SWING, DAYS, HOURS = 3.0, 40, 24
LEVELS = (0.0, 1e1, 1e2, 1e3, 1e4, 1e6, 1e8, 1e10)
COLUMNS = ("level", "series", "mean_absolute_error", "relative_to_level_0")


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What is measured, and on how many series.

    Attributes:
      model: `box` for the bundled weights, a folder, an authors' .ckpt file or a hub id.
      name: Name of the model, and of the CSV file.
      output_dir: Folder for the CSV file and run.json.
      series: Number of series.
      num_samples: Number of sample paths per series.
    """

    model: str = "box"
    name: str = "lagllama_jax"
    output_dir: Path = HERE / "results/level"
    series: int = 40
    num_samples: int = 100


def patterns(count: int) -> np.ndarray:
    """Hourly series `[count, hours]` around 0: a daily wave with a second harmonic, and noise."""
    random = np.random.default_rng(0)
    turns = 2 * np.pi * (np.arange(DAYS * HOURS) / HOURS + random.uniform(size=(count, 1)))
    second = random.uniform(0, 0.5, (count, 1)) * np.cos(2 * turns)
    noise = random.uniform(0.05, 0.3, (count, 1)) * random.normal(size=turns.shape)
    return SWING / 2 * (np.sin(turns) + second + noise)


def main(arguments: Arguments) -> None:
    model = LagLlama.from_pretrained(arguments.model)
    series = patterns(arguments.series)
    past, truth = series[:, :-HOURS], series[:, -HOURS:]
    rows, first = [], None
    for level in LEVELS:
        asked = {"start": "2026-01-01", "freq": "h", "num_samples": arguments.num_samples}
        median = model.predict(past + level, HOURS, progress=False, **asked).median
        error = float(np.abs(median - level - truth).mean())
        first = first or error
        row = level, len(series), round(error, 4), round(error / first, 3)
        rows.append(dict(zip(COLUMNS, row, strict=True)))
        print(rows[-1], flush=True)
    record_run(arguments.output_dir, arguments.name, ForecastConfig())
    write_rows(arguments.output_dir / f"{arguments.name}.csv", rows, COLUMNS)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
