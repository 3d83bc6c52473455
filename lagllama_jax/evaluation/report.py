"""Markdown tables that compare results with published ones."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lagllama_jax.errors import DataError
from lagllama_jax.evaluation.scores import CRPS, MASE, Row, divides, geometric_mean

REFERENCE = "seasonal_naive"  # the model by whose scores all scores are divided

Scores = Mapping[str, Mapping[str, tuple[float, float]]]  # CRPS and MASE by model and task


def read_published(path: Path) -> dict[str, dict[str, tuple[float, float]]]:
    """Reads published scores from a CSV with the columns dataset, model, crps and mase.

    Raises:
      DataError: If the file is missing or has other columns.
    """
    import pandas as pd

    if not path.exists():
        raise DataError(f"{path} does not exist: name a CSV of published scores.")
    frame = pd.read_csv(path, comment="#")
    missing = {"dataset", "model", "crps", "mase"} - set(frame.columns)
    if missing:
        raise DataError(f"{path} lacks the column(s) {', '.join(sorted(missing))}.")
    return scores_of(frame.rename(columns={"crps": CRPS, "mase": MASE}).to_dict("records"))


def scores_of(rows: Iterable[Mapping[Any, Any]]) -> dict[str, dict[str, tuple[float, float]]]:
    """CRPS and MASE of rows of results, by model and task."""
    scores: dict[str, dict[str, tuple[float, float]]] = {}
    for row in rows:
        scores.setdefault(row["model"], {})[row["dataset"]] = (row[CRPS], row[MASE])
    return scores


def relative(scores: Scores, tasks: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Geometric means over `tasks` of the ratios of CRPS and MASE to those of the reference.

    A model that lacks a task is left out. A task is left out of the mean of a score that is 0 or
    undefined for the reference (see `left_out`).

    Returns:
      CRPS and MASE of each model, best CRPS first: ratios without a unit, NaN if no task is left.

    Raises:
      DataError: If the reference has not been scored on a task.
    """
    base = _reference(scores, tasks)

    def mean(own: Mapping[str, tuple[float, float]], metric: int) -> float:
        kept = [task for task in tasks if divides(base[task][metric])]
        return geometric_mean(own[task][metric] / base[task][metric] for task in kept)

    known = {model: own for model, own in scores.items() if set(tasks) <= own.keys()}
    means = {model: (mean(own, 0), mean(own, 1)) for model, own in known.items()}
    return dict(sorted(means.items(), key=lambda pair: tuple(np.nan_to_num(pair[1], nan=np.inf))))


def _reference(scores: Scores, tasks: Sequence[str]) -> Mapping[str, tuple[float, float]]:
    base = scores.get(REFERENCE, {})
    missing = sorted(set(tasks) - base.keys())
    if missing:
        raise DataError(
            f"No score of {REFERENCE} for {', '.join(missing)}: evaluate it, or give a CSV of it."
        )
    return base


def left_out(scores: Scores, tasks: Sequence[str]) -> str:
    """Names the tasks that the mean of a score leaves out, in one sentence per score; may be empty.

    Raises:
      DataError: If the reference has not been scored on a task.
    """
    base = _reference(scores, tasks)
    notes = []
    for metric, name in enumerate(("CRPS", "MASE")):
        lacking = [task for task in tasks if not divides(base[task][metric])]
        rest = "left out of the mean" if len(lacking) < len(tasks) else "there is no mean"
        if lacking:
            where = ", ".join(lacking)
            notes.append(f"{REFERENCE}'s {name} is 0 or undefined on {where}: {rest}.")
    return " ".join(notes)


def number(value: float, digits: int = 3) -> str:
    """A number as tables show it; a dash if it is undefined."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"


def markdown_table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table in which all columns but the first are right-aligned."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *lines))


def ranking(scores: Scores, tasks: Sequence[str], own: Iterable[str] = ()) -> str:
    """A Markdown table of the models, sorted by geometric mean CRPS. The `own` models are bold.

    Raises:
      DataError: If the reference has not been scored on a task.
    """
    bold = set(own)
    lines = []
    for model, (crps, mase) in relative(scores, tasks).items():
        name = f"**{model}**" if model in bold else model
        lines.append((name, number(crps), number(mase)))
    return markdown_table(("model", "CRPS", "MASE"), lines)


def per_task(scores: Scores, tasks: Sequence[str], models: Sequence[str]) -> str:
    """A Markdown table of CRPS ratios to the reference, one line per task, and their means.

    The `models`, which get one column each, must have been scored on all tasks.

    Raises:
      DataError: If the reference has not been scored on a task.
    """
    base, means = _reference(scores, tasks), relative(scores, tasks)
    lines = []
    for task in tasks:
        reference = base[task][0] if divides(base[task][0]) else math.nan
        ratios = [number(scores[model][task][0] / reference) for model in models]
        lines.append((task, number(base[task][0], 4), *ratios))
    last = ("geometric mean", "", *(number(means[model][0]) for model in models))
    return markdown_table(("task", f"{REFERENCE} CRPS", *models), [*lines, last])


def calibration_table(rows: Sequence[Row]) -> str:
    """A Markdown table of coverage, calibration and seconds: one line per task, and the means."""
    columns = ("coverage_80", "calibration_error", "seconds")
    lines = [(row["dataset"], *(number(row[column]) for column in columns)) for row in rows]
    means = (number(sum(row[column] for row in rows) / len(rows)) for column in columns)
    return markdown_table(
        ("task", "80 % coverage", "calibration error", "seconds"), [*lines, ("mean", *means)]
    )


def markdown(rows: Sequence[Row], published: Scores, columns: Sequence[str] = ()) -> str:
    """The report of one model.

    Args:
      rows: The rows of the model.
      published: Scores of other models on the same tasks, including the reference.
      columns: Models that get a column in the table of tasks.

    Raises:
      DataError: If the reference has not been scored on a task.
    """
    model, tasks = rows[0]["model"], [row["dataset"] for row in rows]
    scores = {**published, **scores_of(rows)}
    others = [
        name for name in columns if name != model and set(tasks) <= scores.get(name, {}).keys()
    ]
    parts = (
        f"# {model} on {len(tasks)} task(s)",
        f"Scores relative to {REFERENCE}, geometric means over the tasks; lower is better.",
        ranking(scores, tasks, own=[model]),
        left_out(scores, tasks),
        "## CRPS by task, relative",
        per_task(scores, tasks, [model, *others]),
        "## Calibration and cost",
        calibration_table(rows),
    )
    return "\n\n".join(filter(None, parts)) + "\n"
