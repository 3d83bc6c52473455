"""Series whose rows are numbered, or stamped with the time since a start."""

import numpy as np
import pandas as pd
import pytest

from lagllama_jax.errors import DataError
from lagllama_jax.series.dataframe import read_frame


def read(times, freq=None):
    frame = pd.DataFrame({"unique_id": "a", "ds": times, "y": np.arange(len(times), dtype=float)})
    return read_frame(frame, freq=freq)


@pytest.mark.parametrize(
    ("times", "freq", "following"),
    [
        (range(1, 61), None, [61, 62]),
        (range(1, 61), 1, [61, 62]),
        (range(1, 61), "1", [61, 62]),
        (np.arange(60) * 10, None, [600, 610]),
        (range(1801, 1861), 1, [1861, 1862]),
        (np.arange(60) / 2, None, [30.0, 30.5]),
        (np.cumsum([0.1] * 60), None, [6.1, 6.2]),
        (pd.to_timedelta(range(60), unit="s"), None, pd.to_timedelta([60, 61], unit="s")),
    ],
)
def test_numbers_are_continued_with_a_neutral_calendar(times, freq, following):
    series = read(times, freq)
    assert not series.dated
    np.testing.assert_array_equal(series.targets[0][0], np.arange(60))
    found, expected = (
        np.asarray(part.as_unit("ns") if isinstance(part, pd.TimedeltaIndex) else part)
        for part in (pd.Index(series.positions(0, 0, 2)), following)
    )
    np.testing.assert_allclose(found.astype(float), expected.astype(float))
    assert series.take([0]).positions(0, 0, 1)[0] == series.positions(0, 0, 1)[0]


def test_numbers_without_a_row_are_missing_values():
    series = read([1, 2, 3, 4, 6, 7])
    np.testing.assert_array_equal(series.targets[0][0], [0, 1, 2, 3, np.nan, 4, 5])


def test_series_may_begin_at_different_numbers():
    parts = [pd.DataFrame({"unique_id": n, "ds": range(n, n + 5), "y": 1.0}) for n in (3, 8)]
    series = read_frame(pd.concat(parts))
    assert [series.positions(item, 0, 1)[0] for item in (0, 1)] == [8, 13]


@pytest.mark.parametrize(
    ("times", "freq", "message"),
    [
        ([1, 1, 2], None, "Duplicate time stamp"),
        ([1, 2, 3, 1000, 5000], None, "rows fill 0%.*freq=1"),
        (range(60), 2, r"no common step .2.: series 'a', row 1 of the frame .1. is off"),
        (range(60), 0, "must be above 0"),
        (range(60), "h", "holds numbers that are no dates.*Give freq=1"),
        ([1, 2, np.nan], None, "row 2 of the frame: 'nan' is no number"),
        (pd.date_range("2024", periods=5), 1, "row 0 of the frame: '2024-01-01 .* is no number"),
    ],
)
def test_what_is_no_regular_numbering_is_refused(times, freq, message):
    with pytest.raises(DataError, match=message):
        read(times, freq)


def test_years_are_dates_unless_they_are_told_to_be_numbers():
    assert str(read(range(1801, 1861)).frequency) == "YS-JAN"
    assert not read(range(1801, 1861), freq=1).dated
