import datetime

import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from lagllama_jax.errors import DataError
from lagllama_jax.series.arrays import read_arrays, read_series

NAN = float("nan")


@pytest.mark.parametrize(
    "series",
    [
        [1, None, 3.5],
        (1, NAN, 3.5),
        np.array([1, NAN, 3.5], np.float16),
        jnp.array([1, NAN, 3.5]),
        np.ma.array([1, 2, 3.5], mask=[False, True, False]),
        pd.Series([1, None, 3.5]),
        pd.Series([1, None, 3.5], dtype="Float32"),
        pl.Series([1.0, None, 3.5]),
        [np.array([1, NAN, 3.5])],
        np.array([[1, NAN, 3.5]]),
    ],
    ids=lambda series: type(series).__module__ + type(series).__name__,
)
def test_any_kind_of_numbers_is_one_series(series):
    read = read_arrays(series)
    assert read.item_ids == ["0"]
    np.testing.assert_array_equal(read.targets[0][0], [1, NAN, 3.5])


def test_lists_hold_series_of_any_lengths():
    read = read_arrays([np.arange(5), [1.0], pd.Series([1, 2])], item_ids=["a", "b", "c"])
    assert read.lengths.tolist() == [5, 1, 2]
    assert read.item_ids == ["a", "b", "c"]


def test_starts_and_frequencies_are_one_for_all_or_one_a_series():
    series = [np.arange(3.0), np.arange(4.0)]
    one = read_arrays(series, "2024-01-01", "h")
    each = read_arrays(series, ["2024-01-01", "2020-01-01"], ["h", "D"])
    assert [f.alias for f in one.frequencies] == ["h", "h"]
    assert one.frequency.alias == "h"
    assert each.timestamps(1, 0, 1)[0] == pd.Timestamp("2020-01-05")
    with pytest.raises(DataError, match="several frequencies"):
        _ = each.frequency


def test_series_without_dates_have_no_time_stamps():
    with pytest.raises(DataError, match="no dates: give start and freq"):
        read_arrays(np.arange(3.0)).timestamps(0, 0, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "No series"),
        ((np.zeros((0, 5)),), "No series"),
        (([[1.0], []],), "Series '1' is empty"),
        (([[1.0], [NAN, NAN]],), "Series '1' has no value at all"),
        (([1.0, float("inf")],), "Series '0', position 1 is infinite"),
        ((["a", "b"],), "Series '0'.*is 0-D|Series '0'.*not of numbers"),
        (([[1.0, "x"]],), r"Series '0', position 1 \('x'\), is not of numbers"),
        ((np.zeros((1, 2, 3, 4)),), "4-D"),
        (([np.zeros((2, 3, 4))],), "Series '0' is 3-D"),
        ((5,), "Expected an array"),
        ((pd.DataFrame({"a": [1]}),), "predict_df"),
        (([[1.0]], "2024-01-01"), "start needs freq too"),
        (([[1.0]], None, "h"), "freq needs start too"),
        (([[1.0]], "when", "h"), "Series '0': the start 'when' is no time stamp"),
        (([[1.0]], None, "h", None), "start"),
        (([[1.0]], [pd.NaT], "h"), "Series '0': the start is missing"),
        (([[1.0]], ["2024", "2025"], "h"), "2 start for 1 series"),
        (([[1.0]], "2024", ["h", "h"]), "2 freq for 1 series"),
        (([[1.0]], None, None, ["a", "b"]), "2 item_ids for 1 series"),
    ],
)
def test_bad_arrays_are_named_by_series_and_position(arguments, message):
    with pytest.raises(DataError, match=message):
        read_arrays(*arguments)


DAYS = pd.date_range("2024-01-01", periods=90)


def test_dated_series_in_lists_and_dictionaries_keep_their_dates():
    a, b = (pd.Series(np.arange(90.0), DAYS, name=name) for name in "ab")
    for given in ([a, b], {"a": a, "b": b}, {"a": a.rename(None), "b": b.to_period("D")}):
        series = read_series(given)
        assert series.item_ids == ["a", "b"]
        assert series.timestamps(0, 0, 1)[0] == pd.Timestamp("2024-03-31")
    gap = read_series([a.drop(DAYS[5]), b], item_ids=["x", "y"])
    assert np.isnan(gap.targets[0][0, 5]) and gap.item_ids == ["x", "y"]
    assert read_series([a.rename(None), b.rename(None)]).item_ids == ["0", "1"]
    text = a.set_axis(DAYS.strftime("%Y-%m-%d"))
    assert read_series(text).starts[0] == DAYS[0]


def test_the_keys_of_a_dictionary_of_arrays_are_names():
    series = read_series({"a": [1.0, 2.0], "b": np.ones(3)})
    assert (series.item_ids, series.lengths.tolist()) == (["a", "b"], [2, 3])


def test_entries_of_gluonts_are_read():
    entry = {"start": pd.Period("2024-01-01", "h"), "target": np.ones(5)}
    for given in (entry, [entry], iter([entry, entry | {"item_id": "b"}])):
        series = read_series(given)
        assert series.item_ids[0] == "0"
        assert series.timestamps(0, 0, 1)[0] == pd.Timestamp("2024-01-01 05:00")
    with pytest.raises(DataError, match="'0' needs both start and freq"):
        read_series([{"start": "2024-01-01", "target": [1.0]}])


def test_missing_values_of_pandas_are_missing_in_lists():
    np.testing.assert_array_equal(read_series([1.0, pd.NA, 3.0]).targets[0][0], [1, np.nan, 3])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([pd.Series([1.0], DAYS[:1]), [1.0]], "Series 1 has no dates, and others have"),
        ([pd.DataFrame({"ds": DAYS, "y": 1.0})], "not data frames: join them"),
        ({}, "No series"),
    ],
)
def test_collections_that_hold_something_else_are_refused(given, message):
    with pytest.raises(DataError, match=message):
        read_series(given)


def test_an_array_of_many_short_rows_is_told_to_have_a_series_per_row():
    with pytest.warns(UserWarning, match="read as 90 series of 2 time steps.*transpose"):
        assert len(read_series(np.ones((90, 2)))) == 90
    assert len(read_series(np.ones((20, 9)))) == 20


def test_options_of_tables_are_refused_for_arrays():
    with pytest.raises(DataError, match="dayfirst: only a data frame"):
        read_series([1.0, 2.0], dayfirst=True)


@pytest.mark.parametrize(
    "convert",
    [
        lambda days: days,
        lambda days: days.to_numpy(),
        lambda days: days.tz_localize("UTC"),
        lambda days: pd.Series(days),
        lambda days: [days.to_numpy()],
        lambda days: list(days.to_numpy()),
        lambda days: days - days[0],
        lambda days: pl.Series(list(days)),
    ],
)
def test_dates_and_durations_are_never_read_as_numbers(convert):
    with pytest.raises(DataError, match="not of numbers"):
        read_series(convert(pd.date_range("2024-01-01", periods=20)))


@pytest.mark.parametrize("start", [2024, 20240101, 1704067200, 1704067200.0, np.int64(2024), True])
def test_numbers_are_never_read_as_times_since_1970(start):
    with pytest.raises(DataError, match="Series '0': the start .* is a number.*'2024-01-31'"):
        read_series([1.0, 2.0], start, "D")


@drawn(st.dates(datetime.date(1990, 1, 1), datetime.date(2060, 1, 1)), st.sampled_from("/.-"))
def test_a_start_is_the_date_that_was_written_or_is_refused(day, mark):
    for layout in ("%d{}%m{}%Y", "%m{}%d{}%Y"):
        text = day.strftime(layout.format(mark, mark))
        try:
            start = read_series([1.0, 2.0], text, "D").starts[0]
        except DataError as error:
            assert day.day <= 12 and day.day != day.month
            assert str(day) in str(error)
        else:
            assert start.date() == day


def test_the_order_of_values_is_told_if_it_is_not_that_of_their_index():
    for unordered in ({1.0, 2.0}, frozenset([1.0]), b"12"):
        with pytest.raises(DataError, match="Expected an array"):
            read_series(unordered)
    with pytest.warns(UserWarning, match="index is not ascending.*sort_index"):
        read_series(pd.Series([1.0, 2.0, 3.0], [2, 0, 1]))


def test_dates_that_contradict_each_other_are_refused():
    dated = pd.Series(np.arange(20.0), pd.date_range("2024-01-01", periods=20))
    with pytest.raises(DataError, match="leave out start"):
        read_series(dated, "2023-01-01", "D")
    with pytest.raises(DataError, match="2024-01-06 .* no business day"):
        read_series([1.0, 2.0], "2024-01-06", "B")


def test_names_of_series_are_unique():
    assert read_series([1.0, 2.0], item_ids="shop").item_ids == ["shop"]
    with pytest.raises(DataError, match="item_ids holds '1' twice"):
        read_series([[1.0], [2.0]], item_ids=[1, "1"])


def test_covariates_of_entries_are_left_out_with_a_warning():
    entry = {"target": [1.0, 2.0], "start": "2024-01-01", "freq": "D"}
    with pytest.warns(UserWarning, match="feat_dynamic_real .* left out.*known_covariates"):
        read_series([entry | {"feat_dynamic_real": [[1.0, 2.0, 3.0]]}])


def test_start_and_frequency_are_never_ignored():
    entries = [{"target": [1.0, 2.0]}, {"target": [3.0], "start": "2025-01-01", "freq": "h"}]
    read = read_series(entries, "2024-01-01", "D")
    assert [str(start.date()) for start in read.starts] == ["2024-01-01", "2025-01-01"]
    assert list(map(str, read.frequencies)) == ["D", "h"]
    with pytest.raises(DataError, match="leave out start"):
        read_series(read, "2024-01-01", "D")
