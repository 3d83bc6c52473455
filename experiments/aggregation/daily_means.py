"""Compares long forecasts of hourly series with and without forecasts of their daily means.

python experiments/aggregation/daily_means.py

The windows are the long ones of the validation suite, those of two data sets in the years that were
left out of the training (`--mask` of `lagllama data corpus`), and made-up series of noise.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
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
from lagllama_jax.inference.marginals import Marginals
from lagllama_jax.inference.predictor import ModelPredictor
from lagllama_jax.progress import Finished
from lagllama_jax.series.arrays import read_arrays
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
PAST, STEPS = 2400, 336
"""Lengths of made-up series."""
VARIANTS = {
    "as it is": {},
    "weight 0.25": {"weight": 0.25},
    "weight 1": {"weight": 1.0},
    "at once": {"rise": 1e-9},
    "in 3 days": {"rise": 3.0},
    "in 14 days": {"rise": 14.0},
    "most 1": {"most": 1.0},
    "most 4": {"most": 4.0},
    "any change": {"most": np.inf},
}
"""Arguments of `WithDailyMeans`."""


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


@dataclass(frozen=True)
class Remembered(ModelPredictor):
    """A predictor that forecasts the points and the daily means once for all variants.

    Attributes:
      known: What was forecast.
    """

    known: dict[int, Marginals] = field(default_factory=dict)

    def marginals(
        self,
        dataset: SeriesDataset,
        steps: int,
        config: ForecastConfig,
        finished: Finished | None = None,
    ) -> Marginals:
        """The distributions, which depend on the series and the steps only here."""
        key = hash((steps, *(target.tobytes() for target in dataset.targets)))
        if key not in self.known:
            self.known[key] = super().marginals(dataset, steps, config, finished)
        return self.known[key]


def windows(arguments: Arguments) -> Iterator[tuple[str, SeriesDataset, np.ndarray]]:
    """Name, pasts and true values. The windows that start at one time are one of these."""
    yield from made_up(arguments.series)
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


def made_up(count: int) -> Iterator[tuple[str, SeriesDataset, np.ndarray]]:
    """Hourly series of independent values, and a random walk with a daily cycle."""
    rng, shape = np.random.default_rng(0), (count, PAST + STEPS)
    day = np.sin(np.arange(PAST + STEPS) / 24 * 2 * np.pi)
    for name, values in (
        ("normal noise", rng.normal(size=shape)),
        ("counts of 0.1 per hour", rng.poisson(0.1, shape)),
        ("counts with a daily cycle", rng.poisson(5 + 3 * day, shape)),
        ("rain", np.where(rng.random(shape) < 0.05, rng.gamma(1, 20, shape), 0)),
        ("random walk and a daily cycle", rng.normal(size=shape).cumsum(axis=1) / 5 + 3 * day),
    ):
        series = values.astype(float)
        yield name, read_arrays(series[:, :PAST], "2024-01-01", "h"), series[:, PAST:]


def covers(dataset: SeriesDataset, row: int, seconds: int, first: str, last: str) -> bool:
    """Whether a series has these time steps, begins before `first` and ends long after `last`."""
    step, length = dataset.frequencies[row], int(dataset.lengths[row])
    if step is None or step.seconds != seconds:
        return False
    begin, end = (dataset.timestamps(row, place, 1)[0] for place in (-length, -1))
    return begin < pd.Timestamp(first) and end > pd.Timestamp(last) + pd.Timedelta(EVERY)


def scores(quantiles: np.ndarray, truth: np.ndarray) -> list[float]:
    """The mean CRPS of each third of the horizon, in units of the spread, and the coverage."""
    spread = np.nanstd(truth, axis=1)
    spread = np.where(spread > 0, spread, np.inf)
    thirds = np.array_split(np.arange(truth.shape[1]), 3)
    found = [loss(quantiles[:, :, part], truth[:, part]) / spread / len(part) for part in thirds]
    inside = (truth >= quantiles[:, 0]) & (truth <= quantiles[:, -1])
    return [*(2 * part.mean() for part in found), inside.sum() / np.isfinite(truth).sum()]


def main(arguments: Arguments) -> None:
    given = LagLlama.from_pretrained(arguments.model)
    config, found = ForecastConfig(method="one_pass"), {}
    for name, past, truth in windows(arguments):
        model = Remembered(given.parameters, given.config)
        points = Aggregated(model)
        ways = [points, *(WithDailyMeans(points, model, **one) for one in VARIANTS.values())]
        forecasts = [way.predict(past, truth.shape[1], config) for way in ways]
        scored = [scores(one.quantiles(DEFAULT_LEVELS), truth) for one in forecasts]
        found.setdefault(name, []).append((len(truth), np.array(scored)))
    rows = []
    for name, parts in found.items():
        scored = np.stack([part for _, part in parts])  # start, way, score
        crps = scored[:, :, :3].mean(axis=2)
        for number, way in enumerate(("points alone", *VARIANTS)):
            change = (crps[:, number] - crps[:, 0]) / crps[:, 0].mean()
            error = change.std(ddof=1) / len(parts) ** 0.5 if len(parts) > 1 else np.nan
            thirds = scored[:, number, :3].mean(axis=0) / scored[:, 0, :3].mean(axis=0) - 1
            row = {"series": name, "way": way, "windows": sum(count for count, _ in parts)}
            row |= {"crps": f"{crps[:, number].mean():.4f}", "change": f"{change.mean():.3f}"}
            row |= {"standard_error": f"{error:.3f}"}
            row |= {f"change_third_{n}": f"{part:.3f}" for n, part in enumerate(thirds, 1)}
            row["coverage_80"] = f"{scored[:, number, 3].mean():.3f}"
            rows.append(row)
            print(",".join(map(str, row.values())), flush=True)
    write_rows(arguments.output, rows, list(rows[0]))


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
