"""`lagllama evaluate`: scores of a model or a baseline in the columns of GIFT-Eval."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from lagllama_jax.cli import arguments
from lagllama_jax.cli.arguments import OptionalFolder, OptionalName, options_of
from lagllama_jax.config import ForecastConfig
from lagllama_jax.errors import ConfigError, require
from lagllama_jax.evaluation.suite_names import Suite

if TYPE_CHECKING:
    from lagllama_jax.evaluation.run import OnRow
    from lagllama_jax.evaluation.scores import Row
    from lagllama_jax.evaluation.tasks import Task
    from lagllama_jax.evaluation.windows import EvaluationWindows
    from lagllama_jax.inference.forecast import Forecast, Predictor

OPTIONS = options_of(ForecastConfig, quantile_levels=tyro.conf.Suppress[tuple[float, ...]])
DEFAULTS = vars(ForecastConfig())
BOX = "box"
SHOWN = ("Lag-Llama", "Toto-2.0-4m", "chronos_bolt_small", "TiRex")
"""Published models that get a column in the table of tasks."""


def main(
    *,
    model: arguments.Model = BOX,
    suite: Suite = "all",
    data_dir: OptionalFolder = None,
    terms: tuple[Literal["short", "medium", "long"], ...] = ("short", "medium", "long"),
    output_dir: OptionalFolder = None,
    name: OptionalName = None,
    published: arguments.OptionalFile = None,
    data: arguments.OptionalFile = None,
    prediction_length: arguments.OptionalHorizon = None,
    windows: int = 1,
    overwrite: bool = False,
    plots: bool = True,
    forecast: tyro.conf.OmitArgPrefixes[Annotated[dict[str, Any], OPTIONS]] = DEFAULTS,
) -> None:
    """Scores forecasts of the last windows of series, and writes tables, a report and pictures.

    Tasks whose results are already in the output folder are skipped, so the same command continues
    a run that was stopped. If those results are from other options, weights or series, the command
    stops, and the results are kept.

    Args:
      model: Folder, authors' .ckpt file, hub id, box for the bundled weights, or a baseline: naive,
        seasonal_naive, auto_ets, auto_theta, auto_arima, deepar, nhits.
      suite: The 16 ETT tasks of GIFT-Eval, m4_hourly, both (all), the last windows of the paper,
        the validation windows of a training corpus, by which recipes are compared, series with
        known covariates, which --covariates none leaves out, or the ETT tasks with the seven
        variables as the targets of one item.
      data_dir: Folder of the evaluation sets. For the suite validation, folder of the Parquet files
        of the corpus. The suite paper also reads weather and pedestrian_counts, if they were built
        there, as by `lagllama data build weather --download --data-dir FOLDER`.
      terms: Horizons of GIFT-Eval: 1, 10 and 15 times the short horizon.
      output_dir: Folder for all_results.csv, calibration.csv, run.json, NAME.md and pictures. If
        not given, results/SUITE, or results/ and the name of the file given by --data.
      name: Name of the model in the tables. If not given, the name of --model.
      published: CSV file of published scores (dataset, model, crps, mase) to compare with.
      data: CSV or Parquet file of your own series to use instead of a suite.
      prediction_length: Number of time steps per window of --data.
      windows: Number of windows at the end of each series of --data.
      overwrite: Whether to evaluate tasks again whose results are in the folder.
      plots: Whether to draw the pictures (extra plot).
      forecast: Configuration of the forecasts. The seed is also that of the training of deepar
        and nhits.
    """
    from lagllama_jax.evaluation.run import evaluate_into
    from lagllama_jax.evaluation.tasks import own_task
    from lagllama_jax.files import check_outputs
    from lagllama_jax.lock import locked

    config = ForecastConfig.of(**forecast)
    if plots:
        require("matplotlib", "plot").use("agg")
    place = output_dir or Path("results")
    check_outputs(folders=[place], inputs=[data, data_dir, published, model])
    if data is None:
        tasks = _suite(suite, data_dir, terms)
    elif prediction_length is None:
        raise ConfigError("--data needs --prediction-length, the number of time steps per window.")
    else:
        tasks = [own_task(data, prediction_length, windows)]
    folder = output_dir or place / (suite if data is None else tasks[0].dataset)
    predictor, name = _predictor(model or BOX, name, config.seed)
    with locked(folder):
        on_row = _show_row(folder, config, plots)
        rows = evaluate_into(
            folder, predictor, tasks, name, config, overwrite=overwrite, on_row=on_row
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


def _suite(suite: str, data_dir: Path | None, terms: Sequence[str]) -> "list[Task]":
    from lagllama_jax.evaluation.datasets import FOLDER
    from lagllama_jax.evaluation.suites import suite_tasks

    if data_dir is None:
        raise ConfigError(f"--suite {suite} needs --data-dir, {FOLDER}.")
    return suite_tasks(suite, data_dir, terms)


def _show_row(folder: Path, config: ForecastConfig, plots: bool) -> "OnRow":
    """Prints a new row, records its command and options, and plots three of its windows."""
    from lagllama_jax.evaluation.plots import examples, save
    from lagllama_jax.evaluation.provenance import record_run
    from lagllama_jax.evaluation.report import number
    from lagllama_jax.evaluation.scores import CRPS, MASE

    def show(row: "Row", task: "Task", windows: "EvaluationWindows", forecast: "Forecast") -> None:
        name = row["model"]
        if plots:
            picture = f"{name}_{task.name.replace('/', '_')}.png"
            figure = examples(windows, forecast, f"{task.name}, {name}")
            save(figure, folder / "examples" / picture)
        record_run(folder, name, config)
        print(
            f"{row['dataset']:<24} CRPS {number(row[CRPS], 4)}  MASE {number(row[MASE])}  "
            f"80 % interval covers {row['coverage_80']:.0%}  {row['windows']} windows, "
            f"{row['seconds']:.1f} s",
            flush=True,
        )

    return show


def _report(
    folder: Path, rows: "list[Row]", tasks: "list[Task]", published: Path | None, plots: bool
) -> None:
    """Writes the Markdown report and the pictures, with the reference on the same windows."""
    from lagllama_jax.evaluation import plots as pictures
    from lagllama_jax.evaluation import report
    from lagllama_jax.evaluation.baselines import baseline
    from lagllama_jax.evaluation.run import evaluate_tasks
    from lagllama_jax.files import write_bytes

    name = rows[0]["model"]
    reference = evaluate_tasks(baseline(report.REFERENCE), tasks)
    others = {} if published is None else report.read_published(published)
    scores = {**others, **report.scores_of(reference), **report.scores_of(rows)}
    names = [task.name for task in tasks]
    means = report.relative(scores, names)
    crps, mase = means[name]
    write_bytes(folder / f"{name}.md", report.markdown(rows, scores, SHOWN).encode())
    if plots:
        pictures.save(pictures.calibration(rows), folder / f"{name}_calibration.png")
    if plots and math.isfinite(crps):
        pictures.save(pictures.ratio_bars(means, name), folder / f"{name}_ratios.png")
    if note := report.left_out(scores, names):
        print(note)
    print(f"geometric mean relative to {report.REFERENCE}: CRPS {report.number(crps)}, ", end="")
    print(f"MASE {report.number(mase)}; tables and pictures in {folder}/")
