"""Compares long forecasts of hourly series with and without forecasts of their daily means.

python experiments/aggregation/daily_means.py

The windows are the long ones of the validation suite, and those of two data sets in the years that
were left out of the training (`--mask` of `lagllama data corpus`).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import tyro

from lagllama_jax import ForecastConfig, LagLlama
from lagllama_jax.config import DEFAULT_LEVELS
from lagllama_jax.corpus.formats.parquet import read_parquet
from lagllama_jax.evaluation.validation import validation_tasks
from lagllama_jax.files import write_rows
from lagllama_jax.inference.aggregation import Aggregated
from lagllama_jax.inference.backtest import loss
from lagllama_jax.inference.daily_means import WithDailyMeans
from lagllama_jax.inference.predictor import ModelPredictor
from lagllama_jax.series.dataset import SeriesDataset

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("LAGLLAMA_SHARED", HERE / "../../../shared"))
LONG = ("pjm_hourly/h/medium", "smart_meters/30min/medium", "energy_appliance/10min/medium")
MASKED = (
    ("beijing_multisite", 3600, 480, "2013-06-03", "2014-12-01"),
    ("australian_electricity_demand", 1800, 960, "2012-02-01", "2014-11-20"),
)
"""Data set, seconds per step, horizon, and first and last start of a window."""
EVERY = "37D"
"""Time between two windows of a series."""


@dataclass(frozen=True)
class Arguments:
    """What is compared.

    Attributes:
      model: `box` for the bundled weights, or a folder.
      data_dir: Folder of the Parquet files of the corpus.
      series: Largest number of series per data set.
      output: CSV file to write.
    """

    model: str = "box"
    data_dir: Path = SHARED / "data/corpus"
    series: int = 60
    output: Path = HERE / "daily_means.csv"


def windows(arguments: Arguments) -> Iterator[tuple[str, SeriesDataset, np.ndarray]]:
    """Name, pasts and true values. The windows that start at one time are one of these."""
    for task in validation_tasks(arguments.data_dir):
        if task.name in LONG:
            found = task.windows()
            yield task.name, found.dataset, found.target
    for name, seconds, steps, first, last in MASKED:
        whole = read_parquet(arguments.data_dir / f"{name}.parquet")
        starts = pd.date_range(first, last, freq=EVERY)
        rows = np.random.default_rng(0).permutation(len(whole))[: arguments.series]
        kept = [row for row in sorted(rows.tolist()) if covers(whole, row, seconds, first, last)]
        whole = whole.take(kept)
        for start in starts:
            ends = whole.lengths - [
                int((one - start).total_seconds() // seconds)
                for one in (whole.timestamps(row, 0, 1)[0] for row in range(len(whole)))
            ]
            pairs = zip(whole.targets, ends, strict=True)
            truth = np.stack([target[0, end : end + steps] for target, end in pairs])
            seen = np.flatnonzero(np.isfinite(truth).any(axis=1))
            past = whole.take(seen.tolist()).truncate(ends[seen])
            yield f"{name}, left out", past, truth[seen]


def covers(dataset: SeriesDataset, row: int, seconds: int, first: str, last: str) -> bool:
    """Whether a series has these time steps, begins before `first` and ends long after `last`."""
    step, length = dataset.frequencies[row], int(dataset.lengths[row])
    if step is None or step.seconds != seconds:
        return False
    begin, end = (dataset.timestamps(row, place, 1)[0] for place in (-length, -1))
    return begin < pd.Timestamp(first) and end > pd.Timestamp(last) + pd.Timedelta(EVERY)


def main(arguments: Arguments) -> None:
    given = LagLlama.from_pretrained(arguments.model)
    model = ModelPredictor(given.parameters, given.config)
    points = Aggregated(model)
    predictors = {"points": points, "with_daily_means": WithDailyMeans(points, model)}
    found: dict[str, list[np.ndarray]] = {}
    for name, past, truth in windows(arguments):
        spread = np.nanstd(truth, axis=1)
        spread = np.where(spread > 0, spread, np.inf)
        config, steps, both = ForecastConfig(method="one_pass"), truth.shape[1], []
        for predictor in predictors.values():
            quantiles = predictor.predict(past, steps, config).quantiles(DEFAULT_LEVELS)
            inside = (truth >= quantiles[:, 0]) & (truth <= quantiles[:, -1])
            losses = 2 * loss(quantiles, truth) / spread / steps
            both.append([losses.mean(), inside.sum() / np.isfinite(truth).sum(), len(truth)])
        found.setdefault(name, []).append(np.array(both))
    rows = []
    for name, parts in found.items():
        crps, covered, count = np.moveaxis(np.stack(parts), 2, 0)
        change = (crps[:, 1] - crps[:, 0]) / crps[:, 0].mean()
        error = change.std(ddof=1) / len(parts) ** 0.5 if len(parts) > 1 else np.nan
        row = {"windows": int(count[:, 0].sum()), "starts": len(parts)}
        for number, one in enumerate(predictors):
            row[f"crps_{one}"] = f"{crps[:, number].mean():.4f}"
            row[f"coverage_80_{one}"] = f"{covered[:, number].mean():.2f}"
        row |= {"change": f"{change.mean():.3f}", "standard_error": f"{error:.3f}"}
        rows.append({"dataset": name} | row)
        print(rows[-1], flush=True)
    write_rows(arguments.output, rows, list(rows[0]))


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
