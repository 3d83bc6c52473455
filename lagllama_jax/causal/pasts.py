"""Shorter pasts of items of a dataset, from which the points that follow are forecast."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Int


def earlier(
    dataset: SeriesDataset, rows: Sequence[int], ends: Int[np.ndarray, "n"]
) -> SeriesDataset:
    """Items that end earlier, each of which has a name, and so random numbers, of its own.

    Args:
      dataset: The dataset.
      rows: Indices of items, which may be repeated.
      ends: Number of steps that each of them keeps.
    """
    whole = dataset.take(list(rows))
    names = [f"{name}, {end} steps" for name, end in zip(whole.item_ids, ends, strict=True)]
    return replace(whole, item_ids=names, labels=names).truncate(ends)
