"""Checks or refreshes the figures of Markdown documents from the recorded results.

python experiments/zero_shot/figures.py README.md             # lists the lines that are out of date
python experiments/zero_shot/figures.py README.md --write     # writes the recorded figures

A number is bound to a figure by a comment behind it, which readers do not see:

    MASE is 0.885<!-- gift_eval * mase lagllama_jax/seasonal_naive --> of seasonal naive's

The comment names a folder of `results` (or `published`, for `published.csv`), a pattern of tasks, a
score, and a model, with a second model to divide by. The scores are `crps`, `mase`, `coverage` (of
the 80 % interval, in per cent) and `minutes`; with `+above` behind it, the number of tasks in
which the ratio is above 1. Of several tasks, ratios are averaged geometrically and coverage
arithmetically, and minutes are added up. The figure `parameters` is the number of parameters of the
bundled model, in millions.

A table is bound by a comment in the line above it, with one figure per column after the first,
separated by `|`. The first column names the task, for which `?` stands in the comment. Rows that
do not begin with a task are left alone. A number keeps its number of decimals.
"""

import dataclasses
import difflib
import fnmatch
import functools
import re
import sys
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import tyro

from lagllama_jax import LagLlama

HERE = Path(__file__).resolve().parent
COLUMNS = {
    "crps": "eval_metrics/mean_weighted_sum_quantile_loss",
    "mase": "eval_metrics/MASE[0.5]",
    "coverage": "coverage_80",
    "minutes": "seconds",
}
NUMBER = r"\d+(?:\.\d+)?"
MARKED = re.compile(rf"({NUMBER})((?: %|\*\*)*)<!-- (?P<figure>[^|>]*?) -->")
TABLE = re.compile(r"(<!-- (?P<columns>[^>]*\?[^>]*?) -->\n)(?P<rows>(?:\|.*\n)+)")


@functools.cache
def recorded(folder: str) -> pd.DataFrame:
    """The rows of a folder of results, by task and model."""
    if folder == "published":
        table = pd.read_csv(HERE / "published.csv", comment="#")
        return table.rename(columns=COLUMNS).set_index(["dataset", "model"])
    tables = [
        pd.read_csv(HERE / "results" / folder / name).set_index(["dataset", "model"])
        for name in ("all_results.csv", "calibration.csv")
    ]
    return tables[0].join(tables[1])


@functools.cache
def figure(words: str) -> float:
    """The value of a figure, such as `gift_eval ett* crps lagllama_jax/seasonal_naive`."""
    if words == "parameters":
        return (
            sum(leaf.size for leaf in jax.tree.leaves(LagLlama.from_pretrained().parameters)) / 1e6
        )
    folder, pattern, score, models = words.split(maxsplit=3)
    name, _, above = score.partition("+")
    values = recorded(folder)[COLUMNS[name]].unstack("model")
    values = values[[fnmatch.fnmatch(task, pattern) for task in values.index]]
    model, _, reference = models.partition("/")
    chosen = values[model] / values[reference] if reference else values[model]
    if chosen.empty or chosen.isna().any():
        raise SystemExit(f"There are no results, or not of all tasks, for {words!r}.")
    if above:
        return float((chosen > 1).sum())
    if name == "minutes":
        return float(chosen.sum() / 60)
    return float(100 * chosen.mean() if name == "coverage" else np.exp(np.log(chosen).mean()))


def printed(value: float, like: str) -> str:
    """`value` with as many decimals as the number `like`."""
    return f"{value:.{len(like.partition('.')[2])}f}"


def refreshed(text: str) -> str:
    """The document with the recorded figures in place of those that it shows."""
    text = MARKED.sub(_marked, text)
    return TABLE.sub(_table, text)


def _marked(match: re.Match[str]) -> str:
    return match.group(0).replace(match[1], printed(figure(match["figure"]), match[1]), 1)


def _table(match: re.Match[str]) -> str:
    columns = match["columns"].split(" | ")
    tasks = set(recorded(columns[0].split()[0]).index.get_level_values("dataset"))
    lines = [_row(line, columns, tasks) for line in match["rows"].splitlines(keepends=True)]
    return match[1] + "".join(lines)


def _row(line: str, columns: list[str], tasks: set[str]) -> str:
    task, *cells = (cell.strip() for cell in line.strip().strip("|").split("|"))
    if task not in tasks:
        return line
    values = [figure(column.replace("?", task)) for column in columns]
    shown = [
        re.sub(NUMBER, lambda found, value=value: printed(value, found[0]), cell, count=1)
        for cell, value in zip(cells, values, strict=True)
    ]
    return f"| {' | '.join([task, *shown])} |\n"


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Which documents are checked.

    Attributes:
      documents: Markdown files.
      write: Whether to write the recorded figures into the documents.
    """

    documents: tyro.conf.Positional[tuple[Path, ...]]
    write: bool = False


def main(arguments: Arguments) -> None:
    stale = False
    for path in arguments.documents:
        text = path.read_text()
        new = refreshed(text)
        stale |= new != text
        sys.stdout.writelines(
            difflib.unified_diff(
                text.splitlines(keepends=True), new.splitlines(keepends=True), str(path), "recorded"
            )
        )
        if arguments.write:
            path.write_text(new)
    sys.exit(stale and not arguments.write)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
