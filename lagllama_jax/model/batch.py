"""`Batch`: groups of variates as arrays, for training and forecasting alike."""

from typing import NamedTuple

import jax.numpy as jnp

from lagllama_jax.typing import Array, Bool, Float, Int, UInt

TARGET, PAST_COVARIATE, KNOWN_COVARIATE, PADDING = range(4)
"""Roles of a variate in its group."""


class Batch(NamedTuple):
    """A batch of groups of variates on common time grids.

    The last U - M points have tokens, M being the largest lag. Values are centred and scaled on
    the host in float64: `raw = unit * (value + level)`.

    Attributes:
      values: The points, 0 where missing.
      observed: Which of them are observed.
      time_features: Calendar features of point M and of the T - 1 points after it; the ones beyond
        U are for points to come.
      role: `TARGET`, `PAST_COVARIATE`, `KNOWN_COVARIATE` or `PADDING`.
      start: Number of points before the forecast's start; loc and scale are fit on these alone.
      level: The raw value at which `values` is 0, in multiples of `unit`.
      unit: Raw units per unit of `values`.
      seed: Decides a group's random numbers, together with the seed of the call.
    """

    values: Float[Array, "G V U"]
    observed: Bool[Array, "G V U"]
    time_features: Float[Array, "G T 6"]
    role: Int[Array, "G V"]
    start: Int[Array, "G"]
    level: Float[Array, "G V"]
    unit: Float[Array, "G V"]
    seed: UInt[Array, "G"]


class Rows(NamedTuple):
    """The variates of all groups of a batch, one per row (B = G V); fields as in `Batch`."""

    values: Float[Array, "B U"]
    observed: Bool[Array, "B U"]
    time_features: Float[Array, "B T 6"]
    start: Int[Array, "B"]
    level: Float[Array, "B 1"]
    unit: Float[Array, "B 1"]

    @property
    def before_start(self) -> Bool[Array, "B U"]:
        """Which points are observed and lie before the forecast's start."""
        points = jnp.arange(self.values.shape[1])
        return self.observed & (points[None, :] < self.start[:, None])

    def raw(self) -> "Rows":
        """The same rows in raw units, for models whose features depend on the level."""
        values = jnp.where(self.observed, self.unit * (self.values + self.level), 0)
        zeros = jnp.zeros_like(self.level)
        return self._replace(values=values, level=zeros, unit=zeros + 1)


def rows_of(batch: Batch) -> Rows:
    """The variates of a batch as rows."""
    groups, variates, length = batch.values.shape
    count = groups * variates
    time_features, start = batch.time_features, batch.start
    if variates > 1:
        time_features = jnp.repeat(time_features, variates, axis=0)
        start = jnp.repeat(start, variates)
    return Rows(
        batch.values.reshape(count, length),
        batch.observed.reshape(count, length),
        time_features,
        start,
        batch.level.reshape(count, 1),
        batch.unit.reshape(count, 1),
    )
