"""Means of blocks of consecutive points, and fine points between them."""

import warnings

import numpy as np

from lagllama_jax.typing import Float

SHORTEST = 64
"""Series of fewer blocks are not made."""
GRIDS = (300, 600, 900, 1800, 3600)
"""Seconds of the grids below an hour, and of the hour, that `block_size` chooses from."""
FEWEST_BLOCKS = 12
"""A horizon has at least this many blocks."""
DETAIL_BLOCKS = 14 * 24
"""Past blocks from which the fine points within blocks to come are drawn: of hours, two weeks."""


def block_means(
    values: Float[np.ndarray, "T"], size: int, share: float = 0.0
) -> Float[np.ndarray, "t"]:
    """Means of consecutive whole blocks; NaN where less than a share of a block is observed."""
    blocks = values[: len(values) // size * size].reshape(-1, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of a block without values
        means = np.nanmean(blocks, axis=1, dtype=np.float64)
    return np.where(np.mean(~np.isnan(blocks), axis=1) >= share, means, np.nan)


def block_size(seconds: float, points: int, prediction_length: int) -> int:
    """Points of a fine series whose means are best forecast in their place; 1: not a fine series.

    The largest block, up to an hour, of which the horizon has `FEWEST_BLOCKS` and the past
    `SHORTEST`. So chosen on the validation suite (`evaluation.validation`). Steps of less than a
    second are left as they are.

    Args:
      seconds: length of a step.
      points: of the past.
      prediction_length: points to come.
    """
    most = min(prediction_length // FEWEST_BLOCKS, points // SHORTEST)
    fits = [int(grid // seconds) for grid in GRIDS if grid % seconds == 0 and 1 <= seconds < 3600]
    return max((size for size in fits if size <= most), default=1)


def last_blocks(values: Float[np.ndarray, "T"], size: int) -> Float[np.ndarray, "t"]:
    """`block_means` of the blocks that end with the last value."""
    return block_means(values[len(values) % size :], size)


def between_means(means: Float[np.ndarray, "*s t"], size: int) -> Float[np.ndarray, "*s n"]:
    """Fine points of all blocks but the first and the last, n = (t - 2) `size`.

    Those of a block lie on the straight lines from its middle to its neighbours', shifted so that
    their mean is the block's.
    """
    place = (np.arange(size) + 0.5) / size - 0.5  # from the block's middle, in blocks
    before, here, after = means[..., :-2, None], means[..., 1:-1, None], means[..., 2:, None]
    lines = here + place * np.where(place < 0, here - before, after - here)
    lines += here - lines.mean(axis=-1, keepdims=True)
    return lines.reshape(*means.shape[:-1], -1)


def refine(
    paths: Float[np.ndarray, "S t"],
    past: Float[np.ndarray, "T"],
    size: int,
    generator: np.random.Generator,
) -> Float[np.ndarray, "S P"]:
    """Fine sample paths, P = (t - 1) `size`, whose blocks have the means of the given paths.

    Straight lines between the means, and on them, block by block, what the past had beside such
    lines: each block of each path takes that of some past block of the last `DETAIL_BLOCKS`.

    Args:
      paths: means of the blocks to come, and of one more, towards which the last of them goes.
      past: the fine series before them, NaN where missing.
      size: points of a block.
      generator: decides which past blocks are taken.
    """
    means = last_blocks(past, size)[-DETAIL_BLOCKS:]
    known = len(means) > 0 and not np.isnan(means[-1])
    begin = np.full((len(paths), 1), means[-1]) if known else paths[:, :1]
    lines = between_means(np.concatenate([begin, paths], axis=1), size)
    recent = past[len(past) - len(means) * size :].reshape(-1, size)
    beside = recent[1:-1] - between_means(means, size).reshape(-1, size)
    beside = beside[np.isfinite(beside).all(axis=1)]
    if len(beside) == 0:
        return lines
    taken = generator.integers(len(beside), size=(len(paths), paths.shape[1] - 1))
    return lines + beside[taken].reshape(lines.shape)
