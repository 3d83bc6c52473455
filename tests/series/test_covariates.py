import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.errors import DataError
from lagllama_jax.series.arrays import read_series
from lagllama_jax.series.covariates import with_covariates
from lagllama_jax.series.dataframe import read_frame
from lagllama_jax.series.table_files import read_table

DAYS = pd.date_range("2024-01-01", periods=13)
PAST, STEPS = 10, 3


def frame(**columns):
    rows = {"unique_id": "a", "ds": DAYS, "y": np.arange(13.0), "price": np.arange(13) + 0.5}
    return pd.DataFrame(rows | columns)


def split(table, known=("price",), past=PAST):
    keys = [name for name in ("unique_id", "ds") if name in table]
    return table.iloc[:past], table.iloc[past:][[*keys, *known]]


def read(past, future, **options):
    return read_frame(past, future=future, prediction_length=STEPS, **options)


def test_columns_that_are_in_the_future_frame_are_known_covariates_and_others_past_ones():
    dataset = read(*split(frame(load=np.arange(13.0) ** 2)))
    assert dataset.known_names == ("price",)
    np.testing.assert_array_equal(dataset.known_covariates[0], [np.arange(13) + 0.5])
    assert dataset.past_names == ("load",)
    np.testing.assert_array_equal(dataset.past_covariates[0], [np.arange(10.0) ** 2])
    np.testing.assert_array_equal(dataset.targets[0], [np.arange(10.0)])


def test_several_targets_are_the_rows_of_one_item():
    dataset = read(*split(frame(z=-np.arange(13.0))), target=["z", "y"])
    assert dataset.target_names == ("z", "y")
    np.testing.assert_array_equal(dataset.targets[0], [-np.arange(10.0), np.arange(10.0)])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**16), st.integers(1, 4), st.integers(0, 3))
def test_rows_in_any_order_and_beyond_the_horizon_read_the_same(seed, items, beyond):
    rng = np.random.default_rng(seed)
    days = pd.date_range("2024-01-01", periods=PAST + STEPS + beyond)
    parts = [
        pd.DataFrame(
            {"unique_id": f"i{k}", "ds": days, "y": rng.normal(), "x": rng.normal(size=len(days))}
        )
        for k in range(items)
    ]
    past = pd.concat([part.iloc[:PAST] for part in parts])
    future = pd.concat([part.iloc[PAST:] for part in parts])[["unique_id", "ds", "x"]]
    plain = read(past, future)
    mixed = read(past.sample(frac=1, random_state=seed), future.sample(frac=1, random_state=seed))
    for number, name in enumerate(plain.item_ids):
        other = list(mixed.item_ids).index(name)
        assert plain.known_covariates[number].shape == (1, PAST + STEPS)
        np.testing.assert_array_equal(plain.known_covariates[number], mixed.known_covariates[other])


def test_a_horizon_of_one_step_is_read():
    table = frame()
    dataset = read_frame(table.iloc[:12], future=split(table, past=12)[1], prediction_length=1)
    assert dataset.known_covariates[0].shape == (1, 13)


def test_booleans_are_numbers_and_text_has_one_variate_per_level():
    weather = np.array(["sun", "rain", "sun", None] * 3 + ["hail"], dtype=object)
    table = frame(open=[True, False] * 6 + [True], weather=weather)
    with pytest.warns(UserWarning, match="'weather'.*hail .1 of 2 cells.*has sun, rain"):
        dataset = read(*split(table, ("open", "weather")))
    named = dict(zip(dataset.known_names, dataset.known_covariates[0], strict=True))
    assert named["open"].tolist() == [1.0, 0.0] * 6 + [1.0]
    assert named["weather=sun"].tolist() == [1, 0, 1, 0] * 3 + [0]
    assert named["weather=other"].tolist() == [0] * 12 + [1]  # a level that the past has not


def test_levels_do_not_depend_on_the_future():
    table = frame(kind=list("ababababab") + list("xyz"))
    other = frame(kind=list("ababababab") + list("aab"))
    with pytest.warns(UserWarning, match="x, y, z .3 of 3 cells of the future. do not occur"):
        first = read(*split(table, ("kind",)))
    second = read(*split(other, ("kind",)))
    for names in (first.known_names, second.known_names):
        assert set(names) - {"kind=other"} == {"kind=a", "kind=b"}
    np.testing.assert_array_equal(
        first.known_covariates[0][:2, :PAST], second.known_covariates[0][:2, :PAST]
    )


@pytest.mark.parametrize("words", [("1", "0"), ("true", "false"), (1, 0)])
def test_booleans_may_be_written_in_two_ways(words):
    past, future = split(frame(open=[True, False] * 6 + [True]), ("open",))
    future = future.assign(open=[words[not one] for one in future["open"]])
    dataset = read(past, future)
    assert dataset.known_names == ("open",)
    assert dataset.known_covariates[0].tolist() == [[1.0, 0.0] * 6 + [1.0]]


def written(folder, separator, mark, prices, spoil=None):
    """The files of a past and a future, with prices as text."""
    cells = [f"{price:.3f}".replace(".", mark) for price in prices]
    cells[spoil or 0] += "" if spoil is None else "*"
    days = [f"{day:%Y-%m-%d}" for day in DAYS]
    rows = [separator.join(row) for row in zip(days, cells, strict=True)]
    past = [f"{row}{separator}{n}" for n, row in enumerate(rows[:PAST])]
    tables = [f"ds{separator}price{separator}y", *past], [f"ds{separator}price", *rows[PAST:]]
    paths = folder / f"past{separator}{mark}.csv", folder / f"future{separator}{mark}.csv"
    for path, lines in zip(paths, tables, strict=True):
        path.write_text("\n".join(lines) + "\n")
    return paths


PRICES = np.arange(13) / 8 + 1.25


@pytest.mark.parametrize("past", [";,", ",."])
@pytest.mark.parametrize("future", [";,", ",."])
def test_the_future_may_have_another_decimal_mark(tmp_path, past, future):
    files = written(tmp_path, *past, PRICES)[0], written(tmp_path, *future, PRICES)[1]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Column .* was read as")
        dataset = read(*map(read_table, files), target="y")
    assert dataset.known_covariates[0].tolist() == [PRICES.tolist()]


@pytest.mark.parametrize("marks", [";,", ",."])
@pytest.mark.parametrize("row", [4, 11])
def test_a_bad_number_is_no_level_of_a_category(tmp_path, marks, row):
    files = map(read_table, written(tmp_path, *marks, PRICES, row))
    line = row + 2 if row < PAST else row + 2 - PAST
    with pytest.raises(DataError, match=rf"'price', line {line} of .*\*' is not a number. Leave"):
        read(*files, target="y")


def test_text_columns_without_a_future_are_named_as_left_out():
    with pytest.warns(UserWarning, match="note are left out, as they are neither numbers"):
        read_frame(frame(note="n"), target="y")


def test_a_column_with_a_bad_cell_that_is_not_needed_is_named_as_left_out():
    load = [*map(str, range(12)), "x"]
    with pytest.warns(UserWarning, match="the columns load are left out"):
        dataset = read_frame(frame(load=load), target="y")
    assert dataset.past_names == ("price",)


def without(rows):
    return lambda past, future: (past, future.drop(index=rows))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (without([10]), "'a': the known covariates of 2 of 3 .* step 1 after"),
        (without([12]), "those of step 3 after the end of the past are missing"),
        (lambda p, f: (p, f.assign(y=1.0)), "has values of the target 'y'"),
        (lambda p, f: (p, f.assign(other=1.0)), "columns other of the future frame are not in"),
        (lambda p, f: (p, f.drop(columns="ds")), "has no column 'ds'"),
        (lambda p, f: (p, f.assign(unique_id="b")), "'a' has no row in the future frame"),
        (
            lambda p, f: (p, pd.concat([f, f.assign(unique_id="b")])),
            "'b' is in the future frame, but not in the frame",
        ),
        (lambda p, f: (p, pd.concat([f, p[["unique_id", "ds", "price"]]])), "Duplicate time stamp"),
        (
            lambda p, f: (p.drop(index=5), pd.concat([f, p.loc[[5]]])[f.columns]),
            "not after the last",
        ),
        (lambda p, f: (p, f.assign(ds=f["ds"].dt.tz_localize("UTC"))), "type of the other"),
        (lambda p, f: (p, f.assign(price=np.inf)), "row 0 of the future frame: 'inf' is infinite"),
    ],
)
def test_futures_that_do_not_fit_the_past_are_refused(change, match):
    with pytest.raises(DataError, match=match):
        read(*change(*split(frame())))


def test_a_wide_frame_with_a_future_needs_named_targets():
    table = frame().drop(columns="unique_id").rename(columns={"y": "sales"})
    with pytest.raises(DataError, match="name the targets"):
        read(*split(table))
    dataset = read(*split(table), target="sales")
    assert dataset.known_names == ("price",)


def test_arrays_of_covariates_are_accepted_in_every_form():
    x = np.arange(13.0)
    for form in ({"x": x}, [{"x": x}], x[None], x, [x[None]], [x], x.tolist()):
        dataset = with_covariates(read_series([1.0] * 10), known=form)
        np.testing.assert_array_equal(dataset.known_covariates[0], x[None])


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ([{"x": [1.0, 2.0]}], "1 entries of known covariates for 2 series"),
        ({"x": [1.0, 2.0]}, "a dictionary of known covariates for 2 series"),
        ([{"x": [1.0]}, {"y": [1.0]}], "'1' has the known covariates y, and '0' has x"),
        ([{"x": [1.0], "y": [1.0, 2.0]}] * 2, "lengths of known covariates differ"),
        ([{"x": ["a"]}] * 2, "'x' is not of numbers.*predict_df"),
        ([{}] * 2, "has no known covariates"),
    ],
)
def test_arrays_of_covariates_that_do_not_fit_are_refused(given, match):
    with pytest.raises(DataError, match=match):
        with_covariates(read_series([[1.0, 2.0], [3.0, 4.0]]), known=given)


def test_arrays_of_several_targets_are_items():
    dataset = read_series([np.ones((2, 5)), np.ones((2, 7))])
    assert len(dataset) == 2
    assert dataset.target_names == ("target_0", "target_1")
    with pytest.raises(DataError, match="'1' has 3 targets, and '0' has 2"):
        read_series([np.ones((2, 5)), np.ones((3, 7))])


def test_a_corpus_names_the_covariates_that_it_leaves_out():
    from lagllama_jax.corpus.store import Corpus

    dataset = with_covariates(read_series([1.0, 2.0, 3.0] * 4), past={"rain": np.ones(12)})
    with pytest.warns(UserWarning, match="covariates rain are left out: a model is trained on"):
        assert len(Corpus.pack(dataset)) == 1


def test_names_of_another_type_in_the_future_are_told():
    names = frame().assign(unique_id=1)
    past, coming = names[:PAST], names[PAST:].drop(columns="y").astype({"unique_id": str})
    with pytest.raises(DataError, match="has 1 in one of .* same name as another type.* convert"):
        read_frame(past, future=coming, prediction_length=STEPS)


def test_dated_covariates_begin_with_their_series():
    series = read_series([[1.0, 2.0, 3.0]], "2024-01-08", "D")
    week = pd.Series(np.arange(20.0), pd.date_range("2024-01-01", periods=20))
    with pytest.raises(DataError, match="point 0 is at 2024-01-08.*'promo' at 2024-01-01"):
        with_covariates(series, None, {"promo": week})
    gap = week["2024-01-08":].drop(pd.Timestamp("2024-01-10"))
    with pytest.raises(DataError, match="point 2 is at 2024-01-10.*'promo' at 2024-01-11.*reindex"):
        with_covariates(series, None, {"promo": gap})
    for entry in ({"promo": week["2024-01-08":]}, week["2024-01-08":].to_frame("promo")):
        known = with_covariates(series, None, entry)
        assert known.known_names == ("promo",)
        assert known.known_covariates[0][0, :3].tolist() == [7, 8, 9]


def test_dates_are_no_covariates():
    series = read_series([[1.0, 2.0]], "2024-01-01", "D")
    with pytest.raises(DataError, match="'when' is not of numbers"):
        with_covariates(series, None, {"when": pd.date_range("2024-01-01", periods=4)})
