"""Compares scalers: trains the same small model with each, on the same data, steps and seeds.

python experiments/scaler_ablation/run.py CORPUS     # from `lagllama data corpus`, or Parquet files
python experiments/scaler_ablation/run.py --smoke    # a synthetic corpus, two scalers, one minute

Losses of differently scaled series are in different units. Therefore, the models are compared by
the CRPS of their forecasts of the held-back ends of the series, relative to seasonal naive.
"""

import dataclasses
import functools
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import tyro

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from ledger import Ledger, provenance, stop_if  # noqa: E402
from report import write_report  # noqa: E402

from lagllama_jax import LagLlama  # noqa: E402
from lagllama_jax.cli.compilation_cache import keep_programs  # noqa: E402
from lagllama_jax.cli.pretrain import read_corpus  # noqa: E402
from lagllama_jax.config import (  # noqa: E402
    DataConfig,
    ForecastConfig,
    LoopConfig,
    ModelConfig,
    TrainConfig,
)
from lagllama_jax.corpus.store import Corpus  # noqa: E402
from lagllama_jax.errors import ConfigError, LagLlamaError  # noqa: E402
from lagllama_jax.evaluation.baselines import baseline  # noqa: E402
from lagllama_jax.evaluation.scores import (  # noqa: E402
    CRPS,
    LEVELS,
    MASE,
    Row,
    geometric_mean,
    score,
)
from lagllama_jax.evaluation.windows import EvaluationWindows, cut  # noqa: E402
from lagllama_jax.inference.forecast import Forecast, Predictor  # noqa: E402
from lagllama_jax.series.dataset import SeriesDataset  # noqa: E402
from lagllama_jax.series.frequency import Frequency  # noqa: E402
from lagllama_jax.training.pretrain import Recipe, pretrain  # noqa: E402
from lagllama_jax.training.sharding import to_host  # noqa: E402
from lagllama_jax.training.sources.corpus_arrays import held_back, shortest_series  # noqa: E402

SCALERS: dict[str, dict[str, Any]] = {
    "none": {"scaling": "none"},
    "mean": {"scaling": "mean"},
    "std": {"scaling": "std"},
    "robust": {"scaling": "robust", "safe_scaling": False},
    "safe robust": {"scaling": "robust"},
}
"""Fields of `ModelConfig` for each scaler. `robust` is exactly that of the reference."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is trained, and what it is scored on.

    Attributes:
      corpus: Folder that `lagllama data corpus` wrote, or folder of Parquet files.
      scalers: Names of the scalers to compare, from `SCALERS`.
      seeds: Random seeds, with one training run each.
      layers: Number of transformer blocks.
      heads: Number of attention heads of width 16.
      steps: Number of optimizer steps.
      batch_size: Number of windows per step.
      learning_rate: Peak learning rate, after a linear warm-up over a tenth of the steps.
      prediction_length: Number of points at the end of each series to hold back and forecast.
      series: Largest number of series to forecast per data set and frequency.
      num_samples: Number of sample paths per forecast.
      output: Folder for scalers.csv, scalers.md and scalers.png.
      hardware: Description of the hardware. `None`: it is detected.
      smoke: Use a synthetic corpus and few steps, as a test of the script.
    """

    corpus: Annotated[Path | None, tyro.conf.Positional] = None
    scalers: tuple[str, ...] = tuple(SCALERS)
    seeds: tuple[int, ...] = (0, 1)
    layers: int = 4
    heads: int = 4
    steps: int = 2000
    batch_size: int = 32
    learning_rate: float = 1e-3
    prediction_length: int = 14
    series: int = 8
    num_samples: int = 100
    output: Path = HERE / "results"
    hardware: str | None = None
    smoke: bool = False


SMOKE: dict[str, Any] = {
    "corpus": None,
    "scalers": ("none", "safe robust"),
    "seeds": (0,),
    "layers": 1,
    "heads": 2,
    "steps": 20,
    "batch_size": 8,
    "prediction_length": 8,
    "num_samples": 20,
}
ASKED = (
    "layers",
    "heads",
    "steps",
    "batch_size",
    "learning_rate",
    "prediction_length",
    "series",
    "num_samples",
)
KEY = ("corpus", "scaler", "seed", *ASKED)


def recipe(settings: Settings, scaler: str, seed: int) -> Recipe:
    """The recipe of a small published model without calendar features, with one of the scalers."""
    if scaler not in SCALERS:
        raise ConfigError(f"{scaler!r} is no scaler; there are {', '.join(SCALERS)}.")
    context, future = 32, settings.prediction_length
    model = ModelConfig(
        num_layers=settings.layers,
        num_heads=settings.heads,
        context_length=context,
        attention_window=context + future,
        time_features=False,
        **SCALERS[scaler],
    )
    data = DataConfig(
        future_length=future,
        min_past=16,
        mixture="root_timesteps",
        series_power=0.7,
        augmentation=0.0,
    )
    train = TrainConfig(
        steps=settings.steps,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        schedule="cosine",
        warmup_steps=settings.steps // 10,
        clip_norm=1.0,
        seed=seed,
    )
    every = max(settings.steps // 50, 1) * 10
    return Recipe(model, data, train, LoopConfig(10, every, keep=1, validation_windows=512))


def training_lengths(corpus: Corpus, settings: Settings) -> np.ndarray:
    """Number of points of each series before its held-back end."""
    any_scaler = recipe(settings, next(iter(SCALERS)), 0)
    shortest = shortest_series(any_scaler.model, any_scaler.data)
    return held_back(corpus, settings.prediction_length, shortest)


class Test(NamedTuple):
    """Windows of one data set and frequency, and the scores of seasonal naive on them."""

    windows: EvaluationWindows
    naive: Row


def tests_of(corpus: Corpus, settings: Settings) -> dict[str, Test]:
    """The held-back ends of some series of each data set and frequency.

    Data sets on which the CRPS of seasonal naive is 0 are left out, as no score can be divided by
    it.
    """
    cut_off = np.flatnonzero(training_lengths(corpus, settings) < corpus.lengths)
    chosen: dict[str, Test] = {}
    groups = corpus.dataset[cut_off] * len(corpus.frequency_names) + corpus.frequency[cut_off]
    for group in np.unique(groups):
        members = np.random.default_rng(0).permutation(cut_off[groups == group])
        alias = corpus.frequency_names[corpus.frequency[members[0]]]
        name = f"{corpus.dataset_names[corpus.dataset[members[0]]]}/{alias}"
        index, points = np.sort(members[: settings.series]), settings.prediction_length
        season = Frequency.parse(alias).season if alias else 1
        windows = _ends(corpus, index, points, season)
        config = ForecastConfig(quantile_levels=LEVELS)
        reference = baseline("seasonal_naive", season).predict(windows.dataset, points, config)
        naive = score(windows, reference)
        if naive[CRPS] > 0:
            chosen[name] = Test(windows, naive)
    return chosen


def _ends(corpus: Corpus, index: np.ndarray, points: int, season: int) -> EvaluationWindows:
    """The last windows of some series, without their dates."""
    names = [corpus.describe(i) for i in index]
    series = SeriesDataset(names, [np.asarray(corpus.series(i), float)[None] for i in index])
    return cut(series, points, 1, season=season)


def scores(
    predictor: Predictor, tests: Mapping[str, Test], config: ForecastConfig
) -> dict[str, dict[str, float]]:
    """Scores of each data set. All windows are forecast in one call."""
    parts = [test.windows for test in tests.values()]
    joined = SeriesDataset.of(item for part in parts for item in part.dataset)
    whole = predictor.predict(joined, parts[0].prediction_length, config)
    ends = np.cumsum([0, *map(len, parts)])
    return {
        name: score(part, Forecast(part.dataset, whole.samples[first:last]))
        for name, part, first, last in zip(tests, parts, ends[:-1], ends[1:], strict=True)
    }


def train(corpus: Corpus, settings: Settings, chosen: Recipe) -> Any:
    """Trains a model and returns the weights with the lowest validation loss."""
    lengths = training_lengths(corpus, settings)
    with tempfile.TemporaryDirectory() as folder:
        trained = pretrain(corpus, Path(folder), chosen, lengths=lengths, progress=False)
        stop_if(trained.stopped == "signal")
        return to_host(trained.weights)


def measure(
    corpus: Corpus, settings: Settings, scaler: str, seed: int, tests: Mapping[str, Test]
) -> Row:
    """Scores of one scaler and seed: geometric means over data sets, relative to seasonal naive.

    If a loss or a forecast is not finite, the scores are NaN, and `outcome` states the reason.
    """
    begun, chosen = time.perf_counter(), recipe(settings, scaler, seed)
    row: Row = {"crps": np.nan, "mase": np.nan, "coverage_80": np.nan, "better_than_naive": np.nan}
    outcome = "finished"
    try:
        weights = train(corpus, settings, chosen)
        drawn = ForecastConfig(num_samples=settings.num_samples)
        own = scores(LagLlama(weights, chosen.model).predictor(), tests, drawn)
        ratios = np.array([own[name][CRPS] / test.naive[CRPS] for name, test in tests.items()])
        scaled = [name for name, test in tests.items() if test.naive[MASE] > 0]
        row = {
            "crps": geometric_mean(ratios),
            "mase": geometric_mean(own[name][MASE] / tests[name].naive[MASE] for name in scaled),
            "coverage_80": float(np.mean([own[name]["coverage_80"] for name in tests])),
            "better_than_naive": float(np.mean(ratios < 1)),
        }
    except LagLlamaError as error:
        outcome = str(error)
    seconds = round(time.perf_counter() - begun, 1)
    return row | {"datasets": len(tests), "outcome": outcome, "seconds": seconds}


def run(corpus: Corpus, name: str, settings: Settings, on_row: Callable[[Row], None]) -> Any:
    """Computes the rows that the file lacks, and returns all rows with these settings."""
    ledger = Ledger(settings.output / "scalers.csv", KEY)
    chosen = {"corpus": name} | {field: getattr(settings, field) for field in ASKED}
    tests = functools.cache(lambda: tests_of(corpus, settings))
    for seed in settings.seeds:
        for scaler in settings.scalers:
            asked = {"scaler": scaler, "seed": seed, **chosen}
            if ledger.select(asked).empty:
                row = measure(corpus, settings, scaler, seed, tests())
                ledger.add(asked | row | provenance(settings.hardware))
                on_row(asked | row)
    return ledger.select(chosen)


def made_up() -> Corpus:
    """Two synthetic data sets with a daily cycle; the values of one are 10,000 times as large."""
    draw, hours = np.random.default_rng(0), np.arange(200)
    cycle = np.sin(2 * np.pi * (hours + draw.integers(0, 24, (16, 1))) / 24)
    series = 2 + cycle + 0.2 * draw.normal(size=(16, 200))
    ids, hourly = [str(number) for number in range(16)], [Frequency.parse("h")] * 16
    return Corpus.concatenate(
        Corpus.pack(SeriesDataset(ids, list(factor * series[:, None]), frequencies=hourly), name)
        for name, factor in (("small", 1.0), ("large", 1e4))
    )


def main(settings: Settings) -> None:
    if settings.smoke:
        settings = dataclasses.replace(settings, **SMOKE)
        name, corpus = "made_up", made_up()
    elif settings.corpus is None:
        raise ConfigError("Name a corpus folder, or try --smoke.")
    else:
        name, corpus = settings.corpus.name, read_corpus(settings.corpus)
    keep_programs()
    shown = ("scaler", "seed", "crps", "mase", "outcome", "seconds")
    rows = run(corpus, name, settings, lambda row: print({k: row[k] for k in shown}, flush=True))
    print(write_report(rows, settings.output))


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
