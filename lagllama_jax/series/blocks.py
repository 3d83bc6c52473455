"""Aggregation of a series to the means of blocks of points, and disaggregation of forecasts."""

import math
import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from lagllama_jax.errors import DataError
from lagllama_jax.typing import Float, Int

SHORTEST = 64
"""`block_size` leaves at least this many blocks of the past."""
GRIDS = (900, 1800, 3600)
"""Lengths in seconds of the blocks that `block_size` chooses from, as the model was trained on."""
DETAIL_BLOCKS = 14 * 24
"""Number of past blocks that `refine` looks at: two weeks of hours."""
CONSTANT_DAYS = 14
"""Number of days that must be alike at a time of day for `daily_constants`."""
CANDIDATES = 100
"""Number of past blocks that are drawn for each block to come; the most similar one is taken."""
CONTINUITY = 8.0
"""Weight of the step from the previous point in the similarity of blocks."""


def block_means(
    values: Float[np.ndarray, "T"], size: int, share: float = 0.0
) -> Float[np.ndarray, "t"]:
    """Means of consecutive whole blocks; NaN where less than a share of a block is observed."""
    blocks = values[: len(values) // size * size].reshape(-1, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of a block without values
        means = np.nanmean(blocks, axis=1, dtype=np.float64)
    return np.where(np.mean(~np.isnan(blocks), axis=1) >= share, means, np.nan)


def last_blocks(values: Float[np.ndarray, "T"], size: int) -> Float[np.ndarray, "t"]:
    """`block_means` of blocks that are counted from the end, so that the last point is in one."""
    return block_means(values[len(values) % size :], size)


def block_size(seconds: float, points: int, prediction_length: int) -> int:
    """Number of points per block with which a series is forecast best; 1 for no aggregation.

    This is the longest block of `GRIDS` of which the past has `SHORTEST`, and the horizon at least
    twice as many as the block has points.

    Args:
      seconds: Length of a time step; steps of less than a second are not aggregated.
      points: Length of the past.
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
    """Number of points per block of each series, in forecasts and in fine-tuning.

    Args:
      item_ids: Names of the series.
      lengths: Number of points of each.
      seconds: Length of a time step of each; infinite where it is unknown or varies.
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
    """The n = `size` points of all blocks but the first and the last.

    They lie on the straight lines that join the means at the middles of their blocks.
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
    """Sample paths of the points of the coming blocks, P = (t - 1) n.

    The points of the first block are those of `near`. Later points lie on straight lines between
    the means, plus the deviations from such lines of a similar block of the past. Blocks are
    similar if the steps from the previous point, the means, and the means of the neighbours are.
    Deviations thus depend on the level, and a block continues the one before it.

    Args:
      near: Sample paths of the points of the first block.
      means: Sample paths of the means of the coming blocks, and of one more.
      past: The series before them, NaN where a value is missing.
      generator: Random numbers.
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
            distance = np.square(similar[drawn] - wanted[:, None]).sum(axis=2)
            points = points + details[drawn[np.arange(paths), distance.argmin(axis=1)]]
        fine.append(points)
    return np.concatenate(fine, axis=1)


def daily_constants(
    past: Float[np.ndarray, "T"], day: int, prediction_length: int
) -> Float[np.ndarray, "P"]:
    """Values of times of day at which the past never changes, such as nights of solar power.

    A coming point has this value if all known points of the last `CONSTANT_DAYS` days within an
    hour of its time of day have it, and each of these days has one; the others are NaN.

    Args:
      past: The series, NaN where a value is missing.
      day: Number of points per day; less than 24 if no time of day is constant.
      prediction_length: Number of points to come.
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
    """Pairs the paths of two forecasts, and lets the means go on from the points of `near`.

    Paths are paired by the rank of the mean of the first block. Where the two forecasts of it
    differ, the later means are moved by linear regression on the first one among the sample paths:
    by the whole difference for a random walk, not at all for white noise.

    Args:
      near: Sample paths of the points of the first block.
      means: Sample paths of the means of all blocks; their order is kept.
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
    """Features of the last fully observed blocks, and their points minus the lines of the means."""
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
    """What is compared: the step from the previous point to the line, and the means."""
    before, here, after = means.T
    return np.stack([CONTINUITY * (previous - line), before - here, after - here, here], axis=1)
