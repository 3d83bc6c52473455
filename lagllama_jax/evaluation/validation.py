"""The validation suite: held-out windows of the training corpus, on which recipes are chosen.

Choosing on these tasks leaves the test sets untouched. They have different kinds of series and
frequencies and are scored as GIFT-Eval's. Their windows are the last ones of some series of `SETS`,
which training must not see:

    lengths = seen_lengths(corpus)            # points that training may use, from the front
    tasks = validation_tasks("folder/with/parquet/files")
    rows = evaluate_tasks(predictor, tasks)
    naive = evaluate_tasks(baseline("seasonal_naive"), tasks)
    relative_score(rows, naive)               # geometric mean of CRPS ratios; lower is better

`held_out(corpus)` holds back the tails; the rest of these series is trained on. To measure what
zero-shot scores measure, `held_out(corpus, whole=True)` holds back every point of these data sets.

The bundled weights were trained before the medium tasks of energy_appliance, azure_vm_traces and
smart_meters were added: they have seen most of these tails.

The series of one data set often cover the same period, and what happened to one tells something
about its neighbours. In such data sets (`share` 1) every series loses its tail, whether or not it
is scored; in collections of unrelated series only the drawn ones do. The draw is a hash of the
names of data set and series: it is the same for every corpus that contains the series.
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
    """What is taken from a data set of the corpus.

    Attributes:
      dataset: File name without its suffix.
      frequency: Pandas alias in the file.
      unit: Unit of the calendar of its series (`model.calendar_features`).
      step: Step of that calendar.
      term: short or medium.
      prediction_length: Number of points in each window.
      share: Share of the series whose tails are held out.
      series: At most this many of them are scored.
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

    @property
    def tail(self) -> int:
        """Number of points at the end of a series that this task scores."""
        return self.prediction_length * self.windows


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
SHORTEST = 4
"""A series must be at least this many times as long as its tail."""


class HeldOut(NamedTuple):
    """Series that training sees only in part.

    Attributes:
      series: Index in the corpus, ascending.
      start: The first held-out point of each series, counted from its own first point.
    """

    series: Int[np.ndarray, "n"]
    start: Int[np.ndarray, "n"]


def _draw(dataset: str, item_id: str) -> float:
    """A number in [0, 1) that depends on the two names alone."""
    return zlib.crc32(f"{dataset}/{item_id}".encode()) / 2**32


def _tail(dataset: str, unit: int, step: int) -> tuple[int, float]:
    """Longest tail and largest share over the tasks of a data set at a frequency; 0 for none."""
    tasks = [s for s in SETS if (s.dataset, s.unit, s.step) == (dataset, unit, step)]
    return max((s.tail for s in tasks), default=0), max((s.share for s in tasks), default=0.0)


def _is_held(dataset: str, item_id: str, length: int, tail: int, share: float) -> bool:
    return tail > 0 and length >= SHORTEST * tail and _draw(dataset, item_id) < share


def held_out(corpus: "Corpus", *, whole: bool = False) -> HeldOut:
    """The points of `corpus` that training must not see, so that `validation_tasks` are held out.

    Args:
      corpus: All series. Data sets are recognised by name, frequencies by calendar.
      whole: Hold back every point of the validation data sets, not the tails alone.
    """
    lengths = corpus.lengths
    names = {name: number for number, name in enumerate(corpus.dataset_names)}
    series: list[int] = []
    starts: list[int] = []
    for dataset in sorted({entry.dataset for entry in SETS} & names.keys()):
        for index in np.flatnonzero(corpus.dataset == names[dataset]).tolist():
            tail, share = _tail(
                dataset, int(corpus.calendar.unit[index]), int(corpus.calendar.step[index])
            )
            length = int(lengths[index])
            if whole or _is_held(dataset, corpus.item_ids[index], length, tail, share):
                series.append(index)
                starts.append(0 if whole else length - tail)
    order = np.argsort(series, kind="stable")
    return HeldOut(np.asarray(series, np.int64)[order], np.asarray(starts, np.int64)[order])


def seen_lengths(corpus: "Corpus") -> Int[np.ndarray, "n"]:
    """Number of points of each series, from its front, that training may see."""
    held = held_out(corpus)
    lengths = corpus.lengths.copy()
    lengths[held.series] = held.start
    return lengths


def _scored(folder: Path, entry: ValidationSet) -> SeriesDataset:
    """The scored series of a task: of those held out, the ones drawn first."""
    series = parquet_series(folder / f"{entry.dataset}.parquet", entry.frequency)
    tail, share = _tail(entry.dataset, entry.unit, entry.step)
    rows = [
        (_draw(entry.dataset, item), number)
        for number, (item, target) in enumerate(zip(series.item_ids, series.targets, strict=True))
        if _is_held(entry.dataset, item, target.shape[1], tail, share)
    ]
    return series.take(sorted(number for _, number in sorted(rows)[: entry.series]))


def validation_tasks(folder: Path | str, datasets: Sequence[str] | None = None) -> list[Task]:
    """The validation tasks of a corpus folder of Parquet files, one per row of `SETS`.

    Args:
      folder: One file per data set, as `parquet_series` reads them.
      datasets: Only these data sets of `SETS`. `None`: all of them.

    Raises:
      ConfigError: If a data set has no validation task.
    """
    unknown = set(datasets or ()) - {entry.dataset for entry in SETS}
    if unknown:
        raise ConfigError(f"No validation task for {', '.join(sorted(unknown))}.")
    return [
        Task(
            entry.dataset,
            entry.frequency,
            entry.term,
            entry.prediction_length,
            entry.windows,
            "validation",
            1,
            functools.partial(_scored, Path(folder), entry),
        )
        for entry in SETS
        if datasets is None or entry.dataset in datasets
    ]
