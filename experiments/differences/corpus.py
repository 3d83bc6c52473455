"""Compares forecasts of the nearly periodic series of a corpus with and without differences.

python experiments/differences/corpus.py

The last horizon of each series is forecast, and the fourth and the eighth one from the end. The
bundled weights were trained on most of these points, which favours the forecasts without
differences.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from lagllama_jax import ForecastConfig, LagLlama
from lagllama_jax.config import DEFAULT_LEVELS
from lagllama_jax.corpus.formats.parquet import read_parquet
from lagllama_jax.files import write_rows
from lagllama_jax.inference.backtest import loss
from lagllama_jax.inference.differences import candidates
from lagllama_jax.inference.forecast import Predictor
from lagllama_jax.model.calendar_features import SECONDS_A_DAY
from lagllama_jax.series.dataset import SeriesDataset

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("LAGLLAMA_SHARED", HERE / "../../../shared"))
HORIZONS = ((0, 48), (SECONDS_A_DAY, 30), (7 * SECONDS_A_DAY, 8), (28 * SECONDS_A_DAY, 12))
"""Smallest number of seconds per step, and horizon."""


@dataclass(frozen=True)
class Arguments:
    """What is compared.

    Attributes:
      model: `box` for the bundled weights, or a folder.
      data_dir: Folder of the Parquet files of the corpus.
      read: Largest number of series per data set and frequency that are looked at.
      series: Largest number of nearly periodic ones that are forecast.
      output: CSV file to write.
    """

    model: str = "box"
    data_dir: Path = SHARED / "data/corpus"
    read: int = 300
    series: int = 60
    output: Path = HERE / "corpus.csv"


def parts(arguments: Arguments) -> Iterator[tuple[str, SeriesDataset, int]]:
    """The name, some series and the horizon of each data set and frequency."""
    for path in sorted(arguments.data_dir.glob("*.parquet")):
        whole = read_parquet(path)
        names = np.array([str(step) for step in whole.frequencies])
        for name in np.unique(names):
            rows = np.random.default_rng(0).permutation(np.flatnonzero(names == name))
            some = whole.take(sorted(rows[: arguments.read].tolist()))
            step = some.frequencies[0]
            seconds = 0.0 if step is None else step.seconds
            yield f"{path.stem} {name}", some, [p for s, p in HORIZONS if s <= seconds][-1]


def ratios(
    predictor: Predictor, dataset: SeriesDataset, steps: int, back: int, most: int
) -> tuple[int, np.ndarray]:
    """Number of windows, and loss with differences over that without, of nearly periodic series."""
    lengths = dataset.lengths - back * steps
    dataset = dataset.take(np.flatnonzero(lengths > 3 * steps).tolist())
    if not len(dataset):
        return 0, np.zeros(0)
    ends = dataset.lengths - back * steps
    past = dataset.truncate(ends)
    near = np.flatnonzero(candidates(past, steps)[:, 0])[:most].tolist()
    if not near:
        return len(dataset), np.zeros(0)
    truth = np.concatenate([dataset.targets[row][:1, ends[row] :][:, :steps] for row in near])
    losses = []
    for way in ("none", "auto"):
        config = ForecastConfig(method="one_pass", difference=way)
        found = predictor.predict(past.take(near), steps, config)
        losses.append(loss(found.quantiles(DEFAULT_LEVELS), truth))
    known = np.isfinite(truth).any(axis=1) & (losses[0] > 0) & (losses[1] > 0)
    return len(dataset), losses[1][known] / losses[0][known]


def main(arguments: Arguments) -> None:
    predictor, rows = LagLlama.from_pretrained(arguments.model).predictor(), []
    for name, dataset, steps in parts(arguments):
        pairs = [ratios(predictor, dataset, steps, back, arguments.series) for back in (1, 4, 8)]
        found = np.concatenate([part for _, part in pairs])
        if not len(found):
            continue
        changed = found[found != 1]
        row = {"data": name, "horizon": steps, "windows": sum(count for count, _ in pairs)}
        row |= {"nearly_periodic": len(found), "through_differences": len(changed)}
        row |= {"worse": int((changed > 1).sum()), "loss_ratio": f"{mean(found):.3f}"}
        row["worst"] = f"{changed.max():.2f}" if len(changed) else ""
        row["of_the_changed"] = f"{mean(changed):.3f}" if len(changed) else ""
        rows.append(row)
        print(row, flush=True)
        write_rows(arguments.output, rows, list(row))


def mean(values: np.ndarray) -> float:
    """The geometric mean."""
    return float(np.exp(np.log(values).mean()))


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
