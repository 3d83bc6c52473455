"""Measures the effect of each part of the recipe of the bundled weights, one change at a time.

python experiments/pretrain/study.py CORPUS PARQUET          # -> results/study.csv, study.md

Every variant changes one thing of the preset `box` (with a quarter of the windows stretched, as it
was before this study). It has a quarter of the preset's computation per token and a short budget.
It is scored on the short tasks of the validation suite, whose points no variant has seen, without
aggregation of sub-hourly series. Rows that the table already holds are not computed again.
"""

import dataclasses
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import tyro

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from ledger import Ledger, provenance, stop_if  # noqa: E402

from lagllama_jax import LagLlama  # noqa: E402
from lagllama_jax.config import LAGS, ForecastConfig  # noqa: E402
from lagllama_jax.corpus.store import Corpus  # noqa: E402
from lagllama_jax.evaluation.baselines import baseline  # noqa: E402
from lagllama_jax.evaluation.report import markdown_table  # noqa: E402
from lagllama_jax.evaluation.run import evaluate_tasks  # noqa: E402
from lagllama_jax.evaluation.scores import relative_score  # noqa: E402
from lagllama_jax.evaluation.tasks import Task  # noqa: E402
from lagllama_jax.evaluation.validation import seen_lengths, validation_tasks  # noqa: E402
from lagllama_jax.training.presets import PRESETS  # noqa: E402
from lagllama_jax.training.pretrain import pretrain  # noqa: E402
from lagllama_jax.training.recipe import Recipe  # noqa: E402

RESULTS = HERE / "results"
STRETCH = 0.25
"""Share of stretched windows in every variant that does not change it."""

BASE = "as in the box"
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    BASE: {},
    "Adam (learning rate 0.001)": {"train": {"optimizer": "adam", "learning_rate": 1e-3}},
    "half the learning rate": {"train": {"learning_rate": 1e-3}},
    "cosine instead of trapezoid": {"train": {"schedule": "cosine"}},
    "without averaged weights": {"train": {"ema_decay": 0.0}},
    "real series only": {"data": {"synthetic": 0.0}},
    "made-up series only": {"data": {"synthetic": 1.0}},
    "no mixup, no flips": {"data": {"mixup": 0.0, "flip": 0.0}},
    "no stretched windows": {"data": {"stretch": 0.0}},
    "no noise": {"data": {"noise": 0.0}},
    "full histories only": {"data": {"short_history": 0.0}},
    "data sets by points": {"data": {"mixture": "timesteps"}},
    "published lags": {"model": {"lags": LAGS}},
    "one future point": {"data": {"future_length": 1, "min_context": None}},
    "inputs not squashed": {"model": {"squash": "none"}},
    "no flags of missing lags": {"model": {"observed_features": False}},
    "absolute scale features": {"model": {"scale_features": "absolute"}},
    "mean scaling": {"model": {"scaling": "mean"}},
    "a key head for every query head": {"model": {"num_kv_heads": None}},
}
"""Changes by part of the recipe and field."""


@dataclasses.dataclass(frozen=True)
class Study:
    """The budget of every variant.

    Attributes:
      corpus: Folder that `lagllama data corpus` wrote.
      parquet: Folder of the corpus' Parquet files, for the validation suite.
      steps: Number of optimizer steps; the learning rate decays over the last fifth of them.
      seeds: Random seeds of weights and windows.
      num_samples: Number of sample paths per forecast.
      variants: Names of the variants.
      output: Folder of study.csv and study.md.
    """

    corpus: tyro.conf.Positional[Path]
    parquet: tyro.conf.Positional[Path]
    steps: int = 500
    seeds: tuple[int, ...] = (0,)
    num_samples: int = 40
    variants: tuple[str, ...] = tuple(VARIANTS)
    output: Path = RESULTS


def recipe_of(changes: Mapping[str, Mapping[str, Any]], steps: int, seed: int) -> Recipe:
    """The recipe with four blocks of four heads, a short budget, and some changes."""
    box = PRESETS["box"]
    short = {"steps": steps, "decay_steps": steps // 5, "warmup_steps": steps // 15, "seed": seed}
    short |= {"batch_size": 32, "ema_decay": 0.998, "one_pass_share": 0.5}
    small = Recipe(
        box.model.replace(num_layers=4, num_heads=4, num_kv_heads=2),
        box.data.replace(stretch=STRETCH),
        box.train.replace(**short),
        box.loop.replace(dispatch=1, checkpoint_every=steps),
    )
    parts = {name: getattr(small, name).replace(**fields) for name, fields in changes.items()}
    return dataclasses.replace(small, **parts)


def train(corpus: Path, recipe: Recipe) -> LagLlama:
    """Trains a model on the points of a corpus that the validation suite does not hold back."""
    series = Corpus.load(corpus)
    with tempfile.TemporaryDirectory() as folder:
        trained = pretrain(series, Path(folder), recipe, lengths=seen_lengths(series))
    stop_if(trained.stopped == "signal")
    return LagLlama(trained.state.weights, recipe.model)


def short_tasks(parquet: Path) -> list[Task]:
    """The short tasks of the validation suite."""
    return [task for task in validation_tasks(parquet) if task.term == "short"]


def measure(study: Study, name: str, seed: int) -> dict[str, float]:
    """Trains and scores one variant."""
    recipe = recipe_of(VARIANTS[name], study.steps, seed)
    begun = time.perf_counter()
    model = train(study.corpus, recipe)
    trained_in = time.perf_counter() - begun
    tasks = short_tasks(study.parquet)
    config = ForecastConfig(num_samples=study.num_samples, coarsen=1, difference="none")
    rows = evaluate_tasks(model.predictor(), tasks, name, config)
    naive = evaluate_tasks(baseline("seasonal_naive"), tasks)
    coverage = sum(row["coverage_80"] for row in rows) / len(rows)
    return {
        "crps_over_naive": relative_score(rows, naive),
        "coverage_80": coverage,
        "training_seconds": trained_in,
        "scoring_seconds": sum(row["seconds"] for row in rows),
    }


def markdown(table: pd.DataFrame) -> str:
    """A Markdown table of the variants, sorted by score.

    It shows means over seeds, and the change from the base for each seed. The seconds are the
    minimum over the seeds, which other work on the machine delayed least.
    """
    scores = table.pivot(index="variant", columns="seed", values="crps_over_naive")
    base = scores.loc[BASE] if BASE in scores.index else float("nan")
    changes = (scores / base - 1).map("{:+.1%}".format, na_action="ignore").fillna("")
    by_variant = table.groupby("variant")
    means = by_variant[["crps_over_naive", "coverage_80"]].mean().sort_values("crps_over_naive")
    seconds = by_variant["training_seconds"].min()
    seeds = (f"change, seed {seed}" for seed in changes.columns)
    header = ("variant", "CRPS over seasonal naive", "80 % covers", "training, s", *seeds)
    lines = [
        (name, f"{score:.3f}", f"{covers:.0%}", f"{seconds[name]:.0f}", *changes.loc[name])
        for name, score, covers in means.itertuples()
    ]
    return markdown_table(header, lines) + "\n"


def main(study: Study) -> None:
    ledger = Ledger(study.output / "study.csv", ("variant", "seed", "steps", "num_samples"))
    for seed in study.seeds:
        for name in study.variants:
            asked = {"variant": name, "seed": seed, "steps": study.steps}
            asked |= {"num_samples": study.num_samples}
            if ledger.select(asked).empty:
                ledger.add(asked | measure(study, name, seed) | provenance())
            row = ledger.select(asked).iloc[0]
            print(f"{name:<34} seed {seed}: {float(row['crps_over_naive']):.4f}", flush=True)
    budget = {"steps": study.steps, "num_samples": study.num_samples}
    (study.output / "study.md").write_text(markdown(ledger.select(budget)))


if __name__ == "__main__":
    main(tyro.cli(Study, description=__doc__))
