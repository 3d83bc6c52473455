"""Prepares a `Batch` from items of a dataset, with one window of M + C past points per item."""

import zlib
from typing import Any, NamedTuple

import numpy as np

from lagllama_jax.config import ModelConfig
from lagllama_jax.inference.groups import Group
from lagllama_jax.model.batch import PADDING, TARGET, Batch
from lagllama_jax.series.calendar import calendar_of, clock_features
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.standardise import FURTHEST, Standard, standard_of
from lagllama_jax.typing import Float, Int

UNITS = 1e-20, 1e20
"""Range of the units that models read, so that they are finite and above 0 in float32."""


class Prepared(NamedTuple):
    """A batch, and the numbers that convert draws of the model to raw values.

    Attributes:
      batch: The arrays for the network.
      center: Raw value of each target that corresponds to a drawn 0.
      width: Raw units per drawn unit. It is 0 for a constant target, whose forecast is constant.
    """

    batch: Batch
    center: Float[np.ndarray, "G N"]
    width: Float[np.ndarray, "G N"]

    def raw(self, drawn: Float[np.ndarray, "G V *s P"]) -> Float[np.ndarray, "G N *s P"]:
        """Converts values of the model for the targets to raw units, in float64."""
        return _along(self.center, drawn) + self.raw_scale(drawn)

    def raw_scale(self, scale: Float[np.ndarray, "G V *s P"]) -> Float[np.ndarray, "G N *s P"]:
        """Converts scales of the distributions of the targets to raw units, in float64."""
        return _along(self.width, scale) * scale[:, : self.width.shape[1]].astype(np.float64)


def _along(
    part: Float[np.ndarray, "G N"], values: Float[np.ndarray, "G V *s P"]
) -> Float[np.ndarray, "G N *o"]:
    """Adds axes of size 1, so that `part` broadcasts against the targets of `values`."""
    return part.reshape(*part.shape, *(1,) * (values.ndim - 2))


def identity(item_id: str) -> int:
    """A 32-bit hash of a name, so that the random numbers of an item depend on its name only."""
    return zlib.crc32(str(item_id).encode())


def seeds(dataset: SeriesDataset, row: int, group: Group) -> list[int]:
    """The seed of each variate of an item. Several targets have those of `dataset.variates()`."""
    name, names = dataset.item_ids[row], group.names(dataset)
    found = [identity(f"{name}/{variate}") for variate in names]
    return found if group.targets > 1 else [identity(name), *found[1:]]


def prepare(
    dataset: SeriesDataset, rows: Int[np.ndarray, "G"], model: ModelConfig, coming: int
) -> Prepared:
    """Prepares the windows of M + C points that end with the last point of each of some items.

    If the model has attention across variates, the covariates of an item are variates of its group.
    A covariate without a value in the window counts as padding.

    Args:
      dataset: The dataset.
      rows: Indices of the items.
      model: The architecture, with the context length of the forecast.
      coming: Number of future points for which calendar features are computed, and which the
        windows have as well if there are known covariates. Values that are not given are missing.

    Raises:
      DataError: If an item is empty, or has a value that is infinite or too large.
    """
    group = Group.of(dataset, model)
    raw = np.stack([group.points(dataset, row, model, coming) for row in rows.tolist()])
    past = raw[:, :, : model.past_length]
    standard = standard_of(past)
    if model.reads_raw_values:
        zeros = np.zeros(raw.shape[:2])
        standard = standard._replace(center=zeros, unit=zeros + 1)
    values, observed = standard.apply(raw), ~np.isnan(raw)
    empty = ~observed[:, :, : model.past_length].any(axis=2)
    role = np.tile(group.roles(), (len(raw), 1))
    fields: Any = (
        np.where(observed, values, np.float32(0)),
        observed,
        time_features(dataset, rows, model.context_length, coming),
        np.where(empty & (role != TARGET), np.int32(PADDING), role),
        np.full(len(raw), model.past_length, np.int32),
        np.clip(standard.center / standard.unit, -FURTHEST, FURTHEST).astype(np.float32),
        np.clip(standard.unit, *UNITS).astype(np.float32),
        np.array([seeds(dataset, row, group) for row in rows.tolist()], np.uint32),
    )
    center, width = put_back(standard, past)
    return Prepared(Batch(*fields), center[:, : group.targets], width[:, : group.targets])


def put_back(
    standard: Standard, raw: Float[np.ndarray, "G V U"]
) -> tuple[Float[np.ndarray, "G V"], Float[np.ndarray, "G V"]]:
    """The `center` and `width` of `Prepared`. For a constant variate, they are its value and 0."""
    lowest = np.nan_to_num(np.min(raw, axis=-1, initial=np.inf, where=~np.isnan(raw)), posinf=0.0)
    center = np.where(standard.constant, lowest, standard.center)
    return center, np.where(standard.constant, 0.0, standard.unit)


def time_features(
    dataset: SeriesDataset, rows: Int[np.ndarray, "G"], past: int, coming: int
) -> Float[np.ndarray, "G T 6"]:
    """Calendar features of the last `past` points and the next `coming` points of some items."""
    items = dataset.take(rows.tolist())
    return clock_features(*calendar_of(items), items.lengths - past, past + coming)
