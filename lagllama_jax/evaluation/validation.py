"""Held-out windows of the pre-training corpus: where recipes are chosen, so that no test set is.

Tasks of different kinds and frequencies, scored as GIFT-Eval's. The windows are the last ones of
some series of `SETS`. Training must not see them:

    held = held_out(corpus)                       # corpus: data.corpus.Corpus
    lengths = corpus.lengths.copy()
    lengths[held.series] = held.start             # points that training may use, from the front
    ...
    tasks = validation_tasks("folder/with/parquet/files")
    rows = evaluate_tasks(forecaster, tasks)
    naive = evaluate_tasks(BaselineForecaster("seasonal_naive"), tasks)      # a second, in all
    relative_score(rows, naive)                   # geometric mean of CRPS ratios; lower is better

`held_out(corpus)` keeps the tails back: the rest of these series is trained on. For the question
that zero-shot scores ask, `held_out(corpus, whole=True)` keeps back every point of these data sets.

The weights in the box were trained before the medium tasks of energy_appliance, azure_vm_traces
and smart_meters were added: they have seen most of these tails.

Series of one data set often run side by side in time, and what happened to one tells of its
neighbour. So where they do (`share` 1), every series of the data set loses its tail, whether or
not it is scored; in collections of unrelated series only the drawn ones do. The draw is a hash of
data set and name: the same for every corpus that holds the series, whatever else it holds.
"""

import functools
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Int

from lagllama_jax.errors import ConfigError
from lagllama_jax.evaluation.suites import parquet_panel
from lagllama_jax.evaluation.windows import Panel, Task

if TYPE_CHECKING:
    from lagllama_jax.corpus.store import Corpus

SECOND, WEEK, MONTH = 0, 2, 3  # units of model.time_features.Calendar


class ValidationSet(NamedTuple):
    """A data set of the corpus and what is taken from it.

    Attributes:
      dataset: file name without its ending.
      frequency: pandas alias in the file.
      unit: unit of the calendar of its series.
      step: step of that calendar.
      term: short or medium.
      prediction_length: points of a window.
      season: points of a season.
      share: share of the series whose tails are held out.
      series: at most so many of them are scored.
      windows: last windows of each.
    """

    dataset: str
    frequency: str
    unit: int
    step: int
    term: str
    prediction_length: int
    season: int
    share: float
    series: int
    windows: int

    @property
    def tail(self) -> int:
        """Points at the end of a series that this task looks at."""
        return self.prediction_length * self.windows


# fmt: off
SETS: tuple[ValidationSet, ...] = tuple(ValidationSet(*row) for row in (
    ("pjm_hourly",                    "h",     SECOND, 3600, "short",   48,  24, 1.0,  12, 3),
    ("pjm_hourly",                    "h",     SECOND, 3600, "medium", 480,  24, 1.0,  12, 2),
    ("kdd_cup_2018",                  "h",     SECOND, 3600, "short",   48,  24, 1.0,  40, 1),
    ("solar_rts_gmlc",                "h",     SECOND, 3600, "short",   48,  24, 1.0,  20, 2),
    ("smart_meters",                  "30min", SECOND, 1800, "short",   48,  48, 1.0,  14, 3),
    ("smart_meters",                  "30min", SECOND, 1800, "medium", 480,  48, 1.0,  14, 1),
    ("australian_electricity_demand", "30min", SECOND, 1800, "medium", 480,  48, 1.0,   6, 4),
    ("energy_appliance",              "10min", SECOND,  600, "short",   48, 144, 1.0,  26, 1),
    ("energy_appliance",              "10min", SECOND,  600, "medium", 480, 144, 1.0,  26, 1),
    ("azure_vm_traces",               "5min",  SECOND,  300, "short",   48, 288, 1.0,  40, 1),
    ("azure_vm_traces",               "5min",  SECOND,  300, "medium", 480, 288, 1.0,  26, 1),
    ("nn_competitions",               "D",     SECOND, 86400, "short",  30,   1, 1.0,  40, 1),
    ("wikipedia_page_visits",         "D",     SECOND, 86400, "short",  30,   1, 1.0,  40, 1),
    ("electricity",                   "W",     WEEK,   1,    "short",    8,   1, 1.0,  40, 1),
    ("pbs",                           "ME",    MONTH,  1,    "short",   12,  12, 1.0,  40, 1),
    ("carparts",                      "ME",    MONTH,  1,    "short",   12,  12, 1.0,  40, 1),
    ("mcomp",                         "QE",    MONTH,  3,    "short",    8,   4, 0.1,  40, 1),
    ("m4_yearly",                     "YE",    MONTH,  12,   "short",    6,   1, 0.01, 40, 1),
))
# fmt: on
SHORTEST = 4
"""A series is taken only where it is this many times as long as its tail."""


class HeldOut(NamedTuple):
    """Series that training sees only in part.

    Attributes:
      series: index in the corpus, ascending.
      start: first point of the series that is held out, counted from the series' own first point.
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
    """The points of `corpus` that training must leave out for `validation_tasks` to be honest.

    Args:
      corpus: all series; data sets are told by their names, frequencies by their calendars.
      whole: hold back every point of the validation data sets, not the tails alone.
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
    """Points of each series, from its front, that training may see."""
    held = held_out(corpus)
    lengths = corpus.lengths.copy()
    lengths[held.series] = held.start
    return lengths


def _panel(folder: Path, entry: ValidationSet) -> Panel:
    """The scored series of a task: of those held out, the ones drawn first."""
    panel = parquet_panel(folder / f"{entry.dataset}.parquet", entry.frequency)
    tail, share = _tail(entry.dataset, entry.unit, entry.step)
    rows = [
        (_draw(entry.dataset, item), number)
        for number, (item, values) in enumerate(zip(panel.item_ids, panel.values, strict=True))
        if _is_held(entry.dataset, item, len(values), tail, share)
    ]
    chosen = sorted(number for _, number in sorted(rows)[: entry.series])
    return Panel(
        tuple(panel.item_ids[number] for number in chosen),
        tuple(panel.values[number] for number in chosen),
        tuple(panel.starts[number] for number in chosen),
        panel.frequency,
    )


def validation_tasks(folder: Path | str, datasets: Sequence[str] | None = None) -> list[Task]:
    """The validation tasks of a corpus folder of Parquet files, one a row of `SETS`.

    Args:
      folder: one file a data set, as `parquet_panel` reads them.
      datasets: only these of `SETS`.

    Raises:
      ConfigError: a data set that has no validation task.
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
            entry.season,
            entry.windows,
            "validation",
            1,
            functools.partial(_panel, Path(folder), entry),
        )
        for entry in SETS
        if datasets is None or entry.dataset in datasets
    ]
