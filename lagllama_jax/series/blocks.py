"""Aggregates series to the means of blocks of points, and disaggregates their forecasts."""

import math
import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from lagllama_jax.errors import DataError
from lagllama_jax.typing import Float, Int

SHORTEST = 64  # smallest number of past blocks for which `block_size` aggregates
GRIDS = (900, 1800, 3600)  # lengths of blocks in seconds, on which the model was trained
DETAIL_BLOCKS = 14 * 24  # number of past blocks of `detail_deviation`: two weeks of hours
FEWEST_DAYS = 3  # number of days from which `detail_deviation` depends on the time of day
CONSTANT_DAYS = 14  # number of days with the same value for `daily_constants`


def block_means(
    values: Float[np.ndarray, "T"], size: int, share: float = 0.0
) -> Float[np.ndarray, "t"]:
    """Means of the observed values of consecutive blocks of `size` points, in float64.

    The mean is NaN if a smaller part of the block than `share` is observed. An incomplete block at
    the end is left out.
    """
    blocks = values[: len(values) // size * size].reshape(-1, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of a block without values
        means = np.nanmean(blocks, axis=1, dtype=np.float64)
    return np.where(np.mean(~np.isnan(blocks), axis=1) >= share, means, np.nan)


def last_blocks(
    values: Float[np.ndarray, "T"], size: int, share: float = 0.0
) -> Float[np.ndarray, "t"]:
    """`block_means` with blocks counted from the end. The last block ends with the last point."""
    return block_means(values[len(values) % size :], size, share)


def blocks_around(values: Float[np.ndarray, "N"], place: int, size: int) -> Float[np.ndarray, "n"]:
    """`block_means` with blocks counted from `place` in both directions.

    If the last block is incomplete, its mean is that of the points that it has.

    >>> blocks_around(np.arange(8.0), 3, 2).tolist()
    [1.5, 3.5, 5.5, 7.0]
    """
    missing = np.full(-(len(values) - place) % size, np.nan)
    later = block_means(np.concatenate([values[place:], missing]), size)
    return np.concatenate([last_blocks(values[:place], size), later])


def block_size(seconds: float, points: int, prediction_length: int) -> int:
    """Number of points per block for a series, or 1 if it should not be aggregated.

    This is the largest block size of n points such that the block has a length in `GRIDS`, the past
    contains at least `SHORTEST` blocks, and the horizon contains at least 2 n blocks. Series with
    steps of less than a second or of at least an hour are not aggregated.

    Args:
      seconds: Length of a time step in seconds.
      points: Number of time steps of the past.
      prediction_length: Number of time steps to forecast.
    """
    most = min(math.isqrt(prediction_length // 2), points // SHORTEST)
    fits = [int(grid // seconds) for grid in GRIDS if grid % seconds == 0 and 1 <= seconds < 3600]
    return max((size for size in fits if size <= most), default=1)


def block_sizes(
    item_ids: Sequence[str],
    lengths: Sequence[int],
    seconds: Sequence[float],
    prediction_length: int,
    coarsen: int | Literal["auto"],
) -> Int[np.ndarray, "n"]:
    """Number of points per block for each series, in forecasts and in fine-tuning.

    Args:
      item_ids: Names of the series.
      lengths: Number of time steps of each series.
      seconds: Length of a time step of each series in seconds, infinite if unknown or variable.
      prediction_length: Number of time steps to forecast.
      coarsen: As in `ForecastConfig`.

    Raises:
      DataError: If a series has fewer points than the block that `coarsen` asks for.
    """
    if coarsen == "auto":
        rows = zip(seconds, lengths, strict=True)
        return np.array([block_size(step, points, prediction_length) for step, points in rows], int)
    for name, points in zip(item_ids, lengths, strict=True):
        if points < coarsen:
            raise DataError(
                f"Series {name!r} has {points} points, fewer than coarsen={coarsen}: leave it out "
                "or give a smaller number."
            )
    return np.full(len(lengths), coarsen)


def between_means(means: Float[np.ndarray, "*s t"], size: int) -> Float[np.ndarray, "*s t-2 n"]:
    """Interpolates block means linearly to the n = `size` points of each block.

    The means are placed at the middles of their blocks. The first and the last block are left out.
    """
    place = (np.arange(size) + 0.5) / size - 0.5  # from the block's middle, in blocks
    before, here, after = means[..., :-2, None], means[..., 1:-1, None], means[..., 2:, None]
    return here + place * np.where(place < 0, here - before, after - here)


def detail_deviation(
    past: Float[np.ndarray, "T"], size: int, day: int, prediction_length: int
) -> Float[np.ndarray, "P"]:
    """Root mean square distance of points from the lines between block means, for future points.

    It is estimated from the last two weeks of the past, by time of day if at least
    `FEWEST_DAYS` days are known, otherwise over all points. It is 0 if nothing is known.

    Args:
      past: The series, NaN where a value is missing.
      size: Number of points of a block. The last block ends with the series.
      day: Number of points per day. 0: unknown.
      prediction_length: Number of future points.
    """
    means = last_blocks(past, size)[-DETAIL_BLOCKS - 2 :]
    if len(means) < 3:
        return np.zeros(prediction_length)
    inner = past[len(past) - (len(means) - 1) * size : len(past) - size]
    distance = np.abs(inner - between_means(means, size).ravel())
    largest = np.nanmax(distance, initial=0.0) or 1.0  # divided by it, squares do not overflow
    squares = np.square(distance / largest)
    known = squares[~np.isnan(squares)]
    overall = known.mean() if len(known) else 0.0
    rows = (len(squares) + size) // day if day else 0
    if rows < FEWEST_DAYS:
        return np.full(prediction_length, largest * np.sqrt(overall))
    aligned = np.concatenate([squares, np.full(size, np.nan)])[-rows * day :].reshape(rows, day)
    count = (~np.isnan(aligned)).sum(axis=0)
    daily = np.where(count > 0, np.nansum(aligned, axis=0) / np.maximum(count, 1), overall)
    return largest * np.sqrt(np.resize(daily, prediction_length))


def daily_constants(
    past: Float[np.ndarray, "T"], day: int, prediction_length: int
) -> Float[np.ndarray, "P"]:
    """Values at times of day at which the past is constant, such as the nights of solar power.

    A future point has a constant value if all observed points within an hour of its time of day
    have this value on the last `CONSTANT_DAYS` days, and each of these days has such a point.
    Otherwise it is NaN, as are all points if there are fewer than 24 time steps per `day`.
    """
    if day < 24 or len(past) < CONSTANT_DAYS * day:
        return np.full(prediction_length, np.nan)
    days = past[-CONSTANT_DAYS * day :].reshape(CONSTANT_DAYS, day)
    hours = 2 * (day // 24) + 1
    missing = np.isnan(days)
    low = minimum_filter1d(np.where(missing, np.inf, days), hours, axis=1, mode="wrap")
    high = maximum_filter1d(np.where(missing, -np.inf, days), hours, axis=1, mode="wrap")
    constant = low.min(axis=0) == high.max(axis=0)
    known_daily = np.isfinite(low).all(axis=0)
    return np.resize(np.where(constant & known_daily, low[0], np.nan), prediction_length)
