"""Windows of series of any lengths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import DataError
from lagllama_jax.inference.batch import batches, identity, last_points, stack_clocks, windows
from lagllama_jax.model.calendar_features import NEUTRAL_DAY, calendar_features

LENGTH = 7

values = st.one_of(st.floats(-1e18, 1e18), st.just(np.nan))


@given(st.lists(values, min_size=1, max_size=20))
def test_a_window_ends_with_the_series_and_hides_what_is_missing(series):
    points, observed = last_points([np.array(series)], ["a"], LENGTH)
    kept = np.array(series[-LENGTH:])
    padding = LENGTH - kept.size
    assert not observed[0, :padding].any() and not points[0, :padding].any()
    np.testing.assert_array_equal(observed[0, padding:], ~np.isnan(kept))
    known = np.where(np.abs(kept) >= 1e-30, kept, 0).astype(np.float32)
    np.testing.assert_array_equal(points[0, padding:], known)


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ([1.0, np.inf], "'b': value inf at point 1"),
        ([0.0] * 20 + [-1e19, 2.0], "'b': value -1e.19 at point 20"),
        ([], "'b' has shape"),
        ([[1.0, 2.0]], "'b' has shape"),
    ],
)
def test_a_series_that_cannot_be_used_is_named(series, message):
    with pytest.raises(DataError, match=message):
        last_points([np.ones(3), np.array(series)], ["a", "b"], LENGTH)


def test_values_before_the_window_do_not_matter():
    points, _ = last_points([np.array([np.inf] + [1.0] * LENGTH)], ["a"], LENGTH)
    np.testing.assert_array_equal(points, 1)


def test_identity_is_stable_and_tells_names_apart():
    assert identity("T1") == 0xCED08A95 == identity("T1")
    assert len({identity(str(i)) for i in range(10_000)}) == 10_000


def test_clocks_of_another_length_are_refused():
    clock = (np.zeros(5, np.int64), np.zeros(5, np.int64))
    with pytest.raises(DataError, match="5 points; expected 2 series and 3 past points with 4"):
        stack_clocks([clock, clock], 2, 3, 4, 8)
    with pytest.raises(DataError, match="for 1 series"):
        stack_clocks([clock], 2, 3, 2, 8)


def test_batches_hold_every_series_once_and_have_one_shape():
    model = ModelConfig.tiny(context_length=4)
    series = [np.full(3, float(number)) for number in range(5)]
    clocks = [(np.arange(6) + number, np.zeros(6, int)) for number in range(5)]
    everything = windows(series, clocks, list("abcde"), model, 2, 8)
    found = np.full(5, np.nan)
    for rows, past in batches(everything, 2):
        assert past.values.shape == (2, model.past_length)
        assert past.time_features.shape == (2, 12, 6)
        used = rows.stop - rows.start
        found[rows] = past.values[:used, -1]
        days = np.arange(rows.start, rows.stop)[:, None] + np.arange(6)
        expected = calendar_features(days, np.zeros_like(days))
        np.testing.assert_array_equal(past.time_features[:used, :6], expected)
    np.testing.assert_array_equal(found, np.arange(5))


def test_unknown_clocks_give_neutral_features():
    day, second = stack_clocks(None, 2, 3, 4, 8)
    assert (day == NEUTRAL_DAY).all() and not calendar_features(day, second).any()
