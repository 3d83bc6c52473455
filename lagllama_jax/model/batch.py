"""`Batch`: groups of variates as arrays, for both training and forecasting."""

from typing import NamedTuple

import jax.numpy as jnp

from lagllama_jax.typing import Array, Bool, Float, Int, UInt

TARGET, PAST_COVARIATE, KNOWN_COVARIATE, PADDING = range(4)
"""Roles of a variate in its group."""


class Batch(NamedTuple):
    """A batch of G groups of V variates over U points. The variates of a group share a time grid.

    The last U - M points have tokens, where M is the largest lag. Values are centred and scaled on
    the host in float64: `raw = unit * (value + level)`. In a forecast, the values of known
    covariates go on beyond the start, where those of the other variates are missing.

    Attributes:
      values: The values of the points, 0 where a value is missing.
      observed: Whether each value is observed.
      time_features: Calendar features of point M and of the T - 1 points after it. Features beyond
        point U belong to future points.
      role: Role of each variate: `TARGET`, `PAST_COVARIATE`, `KNOWN_COVARIATE` or `PADDING`.
      start: Number of points before the start of the forecast. Loc and scale are fit to these
        points only.
      level: The raw value at which `values` is 0, in multiples of `unit`.
      unit: Raw units per unit of `values`.
      seed: Seed of the random numbers of each variate, combined with the seed of the call.
    """

    values: Float[Array, "G V U"]
    observed: Bool[Array, "G V U"]
    time_features: Float[Array, "G T 6"]
    role: Int[Array, "G V"]
    start: Int[Array, "G"]
    level: Float[Array, "G V"]
    unit: Float[Array, "G V"]
    seed: UInt[Array, "G V"]


class Rows(NamedTuple):
    """The variates of all groups of a batch, one per row (B = G V).

    The fields have the same meaning as in `Batch`.

    Attributes:
      known: Whether each row is a known covariate that looks one step ahead: its value p is that of
        point p + 1 (`one_step_ahead`). `None`: no row is.
    """

    values: Float[Array, "B U"]
    observed: Bool[Array, "B U"]
    time_features: Float[Array, "B T 6"]
    start: Int[Array, "B"]
    level: Float[Array, "B 1"]
    unit: Float[Array, "B 1"]
    known: Bool[Array, "B"] | None = None

    @property
    def before_start(self) -> Bool[Array, "B U"]:
        """Whether each value is observed and belongs to a point before the start."""
        points = jnp.arange(self.values.shape[1])
        end = self.start if self.known is None else self.start - self.known
        return self.observed & (points[None, :] < end[:, None])

    @property
    def readable(self) -> Bool[Array, "B U"]:
        """Whether each value can be read at the start: those before it, and all known ones."""
        before = self.before_start
        return before if self.known is None else before | (self.observed & self.known[:, None])

    def first(self, count: int) -> "Rows":
        """The first `count` points of the rows."""
        return self._replace(values=self.values[:, :count], observed=self.observed[:, :count])

    def one_step_ahead(self, known: Bool[Array, "B"]) -> "Rows":
        """The rows with known covariates one step ahead.

        The token of point t of a known covariate then contains its value at t + 1, which is the
        point that the tokens of t describe. The value after the last one is missing.
        """

        def shift(part: Array) -> Array:
            return jnp.where(known[:, None], jnp.pad(part[:, 1:], ((0, 0), (0, 1))), part)

        return self._replace(values=shift(self.values), observed=shift(self.observed), known=known)

    def raw(self) -> "Rows":
        """The same rows in raw units (`level` 0, `unit` 1), for models that read raw values."""
        values = jnp.where(self.observed, self.unit * (self.values + self.level), 0)
        zeros = jnp.zeros_like(self.level)
        return self._replace(values=values, level=zeros, unit=zeros + 1)


def rows_of(batch: Batch) -> Rows:
    """The variates of a batch as rows, group by group."""
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
