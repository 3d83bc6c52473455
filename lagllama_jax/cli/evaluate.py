"""`lagllama evaluate`: scores of any weights, or a baseline, in GIFT-Eval's columns."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from lagllama_jax.cli.arguments import (
    Model,
    OptionalCount,
    OptionalFile,
    OptionalFolder,
    OptionalName,
    Points,
)
from lagllama_jax.config import ForecastConfig
from lagllama_jax.errors import ConfigError

if TYPE_CHECKING:
    from lagllama_jax.evaluation.scores import Row
    from lagllama_jax.evaluation.tasks import Task
    from lagllama_jax.evaluation.windows import EvaluationWindows
    from lagllama_jax.inference.forecast import Forecast, Predictor

BOX = "box"
SHOWN = ("Lag-Llama", "Toto-2.0-4m", "chronos_bolt_small", "TiRex")
"""Published models with a column of their own in the table by task."""


def main(
    *,
    model: Model = BOX,
    suite: Literal["gift-eval-ett", "m4_hourly", "all", "paper", "validation"] = "all",
    data_dir: OptionalFolder = None,
    terms: tuple[Literal["short", "medium", "long"], ...] = ("short", "medium", "long"),
    output_dir: OptionalFolder = None,
    name: OptionalName = None,
    published: OptionalFile = None,
    data: OptionalFile = None,
    prediction_length: OptionalCount = None,
    windows: int = 1,
    num_samples: int = 100,
    context_length: OptionalCount = None,
    coarsen: Points = "auto",
    sampling: Literal["stratified", "random"] = "stratified",
    nonnegative: tyro.conf.FlagCreatePairsOff[bool] = False,
    batch_size: OptionalCount = None,
    seed: int = 0,
    overwrite: tyro.conf.FlagCreatePairsOff[bool] = False,
    plots: bool = True,
) -> None:
    """Forecasts windows of the past and scores them; writes tables, a report and pictures.

    A task that the output folder holds already is skipped, so that a stopped run can go on; one
    that it holds from other options, weights or series is refused, and nothing is lost.

    Args:
      model: `box` for the weights in the package, a folder, an authors' .ckpt file, a hub id, or a
        baseline: naive, seasonal_naive, auto_ets, auto_theta, auto_arima, deepar.
      suite: the 16 ETT tasks of GIFT-Eval, m4_hourly, both (all), the paper's last windows, or the
        validation windows of a training corpus, where recipes are chosen.
      data_dir: folder of the suite's evaluation sets; for validation, of the corpus' Parquet files.
      terms: horizons of GIFT-Eval: once, ten and fifteen times the short one.
      output_dir: all_results.csv, calibration.csv, run.json, NAME.md and the pictures go there;
        results/SUITE or, of a table of your own, results/ and its file's name if not given.
      name: the model's name in the tables; after `model` if not given.
      published: CSV of published scores (dataset, model, crps, mase) to compare with.
      data: a CSV or Parquet table of your own instead of a suite.
      prediction_length: points of a window of `data`.
      windows: windows at the end of each series of `data`.
      num_samples: sample paths a window.
      context_length: steps of the past that attention sees, as in training if not given.
      coarsen: points whose mean is one step of the model; by default series finer than an hour go
        by the hour, or by 5 to 30 minutes where the horizon or the past is short; 1: every point
        is a step.
      sampling: draws that cover the distribution evenly across samples, or independent ones.
      nonnegative: never draw below 0.
      batch_size: most windows at a time; by memory if not given.
      seed: decides the draws, and the training of deepar.
      overwrite: evaluate again what is there.
      plots: draw the pictures (extra `plot`).
    """
    from lagllama_jax.cli.forecast import make_folder
    from lagllama_jax.evaluation.run import evaluate_into

    config = ForecastConfig(
        num_samples=num_samples,
        context_length=context_length,
        coarsen=coarsen,
        sampling=sampling,
        nonnegative=nonnegative,
        batch_size=batch_size,
        seed=seed,
    )
    tasks = _tasks(suite, data_dir, terms, data, prediction_length, windows)
    predictor, name = _predictor(model or BOX, name, seed)
    folder = output_dir or Path("results", suite if data is None else tasks[0].dataset)
    make_folder(folder)
    rows = evaluate_into(
        folder,
        predictor,
        tasks,
        name,
        config,
        overwrite=overwrite,
        on_row=_Computed(folder, config, plots),
    )
    _report(folder, rows, tasks, published, plots)


def _predictor(model: str, name: str | None, seed: int) -> "tuple[Predictor, str]":
    from lagllama_jax.evaluation.baselines import BASELINES, baseline

    if model in BASELINES:
        return baseline(model, seed=seed), name or model
    from lagllama_jax.forecaster import LagLlama

    loaded = LagLlama.from_pretrained(model)
    given = name or ("lagllama_jax" if model == BOX else Path(model).stem)
    return loaded.predictor(), given


def _tasks(
    suite: str,
    data_dir: Path | None,
    terms: Sequence[str],
    data: Path | None,
    prediction_length: int | None,
    windows: int,
) -> "list[Task]":
    from lagllama_jax.evaluation.datasets import FOLDER
    from lagllama_jax.evaluation.suites import suite_tasks
    from lagllama_jax.evaluation.tasks import own_task

    if data is None:
        if data_dir is None:
            raise ConfigError(f"--suite {suite} needs --data-dir, {FOLDER}.")
        return suite_tasks(suite, data_dir, terms)
    if prediction_length is None:
        raise ConfigError("--data needs --prediction-length, the points of a window.")
    return [own_task(data, prediction_length, windows)]


class _Computed:
    """Prints a new row, records how it was made, and draws three of its windows."""

    def __init__(self, folder: Path, config: ForecastConfig, plots: bool):
        self.folder, self.config, self.plots = folder, config, plots

    def __call__(
        self, row: "Row", task: "Task", windows: "EvaluationWindows", forecast: "Forecast"
    ) -> None:
        from lagllama_jax.evaluation.plots import examples, save
        from lagllama_jax.evaluation.provenance import record_run
        from lagllama_jax.evaluation.report import number
        from lagllama_jax.evaluation.scores import CRPS, MASE

        name = row["model"]
        if self.plots:
            picture = f"{name}_{task.name.replace('/', '_')}.png"
            figure = examples(windows, forecast, f"{task.name}, {name}")
            save(figure, self.folder / "examples" / picture)
        record_run(self.folder, name, self.config)
        print(
            f"{row['dataset']:<24} CRPS {number(row[CRPS], 4)}  MASE {number(row[MASE])}  "
            f"80 % interval covers {row['coverage_80']:.0%}  {row['windows']} windows, "
            f"{row['seconds']:.1f} s",
            flush=True,
        )


def _report(
    folder: Path,
    rows: "list[Row]",
    tasks: "list[Task]",
    published: Path | None,
    plots: bool,
) -> None:
    """The Markdown table and the pictures, beside the reference's scores on the same windows."""
    from lagllama_jax.evaluation import plots as pictures
    from lagllama_jax.evaluation import report
    from lagllama_jax.evaluation.baselines import baseline
    from lagllama_jax.evaluation.run import evaluate_tasks
    from lagllama_jax.files import atomic_path

    name = rows[0]["model"]
    reference = evaluate_tasks(baseline(report.REFERENCE), tasks)
    others = {} if published is None else report.read_published(published)
    scores = {**others, **report.scores_of(reference), **report.scores_of(rows)}
    names = [task.name for task in tasks]
    means = report.relative(scores, names)
    crps, mase = means[name]
    with atomic_path(folder / f"{name}.md") as temporary:
        temporary.write_text(report.markdown(rows, scores, SHOWN))
    if plots and math.isfinite(crps):
        pictures.save(pictures.ratio_bars(means, name), folder / f"{name}_ratios.png")
    if plots:
        pictures.save(pictures.calibration(rows), folder / f"{name}_calibration.png")
    if note := report.left_out(scores, names):
        print(note)
    print(f"geometric mean relative to {report.REFERENCE}: CRPS {report.number(crps)}, ", end="")
    print(f"MASE {report.number(mase)}; tables and pictures in {folder}/")
