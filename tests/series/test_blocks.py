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
    detail_deviation,
    last_blocks,
)

SIZES = st.integers(2, 12)
SEEDS = st.integers(0, 2**32 - 1)
STEPS = st.sampled_from([1, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 86_400, np.inf])


def walk(points, seed=0):
    return np.random.default_rng(seed).normal(size=points).cumsum()


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


@given(SIZES, st.floats(-1e6, 1e6), st.floats(1e-3, 1e3), SEEDS)
def test_the_deviation_from_lines_follows_the_unit_and_not_the_level(size, level, factor, seed):
    past = walk(size * 30, seed)
    found = detail_deviation(past, size, 0, 5)
    other = detail_deviation(factor * past + level, size, 0, 5)
    np.testing.assert_allclose(other, factor * found, rtol=1e-5, atol=1e-6 * factor)


def test_points_of_a_line_do_not_deviate_and_noise_does():
    assert np.allclose(detail_deviation(np.arange(600.0), 6, 144, 9), 0, atol=1e-6)
    noise = np.random.default_rng(0).normal(size=6000)
    assert np.allclose(detail_deviation(noise, 6, 0, 3), noise.std(), rtol=0.15)
    assert detail_deviation(noise[:11], 6, 0, 3).tolist() == [0, 0, 0]
    assert detail_deviation(np.full(600, np.nan), 6, 0, 3).tolist() == [0, 0, 0]


@given(st.integers(0, 143), st.integers(1, 300), SEEDS)
def test_points_deviate_as_they_did_at_their_time_of_day(rest, horizon, seed):
    time = np.arange(144 * 20 + rest + horizon) % 144
    quiet = (time < 60) | (time > 100)
    noise = np.random.default_rng(seed).normal(size=len(time))
    found = detail_deviation(np.where(quiet, 0.0, noise)[:-horizon], 6, 144, horizon)
    ahead = time[-horizon:]
    assert found.shape == (horizon,)
    assert (found[(ahead < 48) | (ahead > 112)] < 1e-9).all()  # two blocks from the noise
    assert (found[(ahead > 66) & (ahead < 94)] > 0.2).all()


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
