"""Hints: forecasts by a ridge regression on known covariates within a window, as one covariate.

A small network hardly learns to regress from its context. A hint is the result of a regression, in
the units of the target, so that the network only has to learn how far to trust it. Everything runs
under `jit`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lagllama_jax.model.batch import KNOWN_COVARIATE, Batch, rows_of
from lagllama_jax.model.scalers import fit_scale
from lagllama_jax.typing import Array, Bool, Float, Int, Key

SEASONS = np.array([7, 12, 24, 48, 96, 144, 168, 288])
"""Differences over one of these numbers of points are regressed: that of the least variance."""
KNOTS = np.array([-0.8, 0.0, 0.8])
"""Standardised values of a covariate at which its response bends."""
MEANS = 2
"""Number of seasons whose mean a hint takes of what is left of the target."""
TRAILING = 24
"""Number of points of the mean of the recent past of a covariate."""
FARTHEST = 4.0
"""Standardised values of covariates are clipped here."""
FOLDS = 5
PENALTIES = np.array([1e-3, 1e-2, 1e-1, 1.0], np.float32)
"""Penalties per row, for columns of variance 1."""
FEWEST_ROWS = 30
REMOVED = -0.3, 1.3
"""Range of the part of the effect that is removed from a target. It is clipped to 0 and 1."""


class Hint(NamedTuple):
    """What a regression on known covariates says of the first variate of each group, in its units.

    Attributes:
      forecast: The effect of the covariates plus the mean of what is left in the last seasons
        before the point, or before the forecast's start.
      effect: The effect, whose mean over the past is 0.
    """

    forecast: Float[Array, "G U"]
    effect: Float[Array, "G U"]


def add_hints(key: Key, batch: Batch, share: float, alone: bool = False) -> Batch:
    """Replaces the last variate of a share of the groups by a hint, a known covariate.

    A random part of the effect is removed from the first target and from its hint, as in forecasts
    around a regression that is trusted in part. Groups without another known covariate stay as they
    are.

    Args:
      key: Random key.
      batch: The groups.
      share: Share of the groups with a hint.
      alone: Whether to leave out all variates but the first and the last one.
    """
    if share > 0:
        batch = _hinted(key, batch, share)
    if not alone:
        return batch
    ends = np.array([0, -1])
    fields = ("values", "observed", "role", "level", "unit", "seed")
    return batch._replace(**{name: getattr(batch, name)[:, ends] for name in fields})


def _hinted(key: Key, batch: Batch, share: float) -> Batch:
    chosen_key, part_key = jax.random.split(key)
    known = (batch.role == KNOWN_COVARIATE)[:, :-1]
    chosen = (jax.random.uniform(chosen_key, batch.start.shape) < share) & known.any(axis=1)
    found = hint(batch, known)
    low, high = REMOVED
    part = jax.random.uniform(part_key, (len(chosen), 1), minval=low, maxval=high)
    removed = jnp.where(chosen[:, None], jnp.clip(part, 0, 1) * found.effect, 0.0)
    left = jnp.where(batch.observed[:, 0], batch.values[:, 0] - removed, 0.0)

    def put(field: Array, value: Any) -> Array:
        kept = chosen.reshape(-1, *(1,) * (field.ndim - 2))
        return field.at[:, -1].set(jnp.where(kept, value, field[:, -1]))

    return batch._replace(
        values=put(batch.values.at[:, 0].set(left), found.forecast - removed),
        observed=put(batch.observed, True),
        role=put(batch.role, KNOWN_COVARIATE),
        level=put(batch.level, batch.level[:, 0]),
        unit=put(batch.unit, batch.unit[:, 0]),
    )


def hint(batch: Batch, known: Bool[Array, "G K"]) -> Hint:
    """The effect of known covariates on the first variate of each group, and forecasts from it.

    The effect in each of five blocks of the past is that of a regression on the other blocks, and
    after the forecast's start that of all points before it.

    Args:
      batch: The groups.
      known: Which of the first K variates are known covariates.
    """
    rows = rows_of(batch)
    scale = fit_scale(rows.values, rows.before_start, "robust", True)
    z = scale.standardise(rows.values).reshape(batch.values.shape)
    count = known.shape[1]
    seen = batch.observed[:, :count] & known[..., None]

    def of_group(
        z: Float[Array, "V U"],
        observed: Bool[Array, "U"],
        seen: Bool[Array, "K U"],
        start: Int[Array, ""],
    ) -> Hint:
        shown = observed & (jnp.arange(z.shape[1]) < start)
        season = least_varying(z[0], shown)
        effect = covariate_effect(z[0], shown, z[:count], seen, start, season)
        return Hint(effect + seasonal_mean(z[0] - effect, shown, start, season), effect)

    found = jax.vmap(of_group)(z, batch.observed[:, 0], seen, batch.start)
    loc, size = (part.reshape(batch.level.shape)[:, :1] for part in scale)
    return Hint(loc + size * found.forecast, size * found.effect)


def seasonal_mean(
    values: Float[Array, "U"], shown: Bool[Array, "U"], start: Int[Array, ""], season: Any
) -> Float[Array, "U"]:
    """The mean of a series at the same place in the last `MEANS` seasons before each point.

    For points after the forecast's start, these are the last seasons before it. It is 0 if nothing
    was shown there.
    """
    points = jnp.arange(values.shape[0])
    latest = jnp.where(points < start, points, start + (points - start) % season)
    places = latest - season * np.arange(1, MEANS + 1)[:, None]
    there = shown[jnp.maximum(places, 0)] & (places >= 0)
    total = jnp.where(there, values[jnp.maximum(places, 0)], 0.0).sum(0)
    return total / jnp.maximum(there.sum(0), 1)


def covariate_effect(
    target: Float[Array, "U"],
    shown: Bool[Array, "U"],
    covariates: Float[Array, "K U"],
    seen: Bool[Array, "K U"],
    start: Int[Array, ""],
    lag: Int[Array, ""],
) -> Float[Array, "U"]:
    """The effect on one target, by a regression of differences over `lag` points.

    What is not `seen` of a covariate has no effect.
    """
    points = jnp.arange(target.shape[0])
    past = points < start
    columns = jax.vmap(_responses, (0, 0, None))(covariates, seen, past)
    columns = jnp.moveaxis(columns, 0, 1).reshape(target.shape[0], -1)
    before = jnp.maximum(points - lag, 0)
    rows = shown & shown[before] & (points >= lag)
    y = jnp.where(rows, target - target[before], 0.0)
    y = jnp.clip(y, -20.0, 20.0)
    x = jnp.where(rows[:, None], columns - columns[before], 0.0)
    size = jnp.sqrt((x**2).sum(0) / jnp.maximum(rows.sum(), 1))
    size = jnp.where(size > 1e-6, size, jnp.inf)
    oldest = jnp.argmax(rows)
    fold = jnp.where(past, (points - oldest) * FOLDS // jnp.maximum(start - oldest, 1), FOLDS)
    fold = jnp.clip(fold, 0, FOLDS)
    fitted = _coefficients(x / size, y, rows, fold) / size
    effect = jnp.einsum("uf,uf->u", columns, fitted[fold])
    effect -= jnp.where(shown, effect, 0).sum() / jnp.maximum(shown.sum(), 1)
    usable = jnp.isfinite(effect).all() & (rows.sum() >= FEWEST_ROWS)
    return jnp.where(usable, jnp.clip(effect, -50.0, 50.0), 0.0)


def _responses(
    values: Float[Array, "U"], seen: Bool[Array, "U"], past: Bool[Array, "U"]
) -> Float[Array, "U f"]:
    """Columns for one covariate: its value, hinges, the value before, and a trailing mean."""
    shown = seen & past
    count = jnp.maximum(shown.sum(), 1)
    mean = jnp.where(shown, values, 0).sum() / count
    spread = jnp.sqrt(jnp.where(shown, (values - mean) ** 2, 0).sum() / count)
    z = (values - mean) / jnp.maximum(spread, 1e-6)
    z = jnp.where(seen & (spread > 1e-6), jnp.clip(z, -FARTHEST, FARTHEST), 0.0)
    total = jnp.cumsum(jnp.concatenate([jnp.zeros(TRAILING), z]))
    recent = (total - jnp.roll(total, TRAILING))[TRAILING:] / TRAILING
    bends = jnp.where(seen, jnp.maximum(z - KNOTS[:, None], 0), 0.0)
    return jnp.stack([z, *bends, jnp.concatenate([z[:1], z[:-1]]), recent], axis=1)


def least_varying(target: Float[Array, "U"], observed: Bool[Array, "U"]) -> Int[Array, ""]:
    """The number of points over which the differences of the past vary least."""
    points = jnp.arange(target.shape[0])

    def variation(lag: Int[Array, ""]) -> Float[Array, ""]:
        before = jnp.maximum(points - lag, 0)
        pairs = observed & observed[before] & (points >= lag)
        size = jnp.where(pairs, jnp.abs(target - target[before]), 0).sum()
        count = pairs.sum()
        return jnp.where(count >= FEWEST_ROWS, size / jnp.maximum(count, 1), jnp.inf)

    return jnp.asarray(SEASONS)[jnp.argmin(jax.vmap(variation)(jnp.asarray(SEASONS)))]


def _coefficients(
    x: Float[Array, "U F"], y: Float[Array, "U"], rows: Bool[Array, "U"], fold: Int[Array, "U"]
) -> Float[Array, "folds F"]:
    """Coefficients without each of the five blocks, and those of all of them.

    The penalty is the one whose coefficients have the least squared error on the blocks that they
    have not seen.
    """
    within = (fold[None] == np.arange(FOLDS)[:, None]) & rows
    parts = jnp.where(within[..., None], x, 0.0)
    grams = jnp.einsum("kuf,kug->kfg", parts, parts)
    moments = jnp.einsum("kuf,u->kf", parts, y)
    gram, moment, count = (_all_but_one(part) for part in (grams, moments, within.sum(1)))
    ridge = (PENALTIES[:, None] * jnp.maximum(count, 1))[..., None, None] * jnp.eye(x.shape[1])
    right = jnp.broadcast_to(moment, (len(PENALTIES), *moment.shape))[..., None]
    solved = jnp.linalg.solve(gram + ridge, right)[..., 0]
    unseen = solved[:, :FOLDS]
    errors = jnp.einsum("pkf,kfg,pkg->p", unseen, grams, unseen)
    errors -= 2 * jnp.einsum("pkf,kf->p", unseen, moments)
    return solved[jnp.argmin(errors)]


def _all_but_one(parts: Array) -> Array:
    """Sums over all blocks but one, for each block, and the sum over all of them."""
    whole = parts.sum(0)
    return jnp.concatenate([whole - parts, whole[None]])
