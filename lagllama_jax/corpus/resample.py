"""Aggregates the series of a corpus to longer time steps.

`coarser` makes further data sets of means over whole hours, days or weeks. `by_blocks` aggregates a
corpus to means of blocks that end with each series, as forecasts do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from lagllama_jax.corpus.layout import offsets_of
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.model.calendar_features import (
    SECOND,
    SECONDS_A_DAY,
    UNKNOWN,
    WEEK,
    Calendar,
    wall_clock,
)
from lagllama_jax.series import blocks
from lagllama_jax.series.blocks import SHORTEST, block_means, last_blocks
from lagllama_jax.series.frequency import Frequency
from lagllama_jax.typing import Float, Int

WEEK_SECONDS = 7 * SECONDS_A_DAY
TARGETS = {"15min": 900, "30min": 1800, "h": 3600, "D": SECONDS_A_DAY, "W": WEEK_SECONDS}

OBSERVED_SHARE = 0.5
"""Smallest share of observed points with which the mean of a block counts as observed."""


def coarse(
    corpus: Corpus, index: int, length: int, seconds: int
) -> tuple[Float[np.ndarray, "t"], tuple[int, ...]] | None:
    """Aggregates the first `length` points of one series to means over `seconds` of `TARGETS`.

    The first mean begins at a full hour, at midnight or on a Monday.

    Returns:
      The standardised means and the fields of their `Calendar`. `None` if the time step is not
      a divisor of `seconds` below it, if too few means would be observed, or if a day may have 23
      or 25 hours because of clock changes.
    """
    calendar = Calendar(*(np.asarray(field)[index] for field in corpus.calendar))
    unit, step, zone = int(calendar.unit), int(calendar.step), int(calendar.zone)
    if unit != SECOND or step >= seconds or seconds % step or (zone and seconds >= SECONDS_A_DAY):
        return None
    day, second = (int(part) for part in wall_clock(calendar, np.int32(0), corpus.zones))
    elapsed = (day + 3) % 7 * SECONDS_A_DAY + second  # since Monday, 1970-01-01 being a Thursday
    skip = -elapsed % seconds
    if skip % step:
        return None
    first = corpus.offsets[index]
    fine = corpus.values[first + skip // step : first + length]
    means = block_means(fine, seconds // step, OBSERVED_SHARE).astype(np.float32)
    if len(means) < SHORTEST or np.isnan(means).mean() > 1 - OBSERVED_SHARE:
        return None
    begin = int(calendar.day) * SECONDS_A_DAY + int(calendar.second) + skip
    grid = (WEEK, 1) if seconds == WEEK_SECONDS else (SECOND, seconds)
    return means, (*grid, begin // SECONDS_A_DAY, begin % SECONDS_A_DAY, 6, zone)


def coarser(corpus: Corpus, lengths: Int[np.ndarray, "n"] | None = None) -> Iterator[Corpus]:
    """Yields, for each time step of `TARGETS`, the means of all series with a shorter time step.

    The data sets are named `name/alias`, with the pandas alias of the new time step. Only the first
    `lengths` points of each series are used. `None`: all points.
    """
    lengths = corpus.lengths if lengths is None else lengths
    for alias, seconds in TARGETS.items():
        candidates = {i: coarse(corpus, i, int(lengths[i]), seconds) for i in range(len(corpus))}
        made = {i: found for i, found in candidates.items() if found is not None}
        if not made:
            continue
        kept = corpus.select(np.isin(np.arange(len(corpus)), list(made)))
        values = np.concatenate([means for means, _ in made.values()])
        fields = zip(*(calendar for _, calendar in made.values()), strict=True)
        yield replace(
            kept,
            values=values,
            offsets=offsets_of(np.array([len(means) for means, _ in made.values()])),
            calendar=Calendar(*(np.array(field, np.int32) for field in fields)),
            dataset_names=tuple(f"{name}/{alias}" for name in kept.dataset_names),
            frequency=np.zeros(len(made), np.int32),
            frequency_names=(alias,),
        )


def block_sizes(
    corpus: Corpus, prediction_length: int, coarsen: int | Literal["auto"]
) -> Int[np.ndarray, "n"]:
    """Number of points per block of each series, by the rule of forecasts (`series.blocks`).

    `prediction_length` is in time steps, and `coarsen` is that of `ForecastConfig`.

    Raises:
      DataError: If a series has fewer points than the block that `coarsen` asks for.
    """
    units, steps = np.asarray(corpus.calendar.unit), np.asarray(corpus.calendar.step)
    seconds = np.where(units == SECOND, steps, np.inf).tolist()
    lengths = corpus.lengths.tolist()
    return blocks.block_sizes(corpus.item_ids, lengths, seconds, prediction_length, coarsen)


def common_block(
    corpora: Sequence[Corpus], prediction_length: int, coarsen: int | Literal["auto"]
) -> int:
    """The block size of all series in points; 1 if it differs between the series.

    Raises:
      DataError: As for `block_sizes`.
    """
    sizes = [block_sizes(corpus, prediction_length, coarsen) for corpus in corpora]
    several = np.unique(np.concatenate(sizes))
    return int(several[0]) if len(several) == 1 else 1


def by_blocks(corpus: Corpus, sizes: Int[np.ndarray, "n"]) -> Corpus:
    """Aggregates each series to means of blocks of its own size. The last block ends the series."""
    if (sizes == 1).all():
        return corpus
    bounds = zip(corpus.offsets[:-1], corpus.offsets[1:], sizes.tolist(), strict=True)
    means = [last_blocks(corpus.values[begin:end], size) for begin, end, size in bounds]
    values = np.concatenate(means).astype(np.float32)
    names = [corpus.frequency_names[i] for i in corpus.frequency]
    aliases = [_coarser_alias(name, size) for name, size in zip(names, sizes, strict=True)]
    frequency_names, frequency = np.unique(aliases, return_inverse=True)
    return replace(
        corpus,
        values=values,
        offsets=offsets_of(np.array([len(one) for one in means])),
        calendar=_block_calendar(corpus, sizes, np.array(aliases)),
        frequency=frequency.astype(np.int32),
        frequency_names=tuple(frequency_names.tolist()),
    )


def _block_calendar(corpus: Corpus, sizes: Int[np.ndarray, "n"], aliases: np.ndarray) -> Calendar:
    skipped = (corpus.lengths % sizes).astype(np.int32)
    clocks = [wall_clock(corpus.calendar, skipped, zones) for zones in (corpus.zones, None)]
    local, grid = (day.astype(np.int64) * SECONDS_A_DAY + second for day, second in clocks)
    fields = np.array(corpus.calendar)
    for alias in np.unique(aliases[fields[0] != UNKNOWN]):
        rows = np.flatnonzero((aliases == alias) & (fields[0] != UNKNOWN))
        starts, ahead = local[rows].astype("datetime64[s]"), (local - grid)[rows]
        fields[:-1, rows] = Frequency.parse(str(alias)).calendar(starts, ahead)[:-1]
    return Calendar(*fields)


def _coarser_alias(alias: str, size: int) -> str:
    if size == 1 or not alias:
        return alias
    fine = Frequency.parse(alias)
    return replace(fine, step=fine.step * size).alias
