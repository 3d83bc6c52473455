"""Numbers as text, in the conventions of all countries."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.errors import DataError
from lagllama_jax.series.dataframe import read_frame
from lagllama_jax.series.number_text import Writing, read_numbers


def numbers_of(texts, decimal=None, separator=None):
    values, bad = read_numbers(
        pa.array(texts, pa.string()), Writing("Column 'x'", decimal, separator)
    )
    assert not bad.any()
    return values.tolist()


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["50.1", "7"], [50.1, 7]),
        (["50,1", "7"], [50.1, 7]),
        (["1.050,5", "987,1"], [1050.5, 987.1]),
        (["1,050.5", "987.1"], [1050.5, 987.1]),
        (["1.234.567", "1.000"], [1234567, 1000]),
        (["0,123", "0,5"], [0.123, 0.5]),
        (["1 050", "987"], [1050, 987]),
        (["1\u202f050,5", "1\u00a01234".replace("1234", "234")], [1050.5, 1234]),
        (["1'050", "1\u2019234"], [1050, 1234]),
        (["50.1%", "7 %"], [50.1, 7]),
        (["$50.10", "-$7"], [50.1, -7]),
        (["1.050,10 \u20ac", "7 \u20ac"], [1050.1, 7]),
        (["(50.10)", "7"], [-50.1, 7]),
        (["($50)", "$7"], [-50, 7]),
        (["\u221250.1", "+7"], [-50.1, 7]),
        (["1e3", "1,5E-2"], [1000, 0.015]),
        (["TRUE", "false"], [1, 0]),
        (["12,34,567.5", "987.1"], [1234567.5, 987.1]),
        (["1\u20191234\u2019567".replace("1234", "234"), "987"], [1234567, 987]),
        (["1 234 567,5", "987,1"], [1234567.5, 987.1]),
        (["5.50-", "7"], [-5.5, 7]),
        (["\uff0d5.5", "\uff17"], [-5.5, 7]),
        (["50.1 kWh", "7 kWh"], [50.1, 7]),
        (["21 \u00b0C", "-7 \u00b0C"], [21, -7]),
        (["EUR 1.050,50", "EUR 7"], [1050.5, 7]),
        (["R$ 50,10", "-R$ 7,00"], [50.1, -7]),
        (["\u20b912,34,567", "\u20b97"], [1234567, 7]),
    ],
)
def test_a_column_is_read_by_one_convention(texts, values):
    assert numbers_of(texts) == values


@pytest.mark.parametrize(
    "missing",
    ["", " ", ".", "?", "-", "NA", "n/a", "NULL", "#N/A", None, "n.a.", ":", "\u2026", "#DIV/0!"],
)
def test_usual_words_for_missing_values_are_no_numbers(missing):
    np.testing.assert_array_equal(numbers_of(["1.5", missing, "2"]), [1.5, np.nan, 2])


@pytest.mark.parametrize(("mark", "told"), [(".", r"\."), (",", ",")])
def test_groups_of_three_digits_beside_short_numbers_are_thousands(mark, told):
    with pytest.warns(UserWarning, match=f"Column 'x': '1{told}050' was read as 1050.*decimal="):
        assert numbers_of([f"1{mark}050", "987", "12", "800"]) == [1050, 987, 12, 800]


def test_fixed_decimals_are_no_thousands():
    assert numbers_of(["1.050", "987.123", "3.141"]) == [1.05, 987.123, 3.141]
    assert numbers_of(["1.050", "987.123", "1234"]) == [1.05, 987.123, 1234]
    with pytest.warns(UserWarning, match="'1,050' was read as 1.050"):
        assert numbers_of(["1,050", "987,123"], separator=";") == [1.05, 987.123]


def test_what_may_be_thousands_or_decimals_is_refused_unless_told():
    with pytest.raises(DataError, match="'1,050' is 1050 with a decimal point, and 1.050 with"):
        numbers_of(["1,050", "1,234"])
    assert numbers_of(["1,050", "1,234"], ",") == [1.05, 1.234]
    assert numbers_of(["1,050", "1,234"], ".") == [1050, 1234]
    with pytest.raises(DataError, match="decimal mark should be"):
        numbers_of(["1"], "x")


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (["50.1", "50,1"], 1),
        (["$1", "\u20ac1"], 0),
        (["1%", "1"], 0),
        (["1", "5 kWh"], 1),
        (["0x1F", "1"], 0),
        (["12:30", "1"], 0),
        (["5 kWh", "5 MWh"], 0),
        (["SKU 1", "SKU 2"], 0),
        (["Q1", "Q2"], 0),
        (["1", "<0.5"], 1),
        (["1", "yes"], 1),
    ],
)
def test_cells_that_do_not_fit_the_column_are_found(texts, first):
    _, bad = read_numbers(pa.array(texts), Writing())
    assert int(np.argmax(bad)) == first and bad.any()


@given(st.lists(st.floats(-1e9, 1e9), min_size=1), st.sampled_from([".", ","]))
def test_any_numbers_are_read_back_in_either_convention(values, decimal):
    texts = [repr(value).replace(".", decimal) for value in values]
    assert numbers_of(texts, decimal) == values


def column_of(values, **options):
    return pd.DataFrame({"ds": pd.date_range("2024", periods=len(values)), "y": values}, **options)


@pytest.mark.parametrize(
    "dtype",
    ["Int64", "Float32", "int64[pyarrow]", "string", "string[pyarrow]", "category", "Sparse[float]"]
    + ["decimal", "decimal objects", "object"],
)
def test_a_target_of_any_type_keeps_its_gap(dtype):
    from decimal import Decimal

    values = pd.Series([5, None, 7], dtype="Int64")
    if dtype.startswith("decimal"):
        money = pd.ArrowDtype(pa.decimal128(12, 2)) if dtype == "decimal" else object
        cells = pd.Series([Decimal("5.00"), None, Decimal("7.00")], dtype=money)
    elif dtype.startswith("Sparse"):
        cells = pd.Series(pd.arrays.SparseArray([5.0, np.nan, 7.0]))
    else:
        cells = values.astype(dtype)
    series = read_frame(column_of(cells), freq="D")
    np.testing.assert_array_equal(series.targets[0][0], [5, np.nan, 7])


@pytest.mark.parametrize("dtype", ["boolean", "bool[pyarrow]", object])
def test_booleans_are_one_and_zero(dtype):
    series = read_frame(column_of(pd.Series([True, None, False], dtype=dtype)), freq="D")
    np.testing.assert_array_equal(series.targets[0][0], [1, np.nan, 0])


def test_durations_are_refused_with_the_way_to_convert_them():
    lengths = pd.Series(pd.to_timedelta([1, 2, 3], unit="min"))
    for cells in (lengths, lengths.astype(pd.ArrowDtype(pa.duration("ns")))):
        with pytest.raises(DataError, match="'y' of the frame holds durations.*total_seconds"):
            read_frame(column_of(cells))


def test_a_number_that_often_means_missing_is_told():
    frame = pd.DataFrame({"ds": pd.date_range("2024", periods=60), "y": np.arange(60.0)})
    frame.loc[[7, 9], "y"] = -9999
    with pytest.warns(UserWarning, match="Column 'y' of the frame: -9999 occurs 2 times"):
        read_frame(frame)
    frame["y"] = -1000.0 * np.arange(1, 61)
    frame.loc[7, "y"] = -9999
    read_frame(frame)
