"""The variates of an item that are forecast together: their order, number, roles and names."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import DataError
from lagllama_jax.inference.memory import round_up
from lagllama_jax.model.batch import KNOWN_COVARIATE, PADDING, PAST_COVARIATE, TARGET
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float, Int

LARGEST_VALUE = 1e18
"""Largest value for models that read raw values. The square of a larger one overflows float32."""


class Group(NamedTuple):
    """The variates of each item of a dataset, in order: targets, past covariates, known covariates.

    With attention across variates, the first two kinds, whose paths are drawn, and the last one are
    each filled with padding to one of few numbers, so that few programs are compiled. Without it,
    there are only targets.

    Attributes:
      targets: Number of targets.
      past: Number of past covariates.
      known: Number of known covariates.
      drawn: Number of variates before the known covariates, with padding.
      size: Number of all variates, with padding.
    """

    targets: int
    past: int
    known: int
    drawn: int
    size: int

    @classmethod
    def of(cls, dataset: SeriesDataset, model: ModelConfig) -> "Group":
        """The group that a model, with the options of a forecast, makes of each item.

        >>> data = SeriesDataset(["a"], [np.ones((1, 9))], known_covariates=[np.ones((5, 12))],
        ...                      known_names=tuple("bcdef"))
        >>> Group.of(data, ModelConfig.tiny(variate_attention=True))
        Group(targets=1, past=0, known=5, drawn=1, size=7)
        >>> Group.of(data, ModelConfig.tiny())
        Group(targets=1, past=0, known=0, drawn=1, size=1)
        """
        targets = len(dataset.target_names)
        if not model.variate_attention:
            return cls(targets, 0, 0, targets, targets)
        past = 0 if dataset.past_covariates is None else len(dataset.past_names)
        known = 0 if dataset.known_covariates is None else len(dataset.known_names)
        drawn = round_up(targets + past)
        return cls(targets, past, known, drawn, drawn + (round_up(known) if known else 0))

    def roles(self) -> Int[np.ndarray, "V"]:
        """The role of each variate, as in `Batch`."""
        role = np.full(self.size, PADDING, np.int32)
        role[: self.targets] = TARGET
        role[self.targets : self.targets + self.past] = PAST_COVARIATE
        role[self.drawn : self.drawn + self.known] = KNOWN_COVARIATE
        return role

    def names(self, dataset: SeriesDataset) -> list[str]:
        """The name of each variate. Padding has none."""
        names = [""] * self.size
        names[: self.targets] = dataset.target_names
        names[self.targets : self.targets + self.past] = dataset.past_names[: self.past]
        names[self.drawn : self.drawn + self.known] = dataset.known_names[: self.known]
        return names

    def parts(self, dataset: SeriesDataset, row: int) -> Iterator[tuple[int, np.ndarray]]:
        """The place of the first variate of each kind, and the values of its variates."""
        yield 0, dataset.targets[row]
        if self.past and dataset.past_covariates is not None:
            yield self.targets, dataset.past_covariates[row]
        if self.known and dataset.known_covariates is not None:
            yield self.drawn, dataset.known_covariates[row]

    def points(
        self, dataset: SeriesDataset, row: int, model: ModelConfig, coming: int
    ) -> Float[np.ndarray, "V U"]:
        """The last M + C points of an item in float64, NaN where missing or before its start.

        If there are known covariates, `coming` points of the future follow.

        Raises:
          DataError: If the item is empty, or has a value that is infinite or too large.
        """
        target, length = dataset.targets[row], model.past_length
        if target.ndim != 2 or target.size == 0:
            raise DataError(
                f"Series {dataset.item_ids[row]!r} has shape {target.shape}: give variates of at "
                "least 1 point."
            )
        points = np.full((self.size, length + (coming if self.known else 0)), np.nan)
        begin = target.shape[1] - length
        for first, values in self.parts(dataset, row):
            given = values[:, max(begin, 0) : begin + points.shape[1]]
            place = max(-begin, 0)
            points[first : first + len(given), place : place + given.shape[1]] = given
        largest = LARGEST_VALUE if model.reads_raw_values else np.finfo(np.float64).max / 4
        large = np.abs(points) > largest
        if large.any():
            variate, place = (int(index[0]) for index in np.nonzero(large))
            which = f", covariate {self.names(dataset)[variate]!r}" * (variate >= self.targets)
            raise DataError(
                f"Series {dataset.item_ids[row]!r}{which}: value {points[variate, place]} at point "
                f"{begin + place} is infinite or larger than {largest:g}. Remove it or rescale the "
                "series."
            )
        return points
