"""Converts a corpus to the arrays from which windows are drawn, and weighs its series."""

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lagllama_jax.config import DataConfig, ModelConfig
from lagllama_jax.corpus.layout import offsets_of
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.errors import DataError
from lagllama_jax.inference.batch import UNITS
from lagllama_jax.model.calendar_features import UNKNOWN, wall_clock
from lagllama_jax.series.standardise import FURTHEST
from lagllama_jax.training.sources.counts import check_counts
from lagllama_jax.training.sources.mixture import AliasTable, alias_table, series_weights
from lagllama_jax.training.sources.relatives import relatives_of
from lagllama_jax.training.sources.windows import CorpusArrays
from lagllama_jax.typing import Bool, Int

MOST_ON_DEVICE = 2**31 - 1
"""Largest number of points that int32 indices can address."""
MOST_PADDED = 2**22
"""Largest number of points that are padded: at most to 16 MiB."""


def corpus_arrays(
    corpus: Corpus,
    model: ModelConfig,
    data: DataConfig,
    *,
    lengths: Int[np.ndarray, "n"] | None = None,
    mixture: Mapping[str, float] | None = None,
    on_device: bool = True,
) -> CorpusArrays:
    """Converts a corpus to the arrays from which windows are drawn.

    Series that are constant, too short for a window or without observed values are never drawn. A
    warning names the datasets that have no other series.

    Args:
      corpus: The corpus, in memory or memory-mapped.
      model: The architecture, for the length of a window.
      data: The length of a window, and the weights of the datasets.
      lengths: Number of points of each series, from its start, that windows may contain. The rest
        is held back for validation. `None`: all points.
      mixture: Weights of datasets by name, in place of `data.mixture`. A dataset without a weight
        is never drawn.
      on_device: Whether to put the arrays on the default device. Otherwise they are NumPy arrays,
        and memory maps stay memory maps.

    Raises:
      DataError: If no series can be drawn, `mixture` names a dataset that cannot be drawn, the
        corpus has too many points for a device, or as for `check_counts`.
      ConfigError: As for `check_counts`.
    """
    check_counts(corpus, model, data)
    lengths = corpus.lengths if lengths is None else np.minimum(lengths, corpus.lengths)
    usable = usable_series(corpus, lengths, shortest_series(model, data))
    _report_unusable(corpus, usable, shortest_series(model, data), mixture)
    rule = data.mixture if mixture is None else dict(mixture)
    names = corpus.dataset_names
    weights = series_weights(rule, corpus.dataset, lengths, names, usable, data.series_power)
    arrays = _arrays(corpus, lengths, alias_table(weights))
    if data.groups > 0:
        arrays = arrays._replace(relatives=relatives_of(corpus, weights))
    return to_device(arrays) if on_device else arrays


def shortest_series(model: ModelConfig, data: DataConfig) -> int:
    """Smallest number of points of a series from which windows can be drawn."""
    if data.min_past is None:
        return model.past_length + data.future_length
    return data.min_past + 1


def usable_series(
    corpus: Corpus, lengths: Int[np.ndarray, "n"], shortest: int
) -> Bool[np.ndarray, "n"]:
    """Which series are long enough and not constant within their first `lengths` points."""
    usable = lengths >= shortest
    chosen = np.flatnonzero(usable & (lengths > 0))
    if chosen.size == 0:
        return usable & False
    first = corpus.offsets[chosen]
    bounds = np.stack([first, first + lengths[chosen]], axis=1).ravel()
    bounds = bounds[:-1] if bounds[-1] == len(corpus.values) else bounds
    lowest = np.fmin.reduceat(corpus.values, bounds)[::2]
    highest = np.fmax.reduceat(corpus.values, bounds)[::2]
    varied = np.zeros(len(corpus), bool)
    varied[chosen] = highest > lowest
    return usable & varied


def to_device(arrays: CorpusArrays) -> CorpusArrays:
    """Copies the arrays to the default device, with indices as int32.

    Up to `MOST_PADDED` points are padded to a power of two, so that runs on corpora of about the
    same size can share a program. No series has the points of the padding.

    Raises:
      DataError: If there are more points than int32 indices can address.
    """
    if len(arrays.values) > MOST_ON_DEVICE:
        raise DataError(
            f"The corpus has {len(arrays.values)} points; on a device at most {MOST_ON_DEVICE} "
            "can be addressed. Read it on the host instead (--path host)."
        )
    count = len(arrays.values)
    if 0 < count <= MOST_PADDED:
        padding = (1 << (count - 1).bit_length()) - count
        values: Any = np.pad(arrays.values, (0, padding), constant_values=np.nan)
        arrays = arrays._replace(values=values)
    kinds = {"f": jnp.float32, "i": jnp.int32}
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, kinds[leaf.dtype.kind]), arrays)


def held_back(corpus: Corpus, points: int, shortest: int) -> Int[np.ndarray, "n"]:
    """Number of training points of each series if its last points are held back.

    Args:
      corpus: The series.
      points: Number of points to hold back; 14 in the published pre-training.
      shortest: Smallest number of training points. Series that would have fewer are not cut.
    """
    left = corpus.lengths - points
    return np.where(left >= shortest, left, corpus.lengths)


def host_arrays(corpus: Corpus) -> CorpusArrays:
    """Converts a corpus to NumPy arrays, for windows that are not drawn at random."""
    evenly: Any = np.ones(len(corpus), np.float32), np.arange(len(corpus))
    arrays = _arrays(corpus, corpus.lengths, AliasTable(*evenly))
    if corpus.items is None:
        return arrays
    return arrays._replace(relatives=relatives_of(corpus, evenly[0]))


def _arrays(corpus: Corpus, lengths: Int[np.ndarray, "n"], table: AliasTable) -> CorpusArrays:
    level = np.clip(corpus.center / corpus.unit, -FURTHEST, FURTHEST).astype(np.float32)
    unit = np.clip(corpus.unit, *UNITS).astype(np.float32)
    first, clock = corpus.offsets[:-1], (corpus.calendar, corpus.zones)
    fields: Any = corpus.values, first, lengths, *clock, corpus.dataset, level, unit, table
    return CorpusArrays(*fields)


def keep_last(corpus: Corpus, lengths: Int[np.ndarray, "n"]) -> Corpus:
    """A copy with only the last `lengths` points of each series, at least one each."""
    dropped = corpus.lengths - np.clip(lengths, 1, corpus.lengths)
    if not dropped.any():
        return corpus
    place = np.arange(corpus.points) - np.repeat(corpus.offsets[:-1], corpus.lengths)
    kept = place >= np.repeat(dropped, corpus.lengths)
    day, second = wall_clock(corpus.calendar, dropped.astype(np.int32))
    known = corpus.calendar.unit != UNKNOWN
    calendar = corpus.calendar._replace(
        day=np.where(known, day, corpus.calendar.day).astype(np.int32),
        second=np.where(known, second, corpus.calendar.second).astype(np.int32),
    )
    return dataclasses.replace(
        corpus,
        values=corpus.values[kept],
        offsets=offsets_of(corpus.lengths - dropped),
        calendar=calendar,
    )


def _report_unusable(
    corpus: Corpus,
    usable: Bool[np.ndarray, "n"],
    shortest: int,
    mixture: Mapping[str, float] | None,
) -> None:
    count = np.bincount(corpus.dataset[usable], minlength=len(corpus.dataset_names))
    without = [name for name, n in zip(corpus.dataset_names, count, strict=True) if n == 0]
    why = f"no series of at least {shortest} points that is not constant"
    remedy = "lower the context, the future length or min_past, or give longer series"
    if not usable.any():
        longest = int(corpus.lengths.max(initial=0))
        raise DataError(f"The corpus has {why} (the longest has {longest}): {remedy}.")
    asked = [name for name in without if mixture and mixture.get(name, 0) > 0]
    if asked:
        raise DataError(f"{', '.join(asked)}: {why}, yet the mixture asks for it; {remedy}.")
    if without:
        warnings.warn(f"Left out, with {why}: {', '.join(without)}.", stacklevel=3)
