import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from lagllama_jax.corpus.formats import read
from lagllama_jax.errors import DataError

TAXI = "timestamp,value\n2020-01-01 00:00:00,1\n2020-01-01 00:05:00,2\n2020-01-01 00:10:00,3\n"


def records(folder, text, format, name="a.csv"):
    (folder / name).write_text(text)
    return list(read(folder / name, format))


@settings(max_examples=25)
@given(
    st.sampled_from(["s", "15min", "h", "D", "W-MON", "MS", "YS-JAN"]),
    st.sets(st.integers(1, 11), min_size=3),
)
def test_rows_left_out_of_a_wide_file_are_missing_values(tmp_path_factory, alias, present):
    present = sorted({0, 1, 2, 3, 4, 5, *present})  # 5 is a Saturday: days, not business days
    stamps = pd.date_range("2020-01-06", periods=present[-1] + 1, freq=alias)
    rows = "\n".join(f"{stamps[i]},{i},{-i}.5" for i in present)
    folder = tmp_path_factory.mktemp("wide")
    up, down = records(folder, f"date,up,down\n{rows}\n", "wide")
    expected = np.full(present[-1] + 1, np.nan)
    expected[present] = present
    np.testing.assert_array_equal(up.target[0], expected)
    np.testing.assert_array_equal(down.target[0], -expected - np.where(expected == 0, -0.5, 0.5))
    assert up.start == stamps[0]
    assert len(pd.date_range(up.start, periods=2, freq=up.frequency.alias)) == 2


@pytest.mark.parametrize(
    ("format", "text", "message"),
    [
        ("nab", TAXI.replace("value", "count"), "a.csv: the first line is not 'timestamp,value'"),
        ("nab", TAXI.replace(",2", ",two"), "line 3 of .*a.csv: 'two' is not a number"),
        (
            "nab",
            TAXI.replace(",2", ",2,3"),
            "a.csv: line 3 has more cells than there are column names",
        ),
        (
            "nab",
            TAXI.replace(",1", ",1,3"),
            "a.csv: line 2 has more cells than there are column names",
        ),
        (
            "nab",
            TAXI.replace("00:05:00", "yesterday"),
            "line 3 .*yesterday' is no time",
        ),
        ("nab", TAXI.replace("00:05", "00:00"), "line 2 of .*a.csv .* and line 3 of .*a.csv"),
        ("nab", TAXI.replace(",3", ",inf"), "line 4 of .*a.csv: 'inf' is infinite"),
        ("nab", "timestamp,value\n", "No rows in .*a.csv"),
        ("wide", "date,x,x\n2020,1,2\n", "Column 'x' occurs twice in .*a.csv"),
        ("wide", "2020-01-01,1,2\n2020-01-02,1,2\n", "Line 1 of .*a.csv looks like data"),
        ("wide", "date,x\n2020-01-01,1\n2020-01-02,1\n\n2020-01-03,z\n", "line 5 of .*a.csv: 'z'"),
        ("lstnet", "1,2\n\n3,x\n", "line 3 of .*a.csv: 'x' is not a number"),
        ("lstnet", "1,2\n3,4,5\n", "a.csv: line 2 has more cells"),
        ("prsa", "No,year,month,day,PM\n1,2020,1,1,5\n", "lacks one of year, month, day, hour"),
        (
            "prsa",
            "year,month,day,hour,PM\n2020,13,1,0,5\n",
            "line 2 of .*'2020-13-01 00:00' is no",
        ),
        (
            "prsa",
            "year,month,day,hour,PM\n2020,1,1,,5\n",
            "line 2 of .*'2020-01-01 0.:00' is no",
        ),
        ("air_quality", "Date,Time,x\n1,2,3\n", "does not begin with 'Date;Time;'"),
        (
            "air_quality",
            "Date;Time;x;;\n2020-13-01;00.00.00;1;;\n",
            "line 2 of .*csv: .*is no time",
        ),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path, format, text, message):
    with pytest.raises(DataError, match=message):
        records(tmp_path, text, format)


def test_a_row_off_the_grid_is_named_with_its_line(tmp_path):
    stamps = pd.date_range("2020-01-01", periods=40, freq="5min").to_list()
    stamps[20] += pd.Timedelta(17, unit="s")
    rows = "\n".join(f"{stamp},1" for stamp in stamps)
    with pytest.raises(DataError, match="line 22 of .*a.csv .*is off the grid"):
        records(tmp_path, f"timestamp,value\n{rows}\n", "nab")


@pytest.mark.parametrize("ending", ["", ";;", ";;,,,,,"])
def test_air_quality_lines_may_end_in_empty_fields_and_commas(tmp_path, ending):
    text = f"Date;Time;CO(GT);T{ending}\n10/03/2004;18.00.00;2,6;-200{ending}\n"
    text += f"10/03/2004;19.00.00;-200;13,5{ending}\n;;;{ending}\n"
    carbon, temperature = records(tmp_path, text, "air_quality")
    np.testing.assert_array_equal(carbon.target[0], [2.6, np.nan])
    np.testing.assert_array_equal(temperature.target[0], [np.nan, 13.5])
    assert (str(carbon.start), str(carbon.frequency)) == ("2004-03-10 18:00:00", "h")


def test_rows_without_any_value_keep_their_place_where_there_are_no_times(tmp_path):
    first, second = records(tmp_path, "1,2\nNaN,?\n3,4\n", "lstnet")
    np.testing.assert_array_equal(first.target, [[1, np.nan, 3]])
    np.testing.assert_array_equal(second.target, [[2, np.nan, 4]])


def test_stations_name_the_items_of_a_prsa_file(tmp_path):
    text = (
        "year,month,day,hour,PM2.5,wd,station\n2013,3,1,0,6,NW,Gucheng\n2013,3,1,1,NA,NA,Gucheng\n"
    )
    (record,) = records(tmp_path, text, "prsa")
    assert record.item_id == "Gucheng/PM2.5"
    np.testing.assert_array_equal(record.target[0], [6, np.nan])
