"""Means of blocks, and the fine points between them."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.errors import DataError
from lagllama_jax.series.blocks import (
    GRIDS,
    SHORTEST,
    between_means,
    block_means,
    block_size,
    block_sizes,
    daily_constants,
    join,
    last_blocks,
    refine,
)

SIZES = st.integers(2, 12)
SEEDS = st.integers(0, 2**32 - 1)
STEPS = st.sampled_from([1, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 86_400, np.inf])


def walk(points, seed=0):
    return np.random.default_rng(seed).normal(size=points).cumsum()


def forecast(paths, blocks, size, seed):
    """Sample paths of a random walk: its first `size` points, and the means of its blocks."""
    steps = np.random.default_rng(seed).normal(size=(2, paths, size * blocks))
    near, far = steps.cumsum(axis=2)
    return near[:, :size], far.reshape(paths, blocks, size).mean(axis=2)


def fine_paths(near, means, past):
    return refine(near, means, past, np.random.default_rng(0))


@given(STEPS, st.integers(0, 10_000), st.integers(1, 1000))
def test_a_block_is_a_step_of_a_known_grid_and_the_coarsest_that_leaves_enough(
    seconds, points, horizon
):
    def leaves_enough(size):
        return horizon // size >= 2 * size and points // size >= SHORTEST

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
        (900, 2000, 7, 1),
        (300, 4000, 480, 12),
        (300, 2000, 48, 3),
        (600, 2000, 480, 6),
        (600, 200, 480, 3),
        (60, 10_000, 480, 15),
        (60, 10_000, 240, 1),
        (3600, 2000, 480, 1),
    ],
)
def test_blocks_of_common_series(seconds, points, horizon, size):
    assert block_size(seconds, points, horizon) == size


@given(st.lists(st.integers(1, 300), min_size=1, max_size=5), st.integers(1, 300))
def test_a_block_that_is_asked_for_is_made_or_the_first_series_that_is_too_short_is_named(
    lengths, size
):
    names, seconds = [f"s{i}" for i in range(len(lengths))], [np.inf] * len(lengths)
    short = [name for name, points in zip(names, lengths, strict=True) if points < size]
    if not short:
        assert (block_sizes(names, lengths, seconds, 48, size) == size).all()
        return
    with pytest.raises(DataError, match=f"'{short[0]}' has .* fewer than coarsen={size}"):
        block_sizes(names, lengths, seconds, 48, size)


@given(SIZES, st.integers(0, 50))
def test_the_last_blocks_end_with_the_last_value(size, rest):
    values = walk(size * 5 + rest % size)
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
    assert np.allclose(back.ravel(), line[size:-size], atol=1e-9)


@given(SIZES)
def test_a_line_goes_on_to_the_last_point(size):
    line = np.arange(30.0 * size)
    past, ahead = line[: 20 * size], line[None, 20 * size :]
    fine = fine_paths(ahead[:, :size], block_means(ahead[0], size)[None], past)
    assert np.allclose(fine, ahead[:, :-size])


@given(SIZES, SEEDS)
def test_the_first_block_is_that_of_the_fine_forecast(size, seed):
    near, means = forecast(5, 4, size, seed)
    fine = fine_paths(near, means, walk(size * 20, seed))
    assert fine.shape == (5, 3 * size)
    assert np.array_equal(np.unique(fine[:, :size], axis=0), np.unique(near, axis=0))
    assert np.array_equal(fine[:, :size].mean(axis=1).argsort(), means[:, 0].argsort())


@given(SIZES, SEEDS, st.floats(1e-3, 1e3), st.floats(-1e6, 1e6))
def test_fine_paths_do_not_depend_on_units(size, seed, factor, level):
    near, means = forecast(5, 4, size, seed)
    past = walk(size * 30, seed)
    there = lambda x: factor * x + level  # noqa: E731
    fine, other = fine_paths(near, means, past), fine_paths(there(near), there(means), there(past))
    close = np.isclose(there(fine), other, rtol=1e-6, atol=1e-6 * factor)
    assert close.mean() > 0.9  # a draw between blocks that are nearly alike may fall otherwise


@given(SIZES, SEEDS)
def test_fine_paths_of_a_series_of_blocks_are_those_blocks(size, seed):
    wiggle = np.arange(size) - (size - 1) / 2
    past = 7 + np.tile(wiggle, 20)
    fine = fine_paths(np.tile(7 + wiggle, (3, 1)), np.full((3, 5), 7.0), past)
    assert np.allclose(fine, 7 + np.tile(wiggle, 4))


def test_fine_paths_vary_as_the_past_does():
    rng = np.random.default_rng(0)
    past = rng.normal(size=6 * 300)
    fine = refine(rng.normal(size=(200, 6)), np.zeros((200, 21)), past, rng)
    assert np.allclose(fine.std(), past.std(), rtol=0.1)


@pytest.mark.parametrize("size", [4, 12, 60])
def test_random_walks_are_hardly_rougher_between_blocks_than_inside_of_them(size):
    near, means = forecast(50, 9, size, seed=1)
    steps = np.abs(np.diff(fine_paths(near, means, walk(400 * size)), axis=1))
    between = np.arange(1, 8 * size) % size == 0
    inside = steps[:, ~between].mean()
    assert abs(inside - np.sqrt(2 / np.pi)) < 0.1
    assert steps[:, between].mean() < 2.5 * inside


def test_points_are_quiet_where_the_past_was_quiet_at_that_level():
    rng = np.random.default_rng(0)
    night = np.repeat(np.arange(300) % 24 < 12, 6)
    past = np.where(night, 0.0, 100 + 10 * rng.normal(size=1800))
    means = np.where(np.arange(12, 37) % 24 < 12, 0.0, 100.0)
    near = np.full((20, 6), 100.0)
    fine = refine(near, np.tile(means, (20, 1)), past, rng).reshape(20, 24, 6)
    assert np.mean(fine[:, 12:23] == 0) > 0.9
    assert fine[:, 1:11].std() > 5


@given(st.integers(0, 143), st.integers(1, 300), SEEDS)
def test_a_time_of_day_that_never_changes_stays_as_it_is(rest, horizon, seed):
    time = np.arange(144 * 20 + rest + horizon) % 144
    night = (time < 40) | (time > 120)
    series = np.where(night, 0.0, np.random.default_rng(seed).normal(size=len(time)))
    found = daily_constants(series[:-horizon], 144, horizon)
    inside = ((time < 34) | (time > 126))[-horizon:]  # an hour from the others
    assert np.all(found[inside] == 0)
    assert np.isnan(found[~inside]).all()


def test_no_time_of_day_is_constant_in_a_short_past_or_without_days():
    assert np.isnan(daily_constants(np.zeros(24 * 13), 24, 5)).all()
    assert np.isnan(daily_constants(np.zeros(24 * 13), 0, 5)).all()
    assert np.all(daily_constants(np.zeros(24 * 14), 24, 5) == 0)


def test_a_time_of_day_is_constant_if_it_was_known_every_day():
    past = np.zeros(24 * 14)
    past[[5, 40]] = np.nan
    past[5::24] = np.nan  # the hours around it tell
    assert np.all(daily_constants(past, 24, 30) == 0)
    past[:24] = np.nan  # a day of which nothing is known
    assert np.isnan(daily_constants(past, 24, 24)).all()


def test_later_means_follow_the_first_as_far_as_they_depend_on_it():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(20_000, 5))
    for means, slope in ((noise.cumsum(axis=1), 1.0), (noise, 0.0)):
        near, joined = join(means[:, :1] + 3 + np.zeros((1, 4)), means)
        assert np.allclose(joined[:, 0], near.mean(axis=1))
        assert np.allclose((joined - means)[:, 1:], 3 * slope, atol=0.1)


def test_paths_without_spread_are_joined_as_they_are():
    near, means = join(np.full((3, 4), 5.0), np.full((3, 2), 4.0))
    assert np.array_equal(near, np.full((3, 4), 5.0))
    assert np.array_equal(means, np.full((3, 2), 4.0))


@pytest.mark.parametrize(
    "past", [np.where(np.arange(40) % 4, np.nan, 1.0), np.array([5.0]), np.full(8, 5.0)]
)
def test_fine_paths_with_little_to_go_by_are_the_lines_between_the_means(past):
    fine = fine_paths(np.full((1, 4), 1.0), np.array([[1.0, 2.0, 2.0]]), past)
    assert np.allclose(fine[0], [1, 1, 1, 1, 1.625, 1.875, 2, 2])
