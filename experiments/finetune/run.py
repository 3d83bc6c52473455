"""Compares fine-tuned weights with the zero-shot weights on windows that were not trained on.

python experiments/finetune/run.py                              # two series of statsmodels
python experiments/finetune/run.py --data ETTh1.csv mine.parquet
python experiments/finetune/run.py --data FOLDER                # every ETT*.csv of a folder
python experiments/finetune/run.py --smoke                      # synthetic series, half a minute

Every data set is fine-tuned with several seeds on several shares of its history.
"""

import dataclasses
import functools
import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import tyro

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from ledger import Ledger, provenance, stop_if  # noqa: E402

from lagllama_jax import LagLlama  # noqa: E402
from lagllama_jax.cli.compilation_cache import keep_programs  # noqa: E402
from lagllama_jax.config import FitConfig, ForecastConfig, ModelConfig  # noqa: E402
from lagllama_jax.corpus.store import Corpus  # noqa: E402
from lagllama_jax.errors import DataError  # noqa: E402
from lagllama_jax.evaluation.baselines import baseline  # noqa: E402
from lagllama_jax.evaluation.plots import OTHER, OWN, save  # noqa: E402
from lagllama_jax.evaluation.report import markdown_table  # noqa: E402
from lagllama_jax.evaluation.run import evaluate_task  # noqa: E402
from lagllama_jax.evaluation.scores import CRPS, MASE, Row  # noqa: E402
from lagllama_jax.evaluation.tasks import Task, own_task, task_of  # noqa: E402
from lagllama_jax.files import atomic_path  # noqa: E402
from lagllama_jax.model.network import init_parameters  # noqa: E402
from lagllama_jax.series.arrays import read_arrays  # noqa: E402
from lagllama_jax.series.dataset import SeriesDataset  # noqa: E402
from lagllama_jax.training.finetune import Fitted, fit  # noqa: E402

UNTRAINED = "untrained"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is fine-tuned, how, and what it is scored on.

    Attributes:
      data: CSV or Parquet tables, and folders of which every ETT*.csv is read. If not given, two
        series that come with statsmodels are used.
      model: `box` for the bundled weights, a folder, an authors' .ckpt file, a hub id, or
        `untrained` (a tiny model).
      prediction_length: Number of points per forecast.
      windows: Number of test windows at the end of each series. They are used neither for training
        nor for validation.
      validation: Number of forecast horizons before the test windows that are held back for
        validation.
      shares: Percentages of the training part that are used, from its end.
      seeds: Random seeds, with one fine-tuning each.
      learning_rate: Learning rate of Adam.
      epochs: Largest number of epochs.
      steps_per_epoch: Number of optimizer steps per epoch.
      patience: Number of epochs without improvement after which training stops.
      batch_size: Number of windows per step.
      num_samples: Number of sample paths per forecast.
      output: Folder of finetune.csv, finetune.md and finetune.png.
      hardware: Description of the hardware. `None`: it is detected.
      smoke: Use synthetic series, an untrained tiny model and few steps, as a test of the script.
    """

    data: tuple[Path, ...] = ()
    model: str = "box"
    prediction_length: int = 24
    windows: int = 7
    validation: int = 1
    shares: tuple[float, ...] = (20, 40, 60, 80, 100)
    seeds: tuple[int, ...] = (0, 1, 2)
    learning_rate: float = 1e-4
    epochs: int = 20
    steps_per_epoch: int = 50
    patience: int = 3
    batch_size: int = 32
    num_samples: int = 100
    output: Path = HERE / "results"
    hardware: str | None = None
    smoke: bool = False


SMOKE: dict[str, Any] = {
    "data": (),
    "model": UNTRAINED,
    "prediction_length": 8,
    "windows": 2,
    "shares": (50,),
    "seeds": (0, 1),
    "learning_rate": 1e-3,
    "epochs": 2,
    "steps_per_epoch": 5,
    "batch_size": 8,
    "num_samples": 20,
}
ASKED = (
    "model",
    "prediction_length",
    "windows",
    "validation",
    "learning_rate",
    "epochs",
    "steps_per_epoch",
    "patience",
    "batch_size",
    "num_samples",
)
KEY = ("dataset", "share", "seed", "weights", *ASKED)


def tasks(settings: Settings) -> Iterator[Task]:
    """The data sets, each with its last windows as the test."""
    asked = settings.prediction_length, settings.windows
    if settings.smoke:
        yield task_of("made_up", made_up(), *asked)
    elif not settings.data:
        for name, series in statsmodels_series().items():
            yield task_of(name, series, *asked)
    for path in settings.data:
        files = sorted(path.glob("ETT*.csv*")) if path.is_dir() else [path]
        if not files:
            raise DataError(f"{path} holds no ETT*.csv: name the files, or another folder.")
        for file in files:
            yield own_task(file, *asked)


def statsmodels_series() -> dict[str, SeriesDataset]:
    """Monthly sea temperatures (1950 to 2010) and weekly CO2 (1958 to 2001, with gaps)."""
    from statsmodels.datasets import co2, elnino

    sea = elnino.load_pandas().data.drop(columns="YEAR").to_numpy(float).ravel()
    air = co2.load_pandas().data["co2"].asfreq("W-SAT")
    return {
        "elnino": read_arrays(sea, "1950-01-01", "MS", ["elnino"]),
        "co2": read_arrays(air.to_numpy(float), air.index[0], "W-SAT", ["co2"]),
    }


def made_up() -> SeriesDataset:
    """Three series with a daily cycle."""
    draw = np.random.default_rng(0)
    hours = np.arange(240)
    series = [
        10 + height * np.sin(2 * np.pi * hours / 24) + draw.normal(size=240) for height in (2, 4, 8)
    ]
    return read_arrays(series, "2026-01-01", "h", ["low", "middle", "high"])


def training_part(task: Task) -> Corpus:
    """The series without their test windows."""
    series, held = task.read(), task.prediction_length * (task.num_windows or 1)
    before = [target[:, :-held] for target in series.targets]
    return Corpus.pack(dataclasses.replace(series, targets=before), task.dataset)


def fingerprint(parameters: Any) -> str:
    """Eight hexadecimal digits that identify weights, since a model name may get new weights."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(parameters):
        digest.update(np.ascontiguousarray(leaf))
    return digest.hexdigest()[:8]


def load(model: str) -> LagLlama:
    """Loads the model to start from."""
    if model == UNTRAINED:
        config = ModelConfig.tiny(attention_window=40)
        return LagLlama(init_parameters(config, jax.random.key(0)), config)
    return LagLlama.from_pretrained(model)


def score(task: Task, settings: Settings, model: LagLlama) -> Row:
    """Scores of a model on a task's windows."""
    drawn = ForecastConfig(num_samples=settings.num_samples)
    return evaluate_task(model.predictor(), task, config=drawn)


def fine_tune(
    model: LagLlama, corpus: Corpus, settings: Settings, share: float, seed: int
) -> Fitted:
    """Fine-tunes a model once."""
    options = FitConfig(
        validation=settings.validation,
        learning_rate=settings.learning_rate,
        epochs=settings.epochs,
        steps_per_epoch=settings.steps_per_epoch,
        batch_size=settings.batch_size,
        patience=settings.patience,
        last_k_percentage=share,
        seed=seed,
    )
    given = model.parameters, model.config, corpus, settings.prediction_length, options
    fitted = fit(*given, progress=False)
    stop_if(fitted.report.interrupted)
    return fitted


def measure(
    task: Task, settings: Settings, model: LagLlama, asked: dict[str, Any], before: dict[str, Row]
) -> Row:
    """One row: a data set, a share and a seed.

    Args:
      task: The data set.
      settings: The settings of the run.
      model: The model to start from.
      asked: The key of the row.
      before: Scores of seasonal naive and of the zero-shot model.
    """
    begun = time.perf_counter()
    fitted = fine_tune(model, training_part(task), settings, asked["share"], asked["seed"])
    seconds = time.perf_counter() - begun
    naive, zero_shot, report = before["naive"], before["zero_shot"], fitted.report
    after = zero_shot
    if report.improved:  # otherwise, these are the weights that were already scored
        after = score(task, settings, LagLlama(fitted.parameters, fitted.config))
    return asked | {
        "naive_crps": naive[CRPS],
        "naive_mase": naive[MASE],
        "zero_shot_crps": zero_shot[CRPS],
        "zero_shot_mase": zero_shot[MASE],
        "crps": after[CRPS],
        "mase": after[MASE],
        "kept_zero_shot": not report.improved,
        "zero_shot_loss": report.zero_shot_loss,
        "best_loss": report.best_loss,
        "steps": report.steps,
        "steps_run": report.history[-1]["step"],
        "seconds": round(seconds, 1),
        **provenance(settings.hardware),
    }


def _before(task: Task, settings: Settings, model: LagLlama) -> dict[str, Row]:
    naive = evaluate_task(baseline("seasonal_naive"), task)
    return {"naive": naive, "zero_shot": score(task, settings, model)}


def run(settings: Settings, on_row: Callable[[Row], None]) -> pd.DataFrame:
    """Computes the rows that the file lacks, and returns all rows with these settings."""
    ledger = Ledger(settings.output / "finetune.csv", KEY)
    model = load(settings.model)
    chosen = {name: getattr(settings, name) for name in ASKED}
    chosen["weights"] = fingerprint(model.parameters)
    for task in tasks(settings):
        before = functools.cache(lambda task=task: _before(task, settings, model))
        for share in settings.shares:
            for seed in settings.seeds:
                asked = {"dataset": task.dataset, "share": float(share), "seed": seed, **chosen}
                if ledger.select(asked).empty:
                    row = measure(task, settings, model, asked, before())
                    ledger.add(row)
                    on_row(row)
    return ledger.select(chosen).astype({"share": float, "seed": int})


def summary(rows: pd.DataFrame) -> str:
    """A Markdown table of means over seeds, one line per data set and share."""
    header = (
        "data set",
        "share of history",
        "CRPS zero-shot",
        "fine-tuned (lowest to highest seed)",
        "ratio",
        "MASE zero-shot",
        "fine-tuned",
        "CRPS of seasonal naive",
        "guard kept zero-shot",
        "steps",
        "seconds",
    )
    lines = []
    for (name, share), group in rows.groupby(["dataset", "share"], sort=False):
        mean, crps = group.mean(numeric_only=True), group["crps"]
        line = (
            name,
            f"{share:g} %",
            f"{mean['zero_shot_crps']:.4g}",
            f"{crps.mean():.4g} ({crps.min():.4g} to {crps.max():.4g})",
            f"{crps.mean() / mean['zero_shot_crps']:.3f}",
            f"{mean['zero_shot_mase']:.3f}",
            f"{mean['mase']:.3f}",
            f"{mean['naive_crps']:.4g}",
            f"{int(group['kept_zero_shot'].sum())} of {len(group)}",
            f"{mean['steps']:.0f}",
            f"{mean['seconds']:.0f}",
        )
        lines.append(line)
    return markdown_table(header, lines) + "\n"


def picture(rows: pd.DataFrame) -> Any:
    """Plots CRPS against the share of history, with one panel per data set and one dot per seed."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(rows["dataset"]))
    figure = Figure((3.4 * len(names) + 0.6, 3.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        own = rows[rows["dataset"] == name]
        mean = own.groupby("share")["crps"].mean()
        axes.plot(own["share"], own["crps"], "o", color=OWN, alpha=0.4, markersize=4)
        axes.plot(mean.index, mean, color=OWN, label="fine-tuned")
        axes.axhline(own["zero_shot_crps"].iloc[0], color="black", label="zero-shot", linewidth=1)
        naive = own["naive_crps"].iloc[0]
        axes.axhline(naive, color=OTHER, linestyle="--", label="seasonal naive", linewidth=1)
        axes.set(title=name, xlabel="share of history trained on, %", ylim=(0, None))
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("CRPS on the test windows")
    figure.axes[-1].legend(fontsize=8, loc="lower right")
    return figure


def main(settings: Settings) -> None:
    if settings.smoke:
        settings = dataclasses.replace(settings, **SMOKE)
    keep_programs()
    shown = ("dataset", "share", "seed", "zero_shot_crps", "crps", "kept_zero_shot", "seconds")
    rows = run(settings, lambda row: print({name: row[name] for name in shown}, flush=True))
    with atomic_path(settings.output / "finetune.md") as temporary:
        temporary.write_text(summary(rows))
    save(picture(rows), settings.output / "finetune.png")
    print(summary(rows))


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
