"""Prepares a `Batch` from items of a dataset, with one window of M + C points per item."""

import zlib
from typing import Any, NamedTuple

import numpy as np

from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import DataError
from lagllama_jax.model.batch import TARGET, Batch
from lagllama_jax.series.calendar import calendar_of, clock_features
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.standardise import FURTHEST, Standard, standard_of
from lagllama_jax.typing import Float, Int

LARGEST_VALUE = 1e18
"""Largest value for models that read raw values. The square of a larger one overflows float32."""
UNITS = 1e-20, 1e20
"""Range of the units that models read, so that they are finite and above 0 in float32."""


class Prepared(NamedTuple):
    """A batch, and the numbers that convert draws of the model to raw values.

    Attributes:
      batch: The arrays for the network.
      center: Raw value that corresponds to a drawn 0.
      width: Raw units per drawn unit. It is 0 for a constant variate, whose forecast is constant.
    """

    batch: Batch
    center: Float[np.ndarray, "G V"]
    width: Float[np.ndarray, "G V"]

    def raw(self, drawn: Float[np.ndarray, "G V *s P"]) -> Float[np.ndarray, "G V *s P"]:
        """Converts values of the model to raw units, in float64."""
        return _along(self.center, drawn) + self.raw_scale(drawn)

    def raw_scale(self, scale: Float[np.ndarray, "G V *s P"]) -> Float[np.ndarray, "G V *s P"]:
        """Converts scales of the model's distributions to raw units, in float64."""
        return _along(self.width, scale) * scale.astype(np.float64)


def _along(
    part: Float[np.ndarray, "G V"], values: Float[np.ndarray, "G V *s P"]
) -> Float[np.ndarray, "G V *o"]:
    """Adds axes of size 1, so that `part` broadcasts against `values`."""
    return part.reshape(*part.shape, *(1,) * (values.ndim - 2))


def identity(item_id: str) -> int:
    """A 32-bit hash of a name, so that the random numbers of an item depend on its name only."""
    return zlib.crc32(str(item_id).encode())


def seeds(dataset: SeriesDataset, row: int) -> list[int]:
    """The seed of each target of an item. Several targets have those of `dataset.variates()`."""
    name, targets = dataset.item_ids[row], dataset.target_names
    if len(targets) == 1:
        return [identity(name)]
    return [identity(f"{name}/{target}") for target in targets]


def prepare(
    dataset: SeriesDataset, rows: Int[np.ndarray, "G"], model: ModelConfig, coming: int
) -> Prepared:
    """Prepares the windows of M + C points that end with the last point of each of some items.

    Args:
      dataset: The dataset.
      rows: Indices of the items.
      model: The architecture, with the context length of the forecast.
      coming: Number of future points for which calendar features are computed.

    Raises:
      DataError: If an item is empty, or has a value that is infinite or too large.
    """
    raw = np.stack([last_points(dataset, row, model) for row in rows.tolist()])
    standard = standard_of(raw)
    if model.reads_raw_values:
        zeros = np.zeros(raw.shape[:2])
        standard = standard._replace(center=zeros, unit=zeros + 1)
    values, observed = standard.apply(raw), ~np.isnan(raw)
    groups, variates = raw.shape[:2]
    fields: Any = (
        np.where(observed, values, np.float32(0)),
        observed,
        time_features(dataset, rows, model.context_length, coming),
        np.full((groups, variates), TARGET, np.int32),
        np.full(groups, model.past_length, np.int32),
        np.clip(standard.center / standard.unit, -FURTHEST, FURTHEST).astype(np.float32),
        np.clip(standard.unit, *UNITS).astype(np.float32),
        np.array([seeds(dataset, row) for row in rows.tolist()], np.uint32),
    )
    return Prepared(Batch(*fields), *put_back(standard, raw))


def put_back(
    standard: Standard, raw: Float[np.ndarray, "G V U"]
) -> tuple[Float[np.ndarray, "G V"], Float[np.ndarray, "G V"]]:
    """The `center` and `width` of `Prepared`. For a constant variate, they are its value and 0."""
    lowest = np.nan_to_num(np.min(raw, axis=-1, initial=np.inf, where=~np.isnan(raw)), posinf=0.0)
    center = np.where(standard.constant, lowest, standard.center)
    return center, np.where(standard.constant, 0.0, standard.unit)


def last_points(dataset: SeriesDataset, row: int, model: ModelConfig) -> Float[np.ndarray, "V U"]:
    """The last M + C points of an item in float64, NaN where missing or before its start.

    Raises:
      DataError: If the item is empty, or has a value that is infinite or too large.
    """
    target, name, length = dataset.targets[row], dataset.item_ids[row], model.past_length
    if target.ndim != 2 or target.size == 0:
        raise DataError(
            f"Series {name!r} has shape {target.shape}: give variates of at least 1 point."
        )
    points = np.full((target.shape[0], length), np.nan)
    given = target[:, -length:]
    points[:, length - given.shape[1] :] = given
    largest = LARGEST_VALUE if model.reads_raw_values else np.finfo(np.float64).max / 4
    large = np.abs(points) > largest
    if large.any():
        variate, place = (int(index[0]) for index in np.nonzero(large))
        raise DataError(
            f"Series {name!r}: value {points[variate, place]} at point "
            f"{target.shape[1] - length + place} is infinite or larger than {largest:g}. Remove it "
            "or rescale the series."
        )
    return points


def time_features(
    dataset: SeriesDataset, rows: Int[np.ndarray, "G"], past: int, coming: int
) -> Float[np.ndarray, "G T 6"]:
    """Calendar features of the last `past` points and the next `coming` points of some items."""
    items = dataset.take(rows.tolist())
    return clock_features(*calendar_of(items), items.lengths - past, past + coming)
