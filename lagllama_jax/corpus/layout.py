"""The layout of a corpus: offsets, tables of names, and checks."""

import numpy as np

from lagllama_jax.errors import DataError
from lagllama_jax.typing import Float, Int

Labels = tuple[Int[np.ndarray, "n"], tuple[str, ...]]
"""One index per series, and the names that the indices stand for."""


def offsets_of(lengths: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n_plus_1"]:
    """Index of the first point of each series, and the number of points of all series."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def renumber(numbers: Int[np.ndarray, "n"], names: tuple[str, ...]) -> Labels:
    """Removes unused names from labels, and renumbers the others."""
    used, renumbered = np.unique(numbers, return_inverse=True)
    return renumbered.astype(np.int32), tuple(names[i] for i in used)


def translate(parts: list[Labels]) -> Labels:
    """Joins the labels of several corpora, with one table of names."""
    names = tuple(dict.fromkeys(name for _, own in parts for name in own))
    place = {name: index for index, name in enumerate(names)}
    tables = [np.array([place[name] for name in own], np.int32) for _, own in parts]
    joined = [table[numbers] for table, (numbers, _) in zip(tables, parts, strict=True)]
    return np.concatenate(joined), names


def check_row(row: Float[np.ndarray, "T"], name: str) -> None:
    """Raises `DataError` for an empty series or an infinite value."""
    if len(row) == 0:
        raise DataError(f"Series {name} has no values; leave it out.")
    if np.isinf(row).any():
        point = int(np.isinf(row).argmax())
        raise DataError(f"Series {name} is infinite at point {point}; set it to NaN.")
