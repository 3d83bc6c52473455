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
DETAIL_BLOCKS = 14 * 24  # number of past blocks that `refine` uses: two weeks of hours
CONSTANT_DAYS = 14  # number of days with the same value for `daily_constants`
CANDIDATES = 100  # number of past blocks from which the most similar one is chosen
CONTINUITY = 8.0  # weight of the step from the previous point in the distance of blocks


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


def last_blocks(values: Float[np.ndarray, "T"], size: int) -> Float[np.ndarray, "t"]:
    """`block_means` with blocks counted from the end. The last block ends with the last point."""
    return block_means(values[len(values) % size :], size)


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


def refine(
    near: Float[np.ndarray, "S n"],
    means: Float[np.ndarray, "S t"],
    past: Float[np.ndarray, "T"],
    generator: np.random.Generator,
) -> Float[np.ndarray, "S P"]:
    """Disaggregates sample paths of block means to paths of their points, P = (t - 1) n.

    The points of the first block are those of `near`. The points of a later block are the linear
    interpolation of the means, plus the residuals of a similar block of the past. Two blocks are
    similar if they have similar steps from the previous point, means, and means of the neighbouring
    blocks. The residuals thus depend on the level, and each block continues the block before it.

    Args:
      near: Sample paths of the n points of the first block.
      means: Sample paths of the means of the future blocks, and of one block more.
      past: The series before these blocks, NaN where a value is missing.
      generator: Random number generator.
    """
    (paths, size), past = near.shape, np.asarray(past, np.float64)
    near, means = join(near, means)
    lines = between_means(means, size)
    similar, details = past_details(past, size)
    fine = [near]
    for block in range(lines.shape[1]):
        points = lines[:, block]
        if len(details):
            wanted = _features(fine[-1][:, -1], points[:, 0], means[:, block : block + 3])
            drawn = generator.integers(len(details), size=(paths, CANDIDATES))
            with np.errstate(over="ignore"):  # blocks that are too far apart to say how far
                distance = np.square(similar[drawn] - wanted[:, None]).sum(axis=2)
            points = points + details[drawn[np.arange(paths), distance.argmin(axis=1)]]
        fine.append(points)
    return np.concatenate(fine, axis=1)


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


def join(
    near: Float[np.ndarray, "S n"], means: Float[np.ndarray, "S t"]
) -> tuple[Float[np.ndarray, "S n"], Float[np.ndarray, "S t"]]:
    """Pairs the sample paths of two forecasts, and shifts the means to agree with `near`.

    Paths of the points of the first block (`near`) and of the means of all blocks are paired by the
    rank of the mean of the first block. The two forecasts of this mean differ. Each later mean is
    shifted by the difference times its regression slope on the first mean, estimated from the
    sample paths and clipped to 0 to 1. The slope is 1 for a random walk and 0 for white noise.
    """
    near, means = np.asarray(near, np.float64), np.asarray(means, np.float64)
    near = near[near.mean(axis=1).argsort()[means[:, 0].argsort().argsort()]]
    first, change = means[:, :1], near.mean(axis=1, keepdims=True) - means[:, :1]
    apart = first - first.mean()
    variance = np.square(apart).mean()
    slopes = (apart * (means - means.mean(axis=0))).mean(axis=0) / (variance or 1.0)
    return near, means + np.clip(slopes, 0.0, 1.0) * change


def past_details(
    past: Float[np.ndarray, "T"], size: int
) -> tuple[Float[np.ndarray, "b 4"], Float[np.ndarray, "b n"]]:
    """The features and residuals from `between_means` of the last fully observed blocks."""
    means = last_blocks(past, size)[-DETAIL_BLOCKS - 2 :]
    blocks = past[len(past) - len(means) * size :].reshape(-1, size)
    if len(means) < 3:
        return np.empty((0, 4)), np.empty((0, size))
    lines = between_means(means, size)
    around = np.lib.stride_tricks.sliding_window_view(means, 3)
    features, details = _features(blocks[:-2, -1], lines[:, 0], around), blocks[1:-1] - lines
    known = np.isfinite(details).all(axis=1) & np.isfinite(features).all(axis=1)
    return features[known], details[known]


def _features(
    previous: Float[np.ndarray, "b"], line: Float[np.ndarray, "b"], means: Float[np.ndarray, "b 3"]
) -> Float[np.ndarray, "b 4"]:
    """Steps from the previous point and the neighbouring means, and the mean, for comparison."""
    before, here, after = means.T
    return np.stack([CONTINUITY * (previous - line), before - here, after - here, here], axis=1)
