import json
import os

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from lagllama_jax.corpus.formats import Record
from lagllama_jax.corpus.store import Corpus, mask_period
from lagllama_jax.errors import DataError
from lagllama_jax.model.calendar_features import MONTH, SECOND, UNKNOWN, wall_clock

SERIES = st.lists(
    hnp.arrays(
        np.float32, st.integers(1, 9), elements=st.floats(-1e6, 1e6, width=32) | st.just(np.nan)
    ),
    min_size=1,
    max_size=6,
)


def write_parquet(path, starts=("2020-01-01",), frequencies=("h",), targets=((1.0, 2.0),)):
    ids = [f"s{i}" for i in range(len(targets))]
    columns = {"item_id": ids, "start": starts, "freq": frequencies, "target": targets}
    pq.write_table(pa.table({name: list(column) for name, column in columns.items()}), path)


def fields(corpus):
    arrays = (corpus.values, corpus.observed, corpus.offsets, corpus.dataset, corpus.frequency)
    return *arrays, *corpus.calendar


def assert_same(one, other):
    for a, b in zip(fields(one), fields(other), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    assert one.dataset_names == other.dataset_names
    assert one.frequency_names == other.frequency_names
    assert one.item_ids == other.item_ids


@given(SERIES)
def test_every_series_comes_back_as_it_went_in(series):
    corpus = Corpus.from_series(series)
    assert len(corpus) == len(series) and corpus.points == sum(map(len, series))
    for index, one in enumerate(series):
        np.testing.assert_array_equal(corpus.series(index), one)
    np.testing.assert_array_equal(corpus.observed, ~np.isnan(np.concatenate(series)))


@settings(max_examples=15)
@given(SERIES)
def test_saving_and_loading_changes_nothing(tmp_path_factory, series):
    folder = tmp_path_factory.mktemp("corpus") / "c"
    starts = [f"20{10 + i}-03-01" for i in range(len(series))]
    corpus = Corpus.from_series(series, starts, "ME", name="a data set")
    corpus.save(folder)
    assert_same(Corpus.load(folder, mmap=True), corpus)
    assert_same(Corpus.load(folder, mmap=False), corpus)


@given(SERIES, st.data())
def test_selecting_keeps_exactly_the_marked_series(series, data):
    names = data.draw(st.lists(st.sampled_from("ab"), min_size=len(series), max_size=len(series)))
    parts = [
        Corpus.from_series([one], item_ids=[str(i)], name=name)
        for i, (one, name) in enumerate(zip(series, names, strict=True))
    ]
    corpus = Corpus.concatenate(parts)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(series), max_size=len(series))))
    if not mask.any():
        with pytest.raises(DataError, match="selects no series"):
            corpus.select(mask)
        return
    chosen = corpus.select(mask)
    kept = np.flatnonzero(mask)
    assert [chosen.describe(i) for i in range(len(chosen))] == [corpus.describe(i) for i in kept]
    assert set(chosen.dataset) == set(range(len(chosen.dataset_names)))
    for index, source in enumerate(kept):
        np.testing.assert_array_equal(chosen.series(index), corpus.series(source))


def test_a_loaded_corpus_is_a_memory_map_unless_asked_otherwise(tmp_path):
    Corpus.from_series([np.arange(5.0)]).save(tmp_path / "c")
    assert isinstance(Corpus.load(tmp_path / "c").values, np.memmap)
    assert not isinstance(Corpus.load(tmp_path / "c", mmap=False).values, np.memmap)


def test_saving_again_replaces_the_corpus_and_leaves_nothing_beside_it(tmp_path):
    for length in (3, 5):
        Corpus.from_series([np.zeros(length)]).save(tmp_path / "c")
    assert Corpus.load(tmp_path / "c").points == 5
    assert os.listdir(tmp_path) == ["c"]


def test_a_save_that_fails_leaves_the_earlier_corpus(tmp_path, monkeypatch):
    Corpus.from_series([np.zeros(3)]).save(tmp_path / "c")
    monkeypatch.setattr(np, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(DataError, match="cannot be written.*No space left"):
        Corpus.from_series([np.zeros(9)]).save(tmp_path / "c")
    monkeypatch.undo()
    assert Corpus.load(tmp_path / "c").points == 3
    assert os.listdir(tmp_path) == ["c"]


def test_a_folder_that_is_no_corpus_is_never_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="exists and is no corpus"):
        Corpus.from_series([np.zeros(3)]).save(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "corpus.json").unlink(), "no corpus.json"),
        (lambda f: (f / "corpus.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "corpus.json").write_text('{"version": 0}'), "version 0"),
        (lambda f: (f / "values.npy").unlink(), "values.npy"),
        (lambda f: (f / "values.npy").write_bytes(b"\x93NUM"), "values.npy"),
        (lambda f: os.truncate(f / "values.npy", 130), "values.npy"),
        (lambda f: np.save(f / "dataset.npy", np.zeros(7, np.int32)), "do not fit together"),
        (lambda f: np.save(f / "values.npy", np.zeros(7, np.float32)), "do not fit together"),
    ],
)
def test_a_damaged_corpus_says_what_is_damaged(tmp_path, damage, message):
    Corpus.from_series([np.arange(4.0)]).save(tmp_path / "c")
    damage(tmp_path / "c")
    with pytest.raises(DataError, match=message):
        Corpus.load(tmp_path / "c")


@pytest.mark.parametrize(
    ("series", "more", "message"),
    [
        ([], {}, "no series"),
        ([np.zeros((2, 2))], {}, "Series 0 has shape"),
        ([["a", "b"]], {}, "expected one dimension of numbers"),
        ([[1.0], []], {"name": "x"}, "x/1 has no values"),
        ([[1.0], [0.0, np.inf]], {"item_ids": ["p", "q"]}, "series/q is infinite.* point 1"),
        ([[1e300]], {}, "beyond float32"),
        ([[1.0], [2.0]], {"item_ids": ["p", "p"]}, "series/p occurs twice"),
        ([[1.0]], {"starts": ["soon"], "frequency": "h"}, "series/0: the start 'soon'"),
        ([[1.0]], {"starts": ["2020-01-01"], "frequency": "fortnight"}, "series/0: .*fortnight"),
    ],
)
def test_series_that_cannot_be_used_are_named(series, more, message):
    with pytest.raises(DataError, match=message):
        Corpus.from_series(series, **more)


def test_joined_data_sets_of_one_name_may_not_share_an_item():
    one, other = (Corpus.from_series([[v]], item_ids=["a"], name="d") for v in (1.0, 2.0))
    with pytest.raises(DataError, match="d/a occurs twice"):
        Corpus.concatenate([one, other])


def test_each_series_keeps_the_clock_of_its_own_start_and_frequency():
    corpus = Corpus.from_series(
        [[1.0, 2.0], [3.0], [4.0]],
        ["2021-02-03 04:00", pd.Timestamp("2021-02-01"), None],
        ["15min", "ME", "h"],
    )
    assert corpus.calendar.unit.tolist() == [SECOND, MONTH, UNKNOWN]
    assert corpus.calendar.second[0] == 4 * 3600
    assert [corpus.frequency_names[i] for i in corpus.frequency] == ["15min", "ME", "h"]
    assert all(field.dtype == np.int32 for field in corpus.calendar)


def test_records_and_arrays_make_the_same_corpus():
    records = [Record("a", "2020-01-01", "D", np.ones(3, np.float32))]
    by_hand = Corpus.from_series([np.ones(3)], ["2020-01-01"], "D", ["a"], "x")
    assert_same(Corpus.from_records(records, "x"), by_hand)


def test_a_folder_of_parquet_files_becomes_one_data_set_a_file(tmp_path):
    write_parquet(tmp_path / "b.parquet")
    write_parquet(tmp_path / "a.parquet", ["2020-01-01"] * 2, ["D", "h"], [[1.0, None], [3.0]])
    corpus = Corpus.from_parquet(tmp_path)
    assert corpus.dataset_names == ("a", "b")
    assert [corpus.describe(i) for i in range(3)] == ["a/s0", "a/s1", "b/s0"]
    assert corpus.observed.tolist() == [True, False, True, True, True]
    assert Corpus.from_parquet(tmp_path, exclude=["a"]).dataset_names == ("b",)
    with pytest.raises(DataError, match="no data set c to exclude"):
        Corpus.from_parquet(tmp_path, exclude=["c"])


@given(st.integers(0, 40), st.integers(0, 20))
def test_masking_a_period_hides_those_days_of_that_data_set_only(offset, span):
    hours = [np.arange(24.0 * 30), np.arange(24.0 * 10)]
    starts = ["2013-01-01 05:00", "2013-01-20"]
    corpus = Corpus.concatenate(
        Corpus.from_series(hours, starts, "h", name=name) for name in ("city", "else")
    )
    first = pd.Timestamp("2013-01-01") + pd.Timedelta(offset, unit="D")
    last = first + pd.Timedelta(span, unit="D")
    stamps = [
        pd.date_range(s, periods=len(v), freq="h") for s, v in zip(starts, hours, strict=True)
    ]
    hidden = np.concatenate([(s >= first) & (s < last + pd.Timedelta(1, unit="D")) for s in stamps])
    if not hidden.any():
        with pytest.raises(DataError, match="no point from"):
            mask_period(corpus, "city", str(first.date()), str(last.date()))
        return
    masked = mask_period(corpus, "city", str(first.date()), str(last.date()))
    np.testing.assert_array_equal(masked.observed, np.r_[~hidden, np.ones(hidden.size, bool)])
    np.testing.assert_array_equal(np.isnan(masked.values), ~masked.observed)
    assert corpus.observed.all()


def test_a_masked_month_counts_to_its_end():
    corpus = Corpus.from_series([np.zeros(120)], ["2013-01-01"], "D", name="d")
    masked = mask_period(corpus, "d", "2013-02", "2013-03")
    assert np.flatnonzero(~masked.observed).tolist() == list(range(31, 31 + 28 + 31))
    with pytest.raises(DataError, match="is no period"):
        mask_period(corpus, "d", "spring", "2013")
    with pytest.raises(DataError, match="no data set 'e'"):
        mask_period(corpus, "e", "2013", "2013")


def test_the_whole_pretraining_corpus_is_read(shared):
    folder = shared / "corpus/store"
    if not folder.is_dir():
        pytest.skip(f"no pretraining corpus at {folder}")
    corpus = Corpus.from_parquet(folder)
    assert (len(corpus), corpus.points, len(corpus.dataset_names)) == (34763, 21267627, 45)
    rows = pq.read_table(folder / "nab.parquet").to_pylist()
    indices = np.flatnonzero(corpus.dataset == corpus.dataset_index("nab"))
    for index, row in zip(indices, rows, strict=True):
        assert corpus.describe(index) == f"nab/{row['item_id']}"
        np.testing.assert_array_equal(corpus.series(index), np.float32(row["target"]))
        day, second = (int(x) for x in wall_clock(corpus_calendar(corpus, index), np.array(0)))
        assert pd.Timestamp(row["start"]) == pd.Timestamp(day, unit="D") + pd.Timedelta(second, "s")


def corpus_calendar(corpus, index):
    return type(corpus.calendar)(*(field[index] for field in corpus.calendar))


def test_the_names_on_disk_are_plain_json(tmp_path):
    Corpus.from_series([[1.0]], item_ids=["Zürich"], name="d").save(tmp_path / "c")
    assert json.loads((tmp_path / "c/corpus.json").read_text())["item_ids"] == ["Zürich"]
