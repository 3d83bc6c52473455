"""Coarser series from fine ones: means over whole hours, days or weeks, as further data sets."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lagllama_jax.data.blocks import SHORTEST, block_means
from lagllama_jax.data.corpus import Corpus
from lagllama_jax.data.corpus_layout import offsets_of
from lagllama_jax.model.time_features import SECOND, SECONDS_A_DAY, WEEK, Calendar
from lagllama_jax.typing import Float, Int

WEEK_SECONDS = 7 * SECONDS_A_DAY
TARGETS = {"15min": 900, "30min": 1800, "h": 3600, "D": SECONDS_A_DAY, "W": WEEK_SECONDS}

OBSERVED_SHARE = 0.5
"""A coarse point is observed if at least this share of its fine points are."""


def coarse(
    corpus: Corpus, index: int, length: int, seconds: int
) -> tuple[Float[np.ndarray, "t"], tuple[int, ...]] | None:
    """The front of one series on a grid of `seconds`, from an hour, midnight or Monday on.

    Returns the values and the fields of their calendar, or `None` where the grid is not a finer
    one that divides, or where too little is left.
    """
    unit, step, day, second, _ = (int(np.asarray(field)[index]) for field in corpus.calendar)
    if unit != SECOND or step >= seconds or seconds % step:
        return None
    elapsed = (day + 3) % 7 * SECONDS_A_DAY + second  # since Monday, 1970-01-01 being a Thursday
    skip = -elapsed % seconds
    if skip % step:
        return None
    means = block_means(
        corpus.series(index)[skip // step : length], seconds // step, OBSERVED_SHARE
    ).astype(np.float32)
    if len(means) < SHORTEST or np.isnan(means).mean() > 1 - OBSERVED_SHARE:
        return None
    begin = day * SECONDS_A_DAY + second + skip
    grid = (WEEK, 1) if seconds == WEEK_SECONDS else (SECOND, seconds)
    return means, (*grid, begin // SECONDS_A_DAY, begin % SECONDS_A_DAY, 6)


def coarser(corpus: Corpus, lengths: Int[np.ndarray, "n"] | None = None) -> Iterator[Corpus]:
    """For each grid of `TARGETS`, the series that can be brought to it, as data set `name/grid`.

    Args:
      corpus: the fine series.
      lengths: points of each series, from its front, that may be used; `None`: all.
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
            observed=~np.isnan(values),
            offsets=offsets_of(np.array([len(means) for means, _ in made.values()])),
            calendar=Calendar(*(np.array(field, np.int32) for field in fields)),
            dataset_names=tuple(f"{name}/{alias}" for name in kept.dataset_names),
            frequency=np.zeros(len(made), np.int32),
            frequency_names=(alias,),
        )
