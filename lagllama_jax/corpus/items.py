"""`Items`: which series of a corpus are variates of one item, and their roles."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lagllama_jax.model.batch import KNOWN_COVARIATE, PAST_COVARIATE, TARGET
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Bool, Float, Int


class Items(NamedTuple):
    """The items of the series of a corpus. The variates of an item are consecutive, targets first.

    Attributes:
      item: Number of the item of each series, ascending.
      role: Role of each series in its item, as in `model.batch.Batch`.
    """

    item: Int[np.ndarray, "n"]
    role: Int[np.ndarray, "n"]

    @property
    def leads(self) -> Bool[np.ndarray, "n"]:
        """Whether each series is the first one of its item."""
        return np.diff(self.item, prepend=-1) != 0

    @property
    def largest(self) -> int:
        """Largest number of variates of an item."""
        return int(np.bincount(self.item).max())


def apart(dataset: SeriesDataset) -> tuple[SeriesDataset, Items]:
    """Each variate of each item as an item of its own, up to the end of the targets.

    >>> data = SeriesDataset(["shop"], [np.ones((1, 5))], known_covariates=[np.ones((1, 8))],
    ...                      known_names=("price",))
    >>> series, variates = apart(data)
    >>> series.item_ids, series.lengths.tolist(), variates.role.tolist()
    (['shop/target', 'shop/price'], [5, 5], [0, 2])
    """
    kinds: list[tuple[int, tuple[str, ...], list[Float[np.ndarray, "V T"]]]] = [
        (TARGET, dataset.target_names, dataset.targets),
        (PAST_COVARIATE, dataset.past_names, dataset.past_covariates or []),
        (KNOWN_COVARIATE, dataset.known_names, dataset.known_covariates or []),
    ]
    kinds = [(role, names, rows) for role, names, rows in kinds if rows]
    names = [name for _, kind, _ in kinds for name in kind]
    roles = [role for role, kind, _ in kinds for _ in kind]
    parts = [
        row[None, :length]
        for item, length in enumerate(dataset.lengths)
        for _, _, rows in kinds
        for row in rows[item]
    ]
    item = np.repeat(np.arange(len(dataset)), len(names))
    ids = [f"{name}/{variate}" for name in dataset.item_ids for variate in names]
    plain = replace(dataset, past_covariates=None, known_covariates=None)
    plain = replace(plain, past_names=(), known_names=()).take(item.tolist())
    series = replace(plain, item_ids=ids, labels=ids, targets=parts, target_names=("target",))
    return series, Items(item, np.tile(np.array(roles, np.int32), len(dataset)))
