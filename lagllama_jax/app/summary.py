"""`TableSummary`: what the page shows of a table, and the columns that it proposes."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.app.choice import Choice, Files, open_table, series_of, split_future
from lagllama_jax.app.limits import Limits
from lagllama_jax.errors import DataError, LagLlamaError
from lagllama_jax.series.columns import find_columns
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.tables import LONGEST, Table

SHOWN_ROWS = 6
MOST_ITEMS = 100
"""Number of names of series among which treated series and controls are chosen."""


@dataclass(frozen=True)
class TableSummary:
    """What the page shows of a table.

    Attributes:
      columns: Names of the columns.
      rows: Number of rows.
      head: Cells of the first rows, shortened.
      choice: The columns that were chosen or, at first, that are proposed.
      items: The first names of series in the column of names.
      future: Columns of the second table. `None`: there is none.
      found: The series that the choice gives, in words.
      problem: Why the choice gives no series.
      notes: Warnings of the reading.
    """

    columns: tuple[str, ...]
    rows: int
    head: tuple[tuple[str, ...], ...]
    choice: Choice
    items: tuple[str, ...] = ()
    future: tuple[str, ...] | None = None
    found: str = ""
    problem: str = ""
    notes: tuple[str, ...] = ()


def summarise(files: Files, choice: Choice | None, limits: Limits) -> TableSummary:
    """Reads a table, and the series that a choice of its columns gives.

    Args:
      files: The files.
      choice: The columns. `None`: they are proposed.
      limits: Limits of the page.

    Raises:
      DataError: If a file cannot be read. A choice that does not fit is in `TableSummary.problem`.
    """
    table = open_table(files.table, files.encoding, limits)
    future = None
    if files.future is not None:
        future = _names(open_table(files.future, files.encoding, limits))
    found = problem = ""
    try:
        if choice is None:
            choice = propose(table, future)
        past = replace(choice, known=())  # how much of the future is needed is not known yet
        found = _described(series_of(table, None, past, 0, limits))
    except LagLlamaError as error:
        problem = str(error)
    choice = choice or Choice()
    return TableSummary(
        _names(table),
        len(table.frame),
        tuple(tuple(map(_cell, row)) for row in table.frame.head(SHOWN_ROWS).to_numpy(object)),
        choice,
        _items(table, choice.id_column),
        future,
        found,
        problem,
    )


def propose(table: Table, future: tuple[str, ...] | None) -> Choice:
    """The columns as the command line would take them, and the likely known covariates.

    Raises:
      DataError: If the columns cannot be told.
    """
    columns = find_columns(table, None, None, None)
    if columns.target is None:
        return Choice("wide", None, columns.timestamp)
    choice = Choice("long", columns.item_id, columns.timestamp, columns.target)
    if future is not None:
        return replace(choice, known=tuple(name for name in columns.others if name in future))
    try:
        _, coming = split_future(table, choice)
    except DataError:
        return choice
    filled = coming.frame.notna().all()
    return replace(choice, known=tuple(name for name in columns.others if filled[str(name)]))


def _described(dataset: SeriesDataset) -> str:
    """A dataset in a sentence."""
    count, names = len(dataset), dataset.target_names
    words = "1 series" if count == 1 else f"{count:,} series"
    if len(names) > 1:
        words += f" of {len(names)} targets"
    lengths = np.array([dataset.observed_end(row) for row in range(count)])
    least, most = int(lengths.min()), int(lengths.max())
    words += f" with {most:,} time steps" if least == most else f" with {least:,} to {most:,} steps"
    if not dataset.dated:
        return f"{words}."
    starts, ends = [], []
    for row, (length, end) in enumerate(zip(dataset.lengths.tolist(), lengths, strict=True)):
        starts.append(dataset.timestamps(row, -length, 1)[0])
        ends.append(dataset.timestamps(row, int(end) - length - 1, 1)[0])
    steps = ", ".join(sorted({str(frequency) for frequency in dataset.frequencies}))
    return f"{words} from {_stamp(min(starts))} to {_stamp(max(ends))}, in steps of {steps}."


def _stamp(stamp: pd.Timestamp) -> str:
    return str(stamp).removesuffix(" 00:00:00")


def _names(table: Table) -> tuple[str, ...]:
    return tuple(map(str, table.frame.columns))


def _items(table: Table, column: str | None) -> tuple[str, ...]:
    if column is None or column not in table.frame:
        return ()
    found = table.frame[column].dropna().astype(str).drop_duplicates()
    return tuple(found.head(MOST_ITEMS))


def _cell(cell: Any) -> str:
    """The text of a cell, of which only the beginning if it is long."""
    if pd.api.types.is_scalar(cell) and pd.isna(cell):
        return ""
    text = _stamp(cell) if isinstance(cell, pd.Timestamp) else str(cell)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
