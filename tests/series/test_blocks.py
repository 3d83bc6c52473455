"""Means of blocks, and the fine points between them."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.series.blocks import (
    FEWEST_BLOCKS,
    GRIDS,
    SHORTEST,
    between_means,
    block_means,
    block_size,
    last_blocks,
    refine,
)

SIZES = st.integers(2, 12)
STEPS = st.sampled_from([1, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 86_400, np.inf])


def history(points, seed=0):
    return np.random.default_rng(seed).normal(size=points).cumsum()


@given(STEPS, st.integers(0, 10_000), st.integers(1, 1000))
def test_a_block_is_a_step_of_a_known_grid_and_the_coarsest_that_leaves_enough(
    seconds, points, horizon
):
    def leaves_enough(size):
        return horizon // size >= FEWEST_BLOCKS and points // size >= SHORTEST

    size = block_size(seconds, points, horizon)
    if size > 1:
        assert size * seconds in GRIDS
        assert leaves_enough(size)
    coarser = [grid // seconds for grid in GRIDS if seconds < grid and grid % seconds == 0]
    assert not any(leaves_enough(other) for other in coarser if other > size)


@pytest.mark.parametrize(
    ("seconds", "points", "horizon", "size"),
    [
        (900, 2000, 48, 4),
        (900, 2000, 24, 2),
        (300, 2000, 48, 3),
        (600, 2000, 480, 6),
        (600, 200, 480, 3),
        (60, 10_000, 24, 1),
        (3600, 2000, 480, 1),
    ],
)
def test_blocks_of_common_series(seconds, points, horizon, size):
    assert block_size(seconds, points, horizon) == size


@given(SIZES, st.integers(0, 50))
def test_the_last_blocks_end_with_the_last_value(size, rest):
    values = history(size * 5 + rest % size)
    assert np.allclose(last_blocks(values, size)[-1], values[-size:].mean())
    assert len(last_blocks(values, size)) == 5


def test_a_mean_is_missing_where_too_little_of_its_block_is_observed():
    values = np.array([1, np.nan, np.nan, 3, 5, 7, np.nan, np.nan, np.nan])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.allclose(block_means(values, 3), [1, 5, np.nan], equal_nan=True)
        strict = block_means(values, 3, share=0.5)
    assert np.allclose(strict, [np.nan, 5, np.nan], equal_nan=True)


@given(SIZES, st.floats(-5, 5), st.floats(-5, 5))
def test_a_straight_line_comes_back_from_its_means(size, slope, level):
    line = level + slope * np.arange(size * 6)
    back = between_means(block_means(line, size), size)
    assert np.allclose(back, line[size:-size], atol=1e-9)


@given(SIZES)
def test_a_line_goes_on_to_the_last_point(size):
    line = np.arange(30.0 * size)
    ahead = block_means(line, size)[None, 20:]
    fine = refine(ahead, line[: 20 * size], size, np.random.default_rng(0))
    assert np.allclose(fine[0], line[20 * size : -size])


@given(SIZES, st.integers(0, 50), st.integers(0, 2**32 - 1))
def test_fine_paths_keep_the_means_of_their_blocks(size, rest, seed):
    paths = history(3 * 5, seed).reshape(3, 5)
    past = history(size * 20 + rest, seed)
    fine = refine(paths, past, size, np.random.default_rng(seed))
    assert fine.shape == (3, 4 * size)
    assert np.allclose(fine.reshape(3, 4, size).mean(axis=2), paths[:, :-1])


@given(SIZES, st.integers(0, 2**32 - 1))
def test_fine_paths_of_a_series_of_blocks_are_those_blocks(size, seed):
    wiggle = np.arange(size) - (size - 1) / 2
    past = 7 + np.tile(wiggle, 20)
    fine = refine(np.full((3, 5), 7.0), past, size, np.random.default_rng(seed))
    assert np.allclose(fine, 7 + np.tile(wiggle, 4))


def test_fine_paths_vary_as_the_past_does():
    rng = np.random.default_rng(0)
    past = rng.normal(size=6 * 300)
    fine = refine(np.zeros((200, 21)), past, 6, rng)
    assert np.allclose(fine.std(), past.std(), rtol=0.1)


def test_fine_paths_after_a_gap_begin_where_they_are():
    past = np.r_[np.full(60, 100.0), np.full(40, np.nan)]
    fine = refine(np.zeros((2, 3)), past, 4, np.random.default_rng(0))
    assert np.allclose(fine, 0)


def test_fine_paths_with_little_to_go_by_are_the_lines_between_the_means():
    rng = np.random.default_rng(0)
    paths = np.array([[1.0, 2.0, 2.0]])
    lines = [0.875, 0.875, 1, 1.25, 1.75, 2, 2.125, 2.125]
    gaps = np.where(np.arange(40) % 4, np.nan, 1.0)  # no block is whole
    assert np.allclose(refine(paths, gaps, 4, rng)[0], lines)
    none = refine(paths, np.array([5.0]), 4, rng)  # no block at all
    assert np.allclose(none[0], lines)
