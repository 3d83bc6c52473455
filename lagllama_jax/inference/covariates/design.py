"""The columns of a regression on covariates: responses to them, and controls of the calendar."""

from typing import NamedTuple

import numpy as np
from scipy import special

from lagllama_jax.model.calendar_features import SECONDS_A_DAY
from lagllama_jax.series.calendar import calendar_of, clock_features
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Bool, Float

KNOTS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Levels of the quantiles of a covariate at which its response may bend."""
FEW_VALUES = 8
"""A covariate with at most this many values may bend at each of them."""
BEYOND = 0.25
"""Part of the range of the past by which values of the future may exceed it before clipping."""
MOST_COLUMNS, COMPONENTS = 200, 6
"""With more columns than 200, the responses are linear, but for those to the first six principal
components of the covariates."""
HARMONICS = 4
GAIN = 1.5
"""Standard deviation of the sums of covariates, and of those of times, in a joint response."""
JOINT_COLUMNS, JOINT_INPUTS, ROWS_PER_COLUMN = (256, 512), 12, 10
"""Fewest and most joint responses, largest number of inputs of each, and smallest number of points
of the past per joint response."""
ROWS_AT_ONCE = 4096
"""Number of rows of joint responses that are computed at once, to save memory."""
NOTHING = 1e-6
"""Share of the spread of the first principal component below which another one is rounding."""


class Grid(NamedTuple):
    """What the regression knows of the time grid of an item.

    Attributes:
      calendar: Calendar features of each point (`model.calendar_features`).
      day: Number of points per day. 0: unknown, or less than one.
      lag: Number of points after which the series is compared with itself, such as a day or week.
    """

    calendar: Float[np.ndarray, "N 6"]
    day: int
    lag: int


def grid_of(dataset: SeriesDataset, row: int, count: int) -> Grid:
    """The grid of the first `count` points of an item and of its future."""
    calendar = clock_features(*calendar_of(dataset.take([row])), np.zeros(1, int), count)[0]
    frequency = dataset.frequencies[row]
    if frequency is None:
        return Grid(calendar, 0, 1)
    points = SECONDS_A_DAY / frequency.seconds
    if points > 1:
        return Grid(calendar, int(points) if points.is_integer() else 0, max(round(points), 1))
    return Grid(calendar, 0, frequency.cycle)


def responses(
    covariates: Float[np.ndarray, "K N"], grid: Grid, past: int
) -> Float[np.ndarray, "N F"]:
    """Columns whose weighted sum is the response of the target to its covariates.

    For each covariate that varies in the past, these are its value, hinges at quantiles, products
    with the first two harmonics of the day, and its mean over the last day (or over three points,
    if the points are days or longer), with hinges. Missing values are replaced by the mean of the
    past and have an indicator. If this makes too many columns, see `MOST_COLUMNS`.

    Args:
      covariates: The known covariates, NaN where missing.
      grid: The time grid.
      past: Number of points before the forecast.
    """
    varying = [row for row in covariates if varies(row[:past])]
    parts = [_response(row, grid, past, rich=True) for row in varying]
    if sum(part.shape[1] for part in parts) > MOST_COLUMNS:
        linear = [_response(row, grid, past, rich=False) for row in varying]
        first = _components(np.concatenate(linear, axis=1), past, COMPONENTS)
        parts = linear + [
            _response(row, grid, past, rich=True) for row in first if varies(row[:past])
        ]
    return np.concatenate([np.zeros((covariates.shape[1], 0)), *parts], axis=1)


def joint_responses(
    covariates: Float[np.ndarray, "K N"], grid: Grid, past: int, draw: int
) -> Float[np.ndarray, "N F"]:
    """Columns of covariates that act together, or differently at different times.

    They are random features (https://doi.org/10.1016/0925-2312(94)90053-1): rectified sums, with
    fixed random weights (`_directions`), of the covariates, their means over four hours, a day and
    three days, and the calendar. What a column is on average at its time, if the covariates do not
    depend on the time, is subtracted, so that covariates of noise do not tell the time. There are
    none if the past is short, or no covariate varies in it.

    Args:
      covariates: The known covariates, NaN where missing.
      grid: The time grid.
      past: Number of points before the forecast.
      draw: Number of the draw of the random weights.
    """
    varying = [row for row in covariates if varies(row[:past])]
    inputs = [part for row in varying for part in _inputs(row, grid, past)]
    count = min(JOINT_COLUMNS[1], past // ROWS_PER_COLUMN)
    if count < JOINT_COLUMNS[0] or not inputs:
        return np.zeros((covariates.shape[1], 0))
    random, key = np.random.default_rng((0, draw)), np.random.default_rng(1).normal(size=past)
    inputs.sort(key=lambda part: float(part[:past] @ key))  # so that their order does not matter
    mixed = np.stack(inputs, axis=1)
    if len(inputs) > JOINT_INPUTS:
        mixed = _components(mixed, past, JOINT_INPUTS).T
        spread = mixed[:past].std(axis=0)
        kept = spread > NOTHING * spread[0]
        mixed = mixed[:, kept] / spread[kept]
    times = np.stack(_times(grid), axis=1)
    of_inputs, of_times = (
        _directions(random, part.shape[1], count) * GAIN / np.sqrt(part.shape[1])
        for part in (mixed, times)
    )
    usual = times @ of_times + random.normal(size=count)
    covariance = np.atleast_2d(np.cov(mixed[:past], rowvar=False))
    deviation = np.sqrt(np.einsum("kf,kl,lf->f", of_inputs, covariance, of_inputs))
    found = mixed @ of_inputs
    blocks = (np.array_split(part, len(part) // ROWS_AT_ONCE + 1) for part in (found, usual))
    for block, mean in zip(*blocks, strict=True):  # in place
        block[:] = np.maximum(block + mean, 0) - _expected(mean, deviation)
    return found


def _expected(
    mean: Float[np.ndarray, "N F"], deviation: Float[np.ndarray, "F"]
) -> Float[np.ndarray, "N F"]:
    """The expectation of the positive part of normal numbers."""
    z = mean / deviation
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    expected: np.ndarray = deviation * (z * special.ndtr(z) + density)
    return expected


def _directions(
    random: np.random.Generator, size: int, count: int
) -> Float[np.ndarray, "{size} {count}"]:
    """Normal random vectors, orthogonal to one another in blocks of `size`.

    They cover the directions more evenly than independent ones (arXiv 1610.09072).
    """
    blocks, upper = np.linalg.qr(random.normal(size=(-(-count // size), size, size)))
    blocks *= np.sign(np.diagonal(upper, axis1=1, axis2=2))[:, None]
    lengths = np.sqrt(random.chisquare(size, count))
    return np.concatenate(list(blocks), axis=1)[:, :count] * lengths


def _inputs(values: Float[np.ndarray, "N"], grid: Grid, past: int) -> list[Float[np.ndarray, "N"]]:
    """A standardised covariate and its trailing means."""
    z, _ = _standardised(values, past)
    if len(np.unique(z[:past])) <= 2:
        return [z]
    day = grid.day if grid.day > 1 else 3
    widths = [day, 3 * day] + ([max(day // 6, 1)] if grid.day > 1 else [])
    return [z, *(_trailing_mean(z, width) for width in widths)]


def _times(grid: Grid) -> list[Float[np.ndarray, "N"]]:
    """The time of the year and, if a day has several points, of the day, and the weekend."""
    times = _waves(grid.calendar[:, 5] + 0.5, 1)
    if grid.day > 1:
        times += [*_waves(_hour(grid.calendar), 2), 2.0 * (_weekday(grid.calendar) >= 5)]
    return times


def _components(
    columns: Float[np.ndarray, "N F"], past: int, count: int
) -> Float[np.ndarray, "k N"]:
    """The first principal components of standardised columns."""
    _, vectors = np.linalg.eigh(np.cov(columns[:past], rowvar=False))
    first = vectors[:, ::-1][:, :count]
    return (columns @ np.where(first.sum(axis=0) < 0, -first, first)).T


def varies(past: Float[np.ndarray, "T"]) -> bool:
    """Whether a covariate had different values."""
    observed = past[np.isfinite(past)]
    return len(observed) > 1 and bool(observed.min() < observed.max())


def _response(
    values: Float[np.ndarray, "N"], grid: Grid, past: int, rich: bool
) -> Float[np.ndarray, "N f"]:
    z, missing = _standardised(values, past)
    known = z[:past][~missing[:past]]
    columns = [z]
    if missing[:past].any():
        columns.append(missing.astype(np.float64))
    if rich:
        different = np.unique(known)
        several = len(different) > 2
        columns += _hinges(z, different[1:-1] if len(different) <= FEW_VALUES else known)
        if grid.day > 1:
            columns += [z * wave for wave in _waves(_hour(grid.calendar), 2)]
        if several:
            recent = _trailing_mean(z, grid.day if grid.day > 1 else 3)
            columns += [recent, np.concatenate([z[:1], z[:-1]])]
            columns += _hinges(recent, recent[:past]) if len(different) > FEW_VALUES else []
    return np.stack(columns, axis=1)


def bounds(past: Float[np.ndarray, "n"]) -> tuple[float, float]:
    """The smallest and largest value of a covariate that the regression tells apart (`BEYOND`).

    >>> bounds(np.array([2.0, np.nan, 4.0]))
    (1.5, 4.5)
    """
    low, high = float(np.nanmin(past)), float(np.nanmax(past))
    room = BEYOND * (high - low)
    return low - room, high + room


def _standardised(
    values: Float[np.ndarray, "N"], past: int
) -> tuple[Float[np.ndarray, "N"], Bool[np.ndarray, "N"]]:
    """A covariate with mean 0 and variance 1 in the past, 0 where missing, and where it is missing.

    Values outside of `bounds` are clipped.
    """
    observed = values[:past][np.isfinite(values[:past])]
    scaled = (np.clip(values, *bounds(observed)) - observed.mean()) / observed.std()
    missing = np.isnan(scaled)
    return np.where(missing, 0.0, scaled), missing


def _hinges(
    values: Float[np.ndarray, "N"], observed: Float[np.ndarray, "n"]
) -> list[Float[np.ndarray, "N"]]:
    """The parts of values above some knots: few observed values, or quantiles of many."""
    many = len(observed) > FEW_VALUES
    knots = np.unique(np.quantile(observed, KNOTS)) if many else observed
    return [np.maximum(values - knot, 0.0) for knot in knots]


def _trailing_mean(values: Float[np.ndarray, "N"], width: int) -> Float[np.ndarray, "N"]:
    total = np.cumsum(np.concatenate([np.full(width, values[0]), values]))
    return (total[width:] - total[:-width]) / width


def _hour(calendar: Float[np.ndarray, "N 6"]) -> Float[np.ndarray, "N"]:
    """The time of day of each point, from 0 to 1."""
    hour, minute = (calendar[:, 2] + 0.5) * 23, (calendar[:, 1] + 0.5) * 59
    return (hour + minute / 60) / 24


def _weekday(calendar: Float[np.ndarray, "N 6"]) -> Float[np.ndarray, "N"]:
    """The day of the week of each point, 0 on Mondays."""
    return np.round((calendar[:, 3] + 0.5) * 6)


def _waves(part: Float[np.ndarray, "N"], count: int) -> list[Float[np.ndarray, "N"]]:
    """The first harmonics of a cycle. `part` is the elapsed part of the cycle."""
    angles = [2 * np.pi * number * part for number in range(1, count + 1)]
    return [wave(angle) for angle in angles for wave in (np.cos, np.sin)]


def controls(grid: Grid) -> Float[np.ndarray, "N C"]:
    """Columns for the trend and the calendar, whose effects are left to the predictor.

    They are a trend, the days of the week, the harmonics of the day, apart on weekends, and the
    first harmonic of the year. More of the year could not be told from the weather of one year.
    """
    calendar, count = grid.calendar, len(grid.calendar)
    weekday = _weekday(calendar)
    columns = [np.linspace(-1, 1, count)]
    columns += [(weekday == day).astype(np.float64) for day in range(6)]
    if grid.day > 1:
        weekend = (weekday >= 5).astype(np.float64)
        daily = _waves(_hour(calendar), min(HARMONICS, max(grid.day // 2, 1)))
        columns += [*daily, *(wave * weekend for wave in daily)]
    columns += _waves(calendar[:, 5] + 0.5, 1)
    return np.stack(columns, axis=1)
