"""Tables with one column per time, or per month or hour, become long tables."""

import numpy as np
import pandas as pd
import pytest

from lagllama_jax.errors import DataError
from lagllama_jax.series.dataframe import read_frame
from lagllama_jax.series.delimited import read_delimited

DAYS = pd.date_range("2024-01-01", periods=60)
MONTHS = pd.date_range("2020-01-01", periods=48, freq="MS")
QUARTERS = pd.date_range("2010-01-01", periods=40, freq="QS")
YEARS = pd.date_range("1980-01-01", periods=40, freq="YS")


def read(frame, **options):
    return read_frame(read_delimited(frame.to_csv(index=False).encode(), "data.csv"), **options)


@pytest.mark.parametrize(
    ("times", "layout"),
    [(YEARS, "%Y"), (YEARS, "X%Y"), (YEARS, "%Y [YR%Y]"), (MONTHS, "%b %Y"), (MONTHS, "%b-%y")]
    + [(QUARTERS, "%YQ%q"), (QUARTERS, "Q%q %Y"), (DAYS, "%Y-%m-%d"), (DAYS, "%d/%m/%Y")]
    + [(DAYS, "%m/%d/%y")],
)
@pytest.mark.parametrize("name", ["name", "Country", "date"])
def test_columns_that_are_named_by_times_are_turned(times, layout, name):
    names = times.to_period("Q" if "%q" in layout else "D").strftime(layout)
    values = np.arange(2.0 * len(times)).reshape(2, -1)
    series = read(pd.DataFrame(values, columns=names).assign(**{name: ["a", "b"]}))
    assert (series.item_ids, series.starts[0]) == (["a", "b"], times[0])
    np.testing.assert_array_equal([target[0] for target in series.targets], values)


def test_names_of_series_may_be_numbers_or_in_several_columns():
    values = pd.DataFrame(np.arange(80.0).reshape(2, -1), columns=YEARS.year)
    assert read(pd.concat([pd.DataFrame({"id": [7, 8]}), values], axis=1)).item_ids == ["7", "8"]
    places = pd.DataFrame({"Province": [None, "North"], "Country": "A", "Lat": [1.5, 2.5]})
    with pytest.warns(UserWarning, match="the columns Lat are left out"):
        assert read(pd.concat([places, values], axis=1)).item_ids == ["A", "North/A"]
    with pytest.raises(DataError, match="none of the others has a different name in each row"):
        read(pd.concat([places[["Country"]], values], axis=1))


def test_series_that_are_named_by_numbers_stay_columns():
    frame = pd.DataFrame({"date": DAYS, "sensor 1": 1.0, "sensor 2": 2.0, "sensor 3": 3.0})
    assert read(frame).item_ids == ["sensor 1", "sensor 2", "sensor 3"]
    assert read(frame[["date", "sensor 1"]].assign(**{"2001": 1.0})).item_ids == [
        "sensor 1",
        "2001",
    ]


@pytest.mark.parametrize("names", [[f"{month:%b}" for month in MONTHS[:12]], range(1, 13)])
def test_a_column_per_month_beside_years_is_one_series(names):
    grid = pd.DataFrame(np.arange(48.0).reshape(4, 12), columns=list(names))
    grid.insert(0, "Year", range(2020, 2024))
    with pytest.warns(UserWarning, match="were read as parts of the years in 'Year'"):
        series = read(grid)
    np.testing.assert_array_equal(series.targets[0][0], np.arange(48))
    assert (len(series), series.starts[0], str(series.frequency)) == (1, MONTHS[0], "MS")


@pytest.mark.parametrize("write", ["H{}", "{:02}:00", "{}"])
@pytest.mark.parametrize("first", [0, 1])
def test_a_column_per_hour_beside_days_is_one_series_per_name(write, first):
    names = [write.format(hour) for hour in range(first, first + 24)]
    grid = pd.DataFrame(np.arange(480.0).reshape(20, 24), columns=names)
    grid.insert(0, "date", [*DAYS[:10].strftime("%Y-%m-%d")] * 2)
    grid.insert(0, "meter", np.repeat(["a", "b"], 10))
    with pytest.warns(UserWarning, match="were read as parts of the days in 'date'"):
        series = read(grid)
    np.testing.assert_array_equal(series.targets[1][0], np.arange(240, 480))
    assert (series.item_ids, str(series.frequency)) == (["a", "b"], "h")
    assert series.starts[0] == DAYS[0] + pd.Timedelta(hours=first)


def test_quarters_beside_years_are_one_series():
    grid = pd.DataFrame({"year": range(2010, 2020)} | {f"Q{one}": 1.0 * one for one in range(1, 5)})
    with pytest.warns(UserWarning, match="parts of the years"):
        series = read(grid.assign(total=10.0))
    assert (series.lengths[0], str(series.frequency)) == (40, "QS-JAN")
