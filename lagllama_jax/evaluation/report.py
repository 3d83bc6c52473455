"""Tables of results against published ones, in Markdown."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lagllama_jax.errors import DataError
from lagllama_jax.evaluation.backtest import CRPS, MASE, Row, geometric_mean

REFERENCE = "seasonal_naive"
"""The model that every score is divided by."""

Scores = Mapping[str, Mapping[str, tuple[float, float]]]
"""Model, then task: CRPS and MASE."""


def read_published(path: Path) -> dict[str, dict[str, tuple[float, float]]]:
    """Published scores of a CSV with the columns dataset, model, crps and mase.

    Raises:
      DataError: the file is missing, or has other columns.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist: name a CSV of published scores.")
    with open(path, newline="") as file:
        reader = csv.DictReader(line for line in file if not line.startswith("#"))
        missing = {"dataset", "model", "crps", "mase"} - set(reader.fieldnames or ())
        if missing:
            raise DataError(f"{path} lacks the column(s) {', '.join(sorted(missing))}.")
        scores: dict[str, dict[str, tuple[float, float]]] = {}
        for row in reader:
            task = scores.setdefault(row["model"], {})
            task[row["dataset"]] = (float(row["crps"]), float(row["mase"]))
    return scores


def scores_of(rows: Iterable[Row]) -> dict[str, dict[str, tuple[float, float]]]:
    """CRPS and MASE of evaluated rows, by model and task."""
    scores: dict[str, dict[str, tuple[float, float]]] = {}
    for row in rows:
        scores.setdefault(row["model"], {})[row["dataset"]] = (row[CRPS], row[MASE])
    return scores


def relative(scores: Scores, tasks: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Geometric means over `tasks` of CRPS and MASE over the reference's; best CRPS first.

    Models that lack a task are left out.
    """
    base = scores.get(REFERENCE, {})
    missing = sorted(set(tasks) - base.keys())
    if missing:
        raise DataError(
            f"No score of {REFERENCE} for {', '.join(missing)}: evaluate it, or give a CSV of "
            "published scores that holds it."
        )
    means = {
        model: tuple(
            geometric_mean(own[task][metric] / base[task][metric] for task in tasks)
            for metric in (0, 1)
        )
        for model, own in scores.items()
        if set(tasks) <= own.keys()
    }
    return dict(sorted(means.items(), key=lambda entry: entry[1]))  # type: ignore[arg-type]


def markdown_table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *lines))


def ranking(scores: Scores, tasks: Sequence[str], own: Iterable[str] = ()) -> str:
    """A Markdown table of models by geometric mean CRPS; `own` models are bold."""
    bold = set(own)
    lines = []
    for model, (crps, mase) in relative(scores, tasks).items():
        name = f"**{model}**" if model in bold else model
        lines.append((name, f"{crps:.3f}", f"{mase:.3f}"))
    return markdown_table(("model", "CRPS", "MASE"), lines)


def per_task(scores: Scores, tasks: Sequence[str], models: Sequence[str]) -> str:
    """A Markdown table of CRPS over the reference's, one line a task, and the geometric means."""
    base, means = scores[REFERENCE], relative(scores, tasks)
    lines = [
        (
            task,
            f"{base[task][0]:.4f}",
            *(f"{scores[model][task][0] / base[task][0]:.3f}" for model in models),
        )
        for task in tasks
    ]
    last = ("geometric mean", "", *(f"{means[model][0]:.3f}" for model in models))
    return markdown_table(("task", f"{REFERENCE} CRPS", *models), [*lines, last])


def calibration_table(rows: Sequence[Row]) -> str:
    """A Markdown table of coverage, calibration and seconds, one line a task, then the means."""
    columns = ("coverage_80", "calibration_error", "seconds")
    lines = [(row["dataset"], *(f"{row[column]:.3f}" for column in columns)) for row in rows]
    means = (f"{sum(row[column] for row in rows) / len(rows):.3f}" for column in columns)
    return markdown_table(
        ("task", "80 % coverage", "calibration error", "seconds"), [*lines, ("mean", *means)]
    )


def markdown(rows: Sequence[Row], published: Scores, columns: Sequence[str] = ()) -> str:
    """The report of one model's rows.

    Args:
      rows: of one model, as `evaluate_tasks` returns them.
      published: scores of others on the same tasks, or nothing; the reference's are needed.
      columns: models that get a column of their own in the table by task.
    """
    model, tasks = rows[0]["model"], [row["dataset"] for row in rows]
    scores = {**published, **scores_of(rows)}
    others = [
        name for name in columns if name != model and set(tasks) <= scores.get(name, {}).keys()
    ]
    return (
        "\n\n".join(
            (
                f"# {model} on {len(tasks)} task(s)",
                f"Scores relative to {REFERENCE}, geometric means over the tasks; lower is better.",
                ranking(scores, tasks, own=[model]),
                "## CRPS by task, relative",
                per_task(scores, tasks, [model, *others]),
                "## Calibration and cost",
                calibration_table(rows),
            )
        )
        + "\n"
    )
