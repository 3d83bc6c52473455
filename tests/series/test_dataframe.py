import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.errors import DataError
from lagllama_jax.series.dataframe import read_frame


def long_frame(**lengths: int) -> pd.DataFrame:
    """Hourly series of given lengths whose values are 0, 1, 2, ..."""
    parts = [
        pd.DataFrame(
            {
                "item_id": name,
                "timestamp": pd.date_range("2024-01-01", periods=length, freq="h"),
                "target": np.arange(length, dtype=float),
            }
        )
        for name, length in lengths.items()
    ]
    return pd.concat(parts, ignore_index=True)


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(3, 40), min_size=1, max_size=6))
def test_any_order_of_rows_gives_the_same_series_with_nan_for_missing_rows(seed, lengths):
    random = np.random.default_rng(seed)
    frame = long_frame(**{f"s{i}": length for i, length in enumerate(lengths)})
    edges = frame.groupby("item_id").timestamp
    edge = (frame.timestamp == edges.transform("min")) | (frame.timestamp == edges.transform("max"))
    kept = frame[edge | (random.random(len(frame)) < 0.7)]
    shuffled = kept.sample(frac=1, random_state=seed)
    series = read_frame(shuffled, freq="h")
    assert sorted(series.item_ids) == sorted(frame.item_id.unique())
    for name, values in zip(series.item_ids, series.targets, strict=True):
        rows = kept[kept.item_id == name].target.to_numpy()
        wanted = np.full(int(rows.max()) + 1, np.nan)
        wanted[rows.astype(int)] = rows
        np.testing.assert_array_equal(values[0], wanted)


def test_series_come_in_the_order_in_which_they_first_appear():
    series = read_frame(long_frame(b=5, a=3, c=4))
    assert series.item_ids == ["b", "a", "c"]
    assert series.lengths.tolist() == [5, 3, 4]
    assert series.frequency.alias == "h"


def test_nixtla_names_are_recognised_and_kept():
    frame = long_frame(a=4).rename(
        columns={"item_id": "unique_id", "timestamp": "ds", "target": "y"}
    )
    with pytest.warns(UserWarning, match="columns extra are left out.*'y'"):
        series = read_frame(frame.assign(extra="text"))
    assert (series.id_column, series.timestamp_column) == ("unique_id", "ds")
    assert series.targets[0][0].tolist() == [0, 1, 2, 3]


def test_columns_of_other_names_can_be_told():
    frame = long_frame(a=4, b=3).rename(
        columns={"item_id": "shop", "timestamp": "when", "target": "n"}
    )
    series = read_frame(frame, id_column="shop", timestamp_column="when", target="n")
    assert series.item_ids == ["a", "b"]


def test_names_of_columns_may_be_in_any_case_and_dates_under_any_name():
    frame = long_frame(a=4).rename(columns={"item_id": "Item_ID", "target": "Target"})
    assert read_frame(frame.rename(columns={"timestamp": "Week"})).item_ids == ["a"]
    text = pd.DataFrame({"Week": ["2024-01-01", "2024-01-08", "2024-01-15"], "n": [1, 2, 3]})
    assert read_frame(text).frequency.alias == "W-MON"


def test_names_that_are_numbers_stay_numbers_in_labels():
    frame = long_frame(a=3, b=3)
    series = read_frame(frame.assign(item_id=frame.item_id.map({"a": 7, "b": 8})))
    assert series.item_ids == ["7", "8"]
    assert list(series.labels) == [7, 8]


def test_a_single_series_needs_no_names():
    series = read_frame(long_frame(a=4).drop(columns="item_id"))
    assert series.item_ids == ["target"]


def test_a_wide_frame_has_one_series_a_column():
    dates = pd.date_range("2024-01-01", periods=6, freq="D")
    values = np.arange(12.0).reshape(6, 2)
    values[0, 1] = np.nan
    by_index = pd.DataFrame(values, index=dates, columns=["a", "b"])
    by_column = by_index.reset_index(names="Date")
    text_dates = by_column.assign(Date=by_column.Date.dt.strftime("%Y-%m-%d"))
    for frame in (by_index, by_column, text_dates, by_column.drop(index=2).sample(frac=1)):
        series = read_frame(frame)
        assert series.item_ids == ["a", "b"]
        assert series.frequency.alias == "D"
        assert series.lengths[0] == 6
    np.testing.assert_array_equal(read_frame(by_index).targets[1][0], values[:, 1])


def test_a_dated_pandas_series_is_one_series():
    dates = pd.date_range("2024-01-31", periods=5, freq="ME")
    series = read_frame(pd.Series(range(5), index=dates, name="sales"))
    assert (series.item_ids, series.frequency.alias) == (["sales"], "ME")


def test_periods_tell_their_frequency():
    periods = pd.period_range("2024Q1", periods=1, freq="Q")
    series = read_frame(pd.Series([1.0], index=periods, name="sales"))
    assert series.frequency.alias == "QS-JAN"  # quarters, written by their first day
    assert series.timestamps(0, 0, 1)[0] == pd.Timestamp("2024-04-01")


def test_item_and_time_may_be_levels_of_the_index():
    frame = long_frame(a=4, b=3).set_index(["item_id", "timestamp"])
    assert read_frame(frame).item_ids == ["a", "b"]


@pytest.mark.parametrize("convert", [pl.from_pandas, lambda f: pl.from_pandas(f).lazy(), "arrow"])
def test_polars_and_arrow_frames_are_read_like_pandas(convert):
    frame = long_frame(a=5, b=3)
    other = pl.from_pandas(frame).to_arrow() if convert == "arrow" else convert(frame)
    wanted, series = read_frame(frame), read_frame(other)
    assert series.item_ids == wanted.item_ids
    np.testing.assert_array_equal(np.hstack(series.targets), np.hstack(wanted.targets))


def test_time_zones_are_kept_and_the_local_clock_counts():
    dates = pd.date_range("2024-03-30 20:00", periods=10, freq="h", tz="Europe/Berlin")
    series = read_frame(pd.DataFrame({"ds": dates, "y": range(10)}))
    assert series.timestamps(0, 0, 1)[0] == dates[-1] + pd.Timedelta(hours=1)
    assert str(series.starts[0].tz) == "Europe/Berlin"
    assert series.timestamps(0, -10, 12).hour.tolist() == [20, 21, 22, 23, 0, 1, 3, 4, 5, 6, 7, 8]


def test_time_stamps_reach_back_beyond_a_short_series():
    stamps = read_frame(long_frame(a=3)).timestamps(0, -30, 32)
    assert len(stamps) == 32 and stamps[-1] == pd.Timestamp("2024-01-01 04:00")


def test_text_with_several_offsets_becomes_universal_time():
    frame = pd.DataFrame(
        {"ds": ["2024-03-31T01:00+01:00", "2024-03-31T03:00+02:00"], "y": [1.0, 2.0]}
    )
    series = read_frame(frame)
    assert (series.frequency.alias, str(series.starts[0].tz)) == ("h", "UTC")


def test_years_and_days_may_be_written_as_numbers():
    yearly = read_frame(pd.DataFrame({"ds": [1999, 2000, 2001], "y": [1.0, 2.0, 3.0]}))
    daily = read_frame(pd.DataFrame({"ds": [20240228, 20240229, 20240301], "y": [1.0, 2.0, 3.0]}))
    assert (yearly.frequency.alias, daily.frequency.alias) == ("YS-JAN", "D")


def test_a_series_of_one_point_is_read_where_the_frequency_is_known():
    series = read_frame(long_frame(a=4, b=1))
    assert series.lengths.tolist() == [4, 1]
    assert len(read_frame(long_frame(b=1), freq="h")) == 1


def test_a_thousand_series_of_many_lengths_are_read_in_one_call():
    frame = long_frame(**{f"s{i}": 20 + i % 100 for i in range(1000)})
    series = read_frame(frame.sample(frac=1, random_state=0), freq="h")
    lengths = dict(zip(series.item_ids, series.lengths, strict=True))
    assert lengths == {f"s{i}": 20 + i % 100 for i in range(1000)}


def bad(change) -> pd.DataFrame:
    frame = long_frame(a=6, b=6).astype({"target": object})
    changed = change(frame)
    return frame if changed is None else changed


def put(row: int, column: str, value: object):
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.astype({column: object})
        frame.loc[row, column] = value
        return frame

    return change


def with_units(*units: str):
    return lambda frame: frame.assign(target=[f"1{units[row % 2]}" for row in range(len(frame))])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.iloc[:0], "No rows in the frame"),
        (
            lambda f: f.rename(columns={"target": "value"}).assign(other=1),
            "No target column.*value, other.*target",
        ),
        (lambda f: f[["item_id", "target"]], "No timestamp column.*columns are item_id, target"),
        (lambda f: f[["timestamp"]], "No column of values"),
        (lambda f: pd.concat([f, f.target], axis=1), "Column 'target' occurs twice"),
        (put(8, "timestamp", "soon"), "'b', column 'timestamp', row 8.*'soon' is no time.*delete"),
        (put(8, "timestamp", None), "'b', column 'timestamp', row 8.*the cell is empty.*delete"),
        (
            put(8, "timestamp", pd.Timestamp("2024-01-01")),
            "Duplicate.*'b', row 6.*and .*row 8.*id_col",
        ),
        (put(8, "target", "many"), "Series 'b', column 'target', row 8.*'many' is not a number"),
        (put(8, "target", float("inf")), "Series 'b', column 'target', row 8.*infinite.*NaN"),
        (put(8, "target", -float("inf")), "Series 'b', column 'target', row 8.*infinite"),
        (put(8, "item_id", None), "Column 'item_id', row 8.*no name"),
        (
            lambda f: f.assign(item_id=f.item_id.map({"a": 1, "b": "1"}).astype(object)),
            "Two series of the frame have the name '1'",
        ),
        (
            lambda f: pd.DataFrame({"day": f.timestamp[:6], 1: 1.0, "1": 2.0}),
            "Two series of the frame have the name '1'",
        ),
        (lambda f: f.assign(target=f.target.where(f.item_id == "a")), "Series 'b' has no value"),
        (lambda f: f.assign(timestamp=0.5), "Duplicate time stamp: series 'a', row 0"),
        (lambda f: f.assign(target=f.timestamp), "column 'target'.*not a number"),
        (with_units(" kW", " MW"), "'1 kW' is not a number, as the units MW, kW occur.*one unit"),
        (with_units(" kW", ""), "'1 kW' is not a number, as the unit kW is in some of the cells"),
        (
            lambda f: f.rename(columns={"item_id": "shop", "target": "sales"}).assign(
                sales=f.target.astype(object).where(f.index != 8, "many")
            ),
            "column 'shop', row 0.*'a' is not a number, nor is any other.*id_column='shop'",
        ),
        (lambda f: f[f.index % 6 == 0], "one time stamp per series.*freq='h'"),
        (lambda f: "frame", "Expected a data frame, not str"),
    ],
)
def test_bad_input_is_named_with_series_column_row_and_remedy(change, message):
    with pytest.raises(DataError, match=message):
        read_frame(bad(change))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"target": "x"},
            "No target column 'x'.*its columns are item_id, timestamp, target",
        ),
        ({"id_column": "x"}, "No id column 'x'"),
        ({"timestamp_column": "x"}, "No timestamp column 'x'"),
        (
            {"freq": "D"},
            r"Frequency 'D' does not fit: series 'a', row 1 of the frame \(2024-01-01 01",
        ),
        ({"freq": "hourly"}, "'hourly' is not a frequency"),
    ],
)
def test_options_that_do_not_fit_the_frame_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        read_frame(long_frame(a=6, b=6), **options)


def test_series_of_business_days_among_daily_ones_are_named():
    days = {name: pd.date_range("2024-01-01", periods=30, freq=name) for name in ("D", "B")}
    parts = [pd.DataFrame({"unique_id": n, "ds": d, "y": np.arange(30.0)}) for n, d in days.items()]
    with pytest.warns(UserWarning, match="1 of 2 series, such as 'B', have no row at a weekend"):
        dataset = read_frame(pd.concat(parts))
    assert str(dataset.frequency) == "D"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_frame(pd.concat(parts), freq="D")
        read_frame(pd.concat([parts[1], parts[1].assign(unique_id="third")]))


def test_text_in_a_column_of_a_wide_frame_is_named():
    frame = pd.DataFrame(
        {"date": pd.date_range("2024", periods=3), "a": [1, 2, 3], "b": list("xyz")}
    )
    with pytest.raises(DataError, match="Series 'b', column 'b', row 0.*'x'.*drop the column"):
        read_frame(frame)


def test_a_whole_column_missing_in_a_wide_frame_is_named():
    frame = pd.DataFrame({"date": pd.date_range("2024", periods=3), "a": [1, 2, 3], "b": np.nan})
    with pytest.raises(DataError, match="Series 'b' has no value at all"):
        read_frame(frame)


def test_the_user_s_frame_is_left_as_it_was():
    frame = long_frame(a=5, b=4).sample(frac=1, random_state=1)
    before = frame.copy(deep=True)
    read_frame(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_several_columns_of_names_are_refused_with_the_remedy():
    frame = long_frame(a=6).assign(product="x")
    with pytest.raises(DataError, match="id column is one .* item_id, product.*Join several"):
        read_frame(frame, id_column=["item_id", "product"], target="target")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "US/Eastern", "Australia/Sydney"])
def test_the_doubled_hour_of_a_local_clock_is_told(zone):
    hours = pd.date_range("2024-01-01", periods=9000, freq="h", tz=zone).tz_localize(None)
    frame = pd.DataFrame({"ds": hours, "y": 1.0})
    with pytest.raises(DataError, match="Duplicate time stamp.*clocks go back.*offset from UTC"):
        read_frame(frame)
    with pytest.raises(DataError, match="Duplicate time stamp.*id_column.\\.$"):
        read_frame(pd.concat([frame[:50], frame[20:21]]))
