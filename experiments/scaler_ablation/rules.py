"""Compares rules for a robust scale whose inter-quartile range (IQR) is degenerate.

python experiments/scaler_ablation/rules.py CORPUS --layers 2 --heads 2 --steps 300 \
  --learning-rate 2e-3 --series 4                       # trains and decodes with each rule
python experiments/scaler_ablation/rules.py --suite PARQUET_FOLDER      # the validation suite
python experiments/scaler_ablation/rules.py CORPUS --count              # training windows

The models, windows and scores are those of `run.py`.
"""

import contextlib
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import run as ablation
import tyro

sys.path.insert(0, str(ablation.HERE.parent))

from ledger import Ledger, provenance  # noqa: E402

from lagllama_jax import LagLlama  # noqa: E402
from lagllama_jax.cli.pretrain import read_corpus  # noqa: E402
from lagllama_jax.config import ForecastConfig, ModelConfig  # noqa: E402
from lagllama_jax.corpus.store import Corpus  # noqa: E402
from lagllama_jax.errors import ConfigError  # noqa: E402
from lagllama_jax.evaluation.baselines.naive import SeasonalNaive  # noqa: E402
from lagllama_jax.evaluation.run import evaluate_task  # noqa: E402
from lagllama_jax.evaluation.scores import CRPS, MASE, Row, geometric_mean  # noqa: E402
from lagllama_jax.evaluation.tasks import Task  # noqa: E402
from lagllama_jax.evaluation.validation import validation_tasks  # noqa: E402
from lagllama_jax.inference.aggregation import sizes_of  # noqa: E402
from lagllama_jax.inference.batch import prepare  # noqa: E402
from lagllama_jax.model import scalers  # noqa: E402
from lagllama_jax.model.batch import rows_of  # noqa: E402
from lagllama_jax.training import loss, validation  # noqa: E402
from lagllama_jax.training.sources.corpus_arrays import corpus_arrays  # noqa: E402
from lagllama_jax.training.sources.windows import draw_on_host, gather  # noqa: E402

LARGEST = ("nab/5min", "nab/15min/15min")
"""The data sets in which the rules differ most; they have columns of their own."""
REFERENCE, DEVIATION, RANGES = "reference", "deviation", "ranges"
BUNDLED = "bundled"
DECODED = (REFERENCE, DEVIATION, RANGES)
DROPPED = "ranges, no degenerate windows"
KEY = ("corpus", "trained", "decoded", "seed", *ablation.ASKED)


@dataclass(frozen=True)
class Settings(ablation.Settings):
    """The settings of `run.py`, and those of the comparison of rules.

    Attributes:
      trained: Rules to train with, or `bundled` for the bundled weights.
      suite: Folder of the Parquet files of the corpus. If it is given, the bundled weights are
        scored on the validation suite instead.
      count: Only count the training windows on which the rules differ.
    """

    trained: tuple[str, ...] = (REFERENCE, DEVIATION, RANGES, DROPPED)
    suite: Path | None = None
    count: bool = False


def deviation_rule(values: jax.Array, observed: jax.Array, safe: bool) -> scalers.Scale:
    """The IQR, unless it is below 1e-3 of the standard deviation.

    In that case, the scale is the standard deviation, the mean absolute value or 1. This was the
    default until 2026-11-25.
    """
    loc, spread = reference_rule(values, observed, False)
    centred = values - scalers.weighted_mean(values, observed)
    deviation = jnp.sqrt(scalers.weighted_mean(centred**2, observed))
    magnitude = scalers.mean_scale(values, observed, True).scale
    fallback = jnp.where(deviation > 1e-6 * magnitude, deviation, magnitude)
    sound = (spread > 1e-9) & (spread >= 1e-3 * deviation)
    return scalers.Scale(loc, jnp.where(sound, spread, fallback))


library_rule = scalers.robust_scale


def reference_rule(values: jax.Array, observed: jax.Array, safe: bool) -> scalers.Scale:
    """The IQR, at least 1e-10."""
    return library_rule(values, observed, False)


RULES: dict[str, Callable[..., scalers.Scale]] = {
    REFERENCE: reference_rule,
    DEVIATION: deviation_rule,
    RANGES: library_rule,
    DROPPED: library_rule,
}


@contextlib.contextmanager
def rule(name: str) -> Iterator[None]:
    """Within the block, the package scales series with a rule of `RULES`."""
    point_losses = loss.point_losses

    def sound_windows(*args: Any, **options: Any) -> loss.Losses:
        losses, rows = point_losses(*args, **options), rows_of(args[3])
        scale = reference_rule(rows.values, rows.before_start, False).scale
        near = losses.near._replace(weight=losses.near.weight & (scale > 1e-9))
        return losses._replace(near=near)

    jax.clear_caches()
    scalers.robust_scale = RULES[name]
    if name == DROPPED:
        loss.point_losses = validation.point_losses = sound_windows
    try:
        yield
    finally:
        scalers.robust_scale = library_rule
        loss.point_losses = validation.point_losses = point_losses
        jax.clear_caches()


def summary(own: Mapping[str, Row], naive: Mapping[str, Row]) -> Row:
    """Geometric means of CRPS and MASE relative to seasonal naive, and the CRPS of `LARGEST`."""
    ratios = {name: own[name][CRPS] / naive[name][CRPS] for name in own}
    errors = [own[name][MASE] / naive[name][MASE] for name in own if naive[name][MASE] > 0]
    others = [ratio for name, ratio in ratios.items() if name not in LARGEST]
    row = {"crps": geometric_mean(ratios.values()), "mase": geometric_mean(errors)}
    row |= {f"crps_{name}": ratios.get(name, np.nan) for name in LARGEST}
    return row | {"crps_others": geometric_mean(others)}


def weights_of(corpus: Corpus, settings: Settings, trained: str, seed: int) -> tuple[Any, Any]:
    """Weights and architecture: the bundled ones, or a small model that is trained with a rule."""
    if trained == BUNDLED:
        model = LagLlama.from_pretrained()
        return model.parameters, model.config
    chosen = ablation.recipe(settings, "safe robust", seed)
    with rule(trained):
        return ablation.train(corpus, settings, chosen), chosen.model


def on_corpus(corpus: Corpus, name: str, settings: Settings) -> None:
    """Forecasts the held-back ends of the corpus with every pair of training and decoding rule."""
    ledger = Ledger(settings.output / "rules.csv", KEY)
    tests = ablation.tests_of(corpus, settings)
    naive = {name: test.naive for name, test in tests.items()}
    drawn = ForecastConfig(num_samples=settings.num_samples)
    for seed, trained in itertools.product(settings.seeds, settings.trained):
        asked = {"corpus": name, "trained": trained, "seed": seed}
        asked |= {field: getattr(settings, field) for field in ablation.ASKED}
        if not ledger.select(asked).empty:
            continue
        begun = time.perf_counter()
        weights, model = weights_of(corpus, settings, trained, seed)
        seconds = {"seconds_of_training": round(time.perf_counter() - begun, 1)}
        for decoded in DECODED:
            with rule(decoded):
                own = ablation.scores(LagLlama(weights, model).predictor(), tests, drawn)
            row = asked | {"decoded": decoded} | summary(own, naive) | seconds
            ledger.add(row | provenance(settings.hardware))
            print(row, flush=True)


def differing(task: Task, model: ModelConfig, drawn: ForecastConfig) -> dict[str, int]:
    """Number of windows of a task, and of those that each rule scales unlike the package."""
    windows = task.windows()
    given = windows.dataset
    sizes = sizes_of(given, task.prediction_length, drawn)
    count = dict.fromkeys(DECODED, 0)
    for size in np.unique(sizes).tolist():
        part = given.take(np.flatnonzero(sizes == size).tolist())
        part = part if size == 1 else part.coarsen(size)
        batch = prepare(part, np.arange(len(part)), model, 0).batch
        values, observed = jnp.asarray(batch.values[:, 0]), jnp.asarray(batch.observed[:, 0])
        own = library_rule(values, observed, True).scale
        for name in DECODED:
            count[name] += int((RULES[name](values, observed, True).scale != own).sum())
    return {"windows": len(windows)} | count


def on_suite(folder: Path, settings: Settings) -> None:
    """Scores the bundled weights on the tasks of the validation suite on which the rules differ."""
    model, drawn = LagLlama.from_pretrained(), ForecastConfig(num_samples=settings.num_samples)
    ledger = Ledger(settings.output / "rules_suite.csv", ("dataset", "num_samples"))
    for task in validation_tasks(folder):
        asked = {"dataset": task.name, "num_samples": settings.num_samples}
        if not ledger.select(asked).empty:
            continue
        count = differing(task, model.config, drawn)
        row = asked | {"windows": count.pop("windows")}
        row |= {f"differ_{name}": number for name, number in count.items()}
        if any(count.values()):
            naive = evaluate_task(SeasonalNaive(), task)
            for decoded in DECODED:
                with rule(decoded):
                    own = evaluate_task(model.predictor(), task, config=drawn)
                row[f"crps_{decoded}"] = own[CRPS] / naive[CRPS]
                row[f"mase_{decoded}"] = own[MASE] / naive[MASE]
        ledger.add(row | provenance(settings.hardware))
        print(row, flush=True)


def count(corpus: Corpus, settings: Settings) -> None:
    """Prints the share of training windows with an IQR of 0, and of those with differing rules."""
    recipe = ablation.recipe(settings, "safe robust", 0)
    lengths = ablation.training_lengths(corpus, settings)
    parts = recipe.model, recipe.data
    arrays = corpus_arrays(corpus, *parts, lengths=lengths, on_device=False)
    generator, rows = np.random.default_rng(0), []
    for _ in range(40):
        draws = draw_on_host(generator, arrays, 256, *parts)
        windows = rows_of(gather(arrays, draws, *parts))
        given = jnp.asarray(windows.values), jnp.asarray(windows.before_start), True
        found = {name: RULES[name](*given).scale[:, 0] for name in DECODED}
        rows.append(pd.DataFrame(found).assign(dataset=arrays.dataset[draws.series]))
    table = pd.concat(rows)
    zero = table[REFERENCE] < 1e-9
    wide = ~zero & (table[REFERENCE] != table[DEVIATION])
    print(f"of {len(table)} windows {zero.mean():.2%} have an IQR of 0; in {wide.mean():.2%} the")
    print("deviation replaces an IQR above 0, by data set:")
    print(table["dataset"][wide].map(dict(enumerate(corpus.dataset_names))).value_counts())


def main(settings: Settings) -> None:
    if settings.suite is not None:
        on_suite(settings.suite, settings)
    elif settings.corpus is not None and settings.count:
        count(read_corpus(settings.corpus), settings)
    elif settings.corpus is not None:
        on_corpus(read_corpus(settings.corpus), settings.corpus.name, settings)
    else:
        raise ConfigError("Name a corpus folder, or --suite and a folder of Parquet files.")


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
