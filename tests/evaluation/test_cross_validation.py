import numpy as np
import pandas as pd
import pytest

from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.evaluation.baselines import baseline
from lagllama_jax.evaluation.cross_validation import cross_validate


def frame(*lengths: int, names=("unique_id", "ds", "y"), freq: str = "h") -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                names[0]: f"series {number}",
                names[1]: pd.date_range("2024-03-01", periods=length, freq=freq),
                names[2]: np.arange(length) % 24 + 100.0 * number,
            }
        )
        for number, length in enumerate(lengths)
    ]
    return pd.concat(parts)


@pytest.mark.parametrize("freq", ["h", "D", "ME", "B"])
def test_cross_validation_returns_what_came_at_its_own_time(freq):
    df = frame(90, 70, freq=freq)
    table = cross_validate("naive", df, 6, num_windows=3, step=4)
    assert list(table.columns[:5]) == ["unique_id", "ds", "cutoff", "y", "predictions"]
    assert len(table) == 2 * 3 * 6
    joined = table.merge(df, on=["unique_id", "ds"], suffixes=("", "_truth"))
    assert len(joined) == len(table)
    np.testing.assert_array_equal(joined.y, joined.y_truth)


def test_cross_validation_forecasts_from_the_cutoff_and_nothing_later():
    df = frame(90)
    table = cross_validate("naive", df, 6, num_windows=3, step=4)
    assert (table.ds > table.cutoff).all()
    last = df.set_index("ds").y.loc[table.cutoff].to_numpy()
    np.testing.assert_array_equal(table.predictions, last)
    assert (table.groupby("cutoff").ds.min() - table.cutoff.unique() == pd.Timedelta("1h")).all()


def test_cross_validation_keeps_the_names_of_the_users_columns():
    df = frame(60, names=("item_id", "timestamp", "target"))
    table = cross_validate("seasonal_naive", df, 6, quantile_levels=(0.1, 0.9))
    assert list(table.columns) == [
        "item_id", "timestamp", "cutoff", "target", "predictions", "0.1", "0.9",
    ]  # fmt: skip
    np.testing.assert_allclose(table.predictions, table.target)


def test_cross_validation_takes_a_predictor_or_what_makes_one():
    class Model:
        def predictor(self):
            return baseline("naive")

    df = frame(60, 50)
    named = cross_validate("naive", df, 3)
    pd.testing.assert_frame_equal(cross_validate(baseline("naive"), df, 3), named)
    pd.testing.assert_frame_equal(cross_validate(Model(), df, 3), named)


def test_a_window_is_forecast_from_what_precedes_it_and_from_nothing_later(walk_class):
    df = frame(120, 90)
    result = cross_validate(walk_class(), df, 3, num_windows=2)
    changed = df.copy()
    late = changed.groupby("unique_id").cumcount(ascending=False) < 6  # the first window and on
    changed.loc[late, "y"] += 100.0
    other = cross_validate(walk_class(), changed, 3, num_windows=2)
    first = result.cutoff == result.groupby("unique_id").cutoff.transform("min")
    levels = [f"0.{digit}" for digit in range(1, 10)]
    np.testing.assert_array_equal(result.loc[first, levels], other.loc[first, levels])
    assert (result.loc[~first, levels] != other.loc[~first, levels]).all(axis=None)
    assert (result[levels].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)


def test_numbers_of_numpy_are_taken_for_whole_numbers():
    df = frame(60)
    plain = cross_validate("naive", df, 6, num_windows=2, step=4)
    numpy = cross_validate("naive", df, np.int64(6), num_windows=np.int32(2), step=np.uint8(4))
    pd.testing.assert_frame_equal(plain, numpy)


def test_cross_validation_names_a_series_that_is_too_short():
    with pytest.raises(DataError, match="'series 1'"):
        cross_validate("naive", frame(60, 10), 6, num_windows=2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prediction_length", 0),
        ("prediction_length", 2.5),
        ("num_windows", 0),
        ("num_windows", -1),
        ("num_windows", True),
        ("step", 0),
        ("step", -3),
    ],
)
def test_cross_validation_refuses_what_counts_no_points_or_windows(name, value):
    options = {"prediction_length": 6, name: value}
    with pytest.raises(ConfigError, match=f"{name}={value!r} must be a whole number"):
        cross_validate("naive", frame(60), **options)


@pytest.mark.parametrize("levels", [(1.5,), (0.0,), ()], ids=str)
def test_cross_validation_refuses_levels_that_are_none(levels):
    with pytest.raises(ConfigError, match="Quantile level"):
        cross_validate("naive", frame(60), 6, quantile_levels=levels)


def test_rows_without_dates_are_validated_at_their_numbers():
    table = cross_validate("naive", pd.DataFrame({"ds": range(5, 35), "y": range(30)}), 3, 2)
    assert table.ds.tolist() == [*range(29, 35)]
    assert table.cutoff.tolist() == 3 * [28] + 3 * [31]
    assert (table.y == table.ds - 5).all()


def test_columns_may_have_any_names():
    plain = frame(60, 40)
    named = plain.set_axis(["shop", "day", "sales"], axis=1).assign(price=1.0)
    columns = {"id_column": "shop", "timestamp_column": "day", "target": "sales"}
    wanted = cross_validate("naive", plain, 6, 2)
    found = cross_validate("naive", named, 6, 2, **columns)
    assert [*found.columns[:4]] == ["shop", "day", "cutoff", "sales"]
    np.testing.assert_array_equal(found.to_numpy(), wanted.to_numpy())


@pytest.mark.parametrize("column", ["shop", "day", "sales"])
@pytest.mark.parametrize("name", ["cutoff", "predictions", "0.5"])
def test_columns_are_not_named_like_those_of_the_result(column, name):
    named = frame(60).set_axis(["shop", "day", "sales"], axis=1).rename(columns={column: name})
    columns = dict(zip(("id_column", "timestamp_column", "target"), named.columns, strict=True))
    with pytest.raises(DataError, match=f"'{name}' of the input is named like one of the result"):
        cross_validate("naive", named, 6, quantile_levels=[0.5], **columns)
