"""A `Batch` of some items of a dataset: one window of M + C points each, whatever their lengths."""

import zlib
from typing import Any, NamedTuple

import numpy as np

from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import DataError
from lagllama_jax.model.batch import TARGET, Batch
from lagllama_jax.model.calendar_features import NEUTRAL_DAY, calendar_features
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.standardise import FURTHEST, Standard, standard_of
from lagllama_jax.typing import Float, Int

LARGEST_VALUE = 1e18
"""Largest value for models that read raw values: the square of a larger one overflows float32."""
UNITS = 1e-20, 1e20
"""Range of the units that models see, so that they are numbers of float32."""


class Prepared(NamedTuple):
    """A batch, and what turns what is drawn from it back into raw values.

    Attributes:
      batch: The arrays for the network.
      center: Raw value of a drawn 0.
      width: Raw units per drawn unit; 0 for a constant variate, which stays as it is.
    """

    batch: Batch
    center: Float[np.ndarray, "G V"]
    width: Float[np.ndarray, "G V"]

    def raw(self, drawn: Float[np.ndarray, "G V S P"]) -> Float[np.ndarray, "G V S P"]:
        """Drawn values in raw units, in float64."""
        return self.center[..., None, None] + self.width[..., None, None] * drawn.astype(np.float64)


def identity(item_id: str) -> int:
    """A stable 32-bit number of a name: an item draws the same numbers wherever it stands."""
    return zlib.crc32(str(item_id).encode())


def prepare(
    dataset: SeriesDataset, rows: Int[np.ndarray, "G"], model: ModelConfig, coming: int
) -> Prepared:
    """The windows that end with the last point of some items.

    Args:
      dataset: The items.
      rows: Which of them.
      model: The architecture, with the context of the forecast.
      coming: Number of points to come that need calendar features.

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
        np.array([identity(dataset.item_ids[row]) for row in rows.tolist()], np.uint32),
    )
    return Prepared(Batch(*fields), *put_back(standard, raw))


def put_back(
    standard: Standard, raw: Float[np.ndarray, "G V U"]
) -> tuple[Float[np.ndarray, "G V"], Float[np.ndarray, "G V"]]:
    """Center and width of what is drawn; those of a constant variate are its value and 0."""
    lowest = np.nan_to_num(np.min(raw, axis=-1, initial=np.inf, where=~np.isnan(raw)), posinf=0.0)
    center = np.where(standard.constant, lowest, standard.center)
    return center, np.where(standard.constant, 0.0, standard.unit)


def last_points(dataset: SeriesDataset, row: int, model: ModelConfig) -> Float[np.ndarray, "V U"]:
    """The last M + C points of an item in float64, NaN where missing or before its start.

    Raises:
      DataError: As `prepare`.
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
    """Calendar features of the last `past` points of some items and the `coming` ones."""
    clocks = dataset.take(rows.tolist()).clocks(past, coming)
    if clocks is None:
        shape = (len(rows), past + coming)
        return calendar_features(np.full(shape, NEUTRAL_DAY), np.zeros(shape, np.int32))
    day, second = (np.stack(part) for part in zip(*clocks, strict=True))
    return calendar_features(day, second)
