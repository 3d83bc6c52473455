"""The validation suite: held-out windows of the training corpus, by which recipes are chosen.

With these tasks, no choice depends on the test sets. The tasks cover several kinds of series and
frequencies, and are scored as those of GIFT-Eval. Their windows are the last ones of some series of
`SETS`, which must not be trained on:

    lengths = seen_lengths(corpus)            # number of first points to train on
    tasks = validation_tasks("folder/with/parquet/files")
    rows = evaluate_tasks(predictor, tasks)
    naive = evaluate_tasks(baseline("seasonal_naive"), tasks)
    relative_score(rows, naive)               # geometric mean of CRPS ratios; lower is better

The bundled weights were trained before the medium tasks of energy_appliance, azure_vm_traces and
smart_meters were added, on most points of these windows.

The series of one data set often cover the same period. In such data sets (`share` 1), the last
points of every series are held back, whether it is scored or not. Of unrelated series, only some
are held back, by a hash of the names of data set and series, as for every corpus.
"""

import functools
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lagllama_jax.errors import ConfigError
from lagllama_jax.evaluation.datasets import parquet_series
from lagllama_jax.evaluation.tasks import Task
from lagllama_jax.model.calendar_features import MONTH, SECOND, WEEK
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Int

if TYPE_CHECKING:
    from lagllama_jax.corpus.store import Corpus


class ValidationSet(NamedTuple):
    """The windows of one validation task.

    Attributes:
      dataset: File name of the data set without its suffix.
      frequency: Pandas alias of the series in the file.
      unit: Unit of the calendar of the series (`model.calendar_features`).
      step: Step of that calendar.
      term: `short` or `medium`.
      prediction_length: Number of points in each window.
      share: Share of the series whose last points are held out.
      series: Largest number of series to score.
      windows: Number of windows at the end of each scored series.
    """

    dataset: str
    frequency: str
    unit: int
    step: int
    term: str
    prediction_length: int
    share: float
    series: int
    windows: int


# fmt: off
SETS: tuple[ValidationSet, ...] = tuple(ValidationSet(*row) for row in (
    ("pjm_hourly",                    "h",     SECOND, 3600, "short",   48, 1.0,  12, 3),
    ("pjm_hourly",                    "h",     SECOND, 3600, "medium", 480, 1.0,  12, 2),
    ("kdd_cup_2018",                  "h",     SECOND, 3600, "short",   48, 1.0,  40, 1),
    ("solar_rts_gmlc",                "h",     SECOND, 3600, "short",   48, 1.0,  20, 2),
    ("smart_meters",                  "30min", SECOND, 1800, "short",   48, 1.0,  14, 3),
    ("smart_meters",                  "30min", SECOND, 1800, "medium", 480, 1.0,  14, 1),
    ("australian_electricity_demand", "30min", SECOND, 1800, "medium", 480, 1.0,   6, 4),
    ("energy_appliance",              "10min", SECOND,  600, "short",   48, 1.0,  26, 1),
    ("energy_appliance",              "10min", SECOND,  600, "medium", 480, 1.0,  26, 1),
    ("azure_vm_traces",               "5min",  SECOND,  300, "short",   48, 1.0,  40, 1),
    ("azure_vm_traces",               "5min",  SECOND,  300, "medium", 480, 1.0,  26, 1),
    ("nn_competitions",               "D",     SECOND, 86400, "short",  30, 1.0,  40, 1),
    ("wikipedia_page_visits",         "D",     SECOND, 86400, "short",  30, 1.0,  40, 1),
    ("electricity",                   "W",     WEEK,   1,    "short",    8, 1.0,  40, 1),
    ("pbs",                           "ME",    MONTH,  1,    "short",   12, 1.0,  40, 1),
    ("carparts",                      "ME",    MONTH,  1,    "short",   12, 1.0,  40, 1),
    ("mcomp",                         "QE",    MONTH,  3,    "short",    8, 0.1,  40, 1),
    ("m4_yearly",                     "YE",    MONTH,  12,   "short",    6, 0.01, 40, 1),
))
# fmt: on
SHORTEST = 4  # smallest length of a series, in multiples of its held-out points


class HeldOut(NamedTuple):
    """The series whose last points are not trained on.

    Attributes:
      series: Ascending indices of the series in the corpus.
      start: Index of the first held-out point within each series.
    """

    series: Int[np.ndarray, "n"]
    start: Int[np.ndarray, "n"]


def _draw(dataset: str, item_id: str) -> float:
    """A number in [0, 1) that depends only on the two names."""
    return zlib.crc32(f"{dataset}/{item_id}".encode()) / 2**32


def _held_points(dataset: str, unit: int, step: int, item_id: str, length: int) -> int:
    """Number of points at the end of a series that are held out, which may be 0."""
    tasks = [s for s in SETS if (s.dataset, s.unit, s.step) == (dataset, unit, step)]
    tail = max((s.prediction_length * s.windows for s in tasks), default=0)
    share = max((s.share for s in tasks), default=0.0)
    held = length >= SHORTEST * tail and _draw(dataset, item_id) < share
    return tail if held else 0


def held_out(corpus: "Corpus") -> HeldOut:
    """The points of `corpus` that must not be trained on if `validation_tasks` are to be held out.

    Data sets are recognised by their names, and frequencies by the calendars.
    """
    names = [corpus.dataset_names[number] for number in corpus.dataset]
    grids = corpus.calendar.unit.tolist(), corpus.calendar.step.tolist()
    series = zip(names, *grids, corpus.item_ids, corpus.lengths.tolist(), strict=True)
    points = np.array([_held_points(*one) for one in series], np.int64)
    held = np.flatnonzero(points)
    return HeldOut(held, corpus.lengths[held] - points[held])


def seen_lengths(corpus: "Corpus") -> Int[np.ndarray, "n"]:
    """Number of points of each series, from the first one, that may be trained on."""
    held = held_out(corpus)
    lengths = corpus.lengths.copy()
    lengths[held.series] = held.start
    return lengths


def _scored(folder: Path, entry: ValidationSet) -> SeriesDataset:
    """The series that a task scores: the held-out series with the lowest hashes."""
    series = parquet_series(folder / f"{entry.dataset}.parquet", entry.frequency)
    held = [
        (_draw(entry.dataset, item), number)
        for number, (item, length) in enumerate(zip(series.item_ids, series.lengths, strict=True))
        if _held_points(entry.dataset, entry.unit, entry.step, item, length)
    ]
    return series.take(sorted(number for _, number in sorted(held)[: entry.series]))


def validation_tasks(folder: Path | str, datasets: Sequence[str] | None = None) -> list[Task]:
    """The validation tasks of a corpus folder of Parquet files, one per row of `SETS`.

    Raises:
      ConfigError: If one of the `datasets` has no validation task.
    """
    unknown = set(datasets or ()) - {entry.dataset for entry in SETS}
    if unknown:
        raise ConfigError(f"No validation task for {', '.join(sorted(unknown))}.")
    tasks = []
    for entry in SETS:
        if datasets is None or entry.dataset in datasets:
            read = functools.partial(_scored, Path(folder), entry)
            points, windows = entry.prediction_length, entry.windows
            name = entry.dataset, entry.frequency, entry.term
            tasks.append(Task(*name, points, windows, "validation", 1, read))
    return tasks
