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

from lagllama_jax.corpus.store import Corpus, mask_period
from lagllama_jax.errors import DataError
from lagllama_jax.model.calendar_features import MONTH, SECOND, UNKNOWN, wall_clock
from lagllama_jax.series.arrays import read_arrays
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.frequency import Frequency

SERIES = st.lists(
    hnp.arrays(
        np.float64, st.integers(1, 9), elements=st.integers(-(10**6), 10**6) | st.just(np.nan)
    ),
    min_size=1,
    max_size=6,
)


def packed(series, starts=None, freq="h", item_ids=None, name="series"):
    """A corpus of arrays, which may have no observed value."""
    count = len(series)
    names = [str(i) for i in range(count)] if item_ids is None else item_ids
    stamps = [None] * count if starts is None else [pd.Timestamp(start) for start in starts]
    steps = [None] * count if starts is None else [Frequency.parse(freq)] * count
    targets = [np.asarray(one, np.float64)[None] for one in series]
    return Corpus.pack(SeriesDataset(names, targets, stamps, steps), name)


def write_parquet(path, starts=("2020-01-01",), frequencies=("h",), targets=((1.0, 2.0),)):
    ids = [f"s{i}" for i in range(len(targets))]
    columns = {"item_id": ids, "start": starts, "freq": frequencies, "target": targets}
    pq.write_table(pa.table({name: list(column) for name, column in columns.items()}), path)


def fields(corpus):
    arrays = (corpus.values, corpus.observed, corpus.offsets, corpus.dataset, corpus.frequency)
    return *arrays, corpus.center, corpus.unit, *corpus.calendar, *corpus.zones


def assert_same(one, other):
    for a, b in zip(fields(one), fields(other), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    assert one.dataset_names == other.dataset_names
    assert one.frequency_names == other.frequency_names
    assert one.item_ids == other.item_ids


@given(SERIES)
def test_every_series_comes_back_as_it_went_in(series):
    corpus = packed(series)
    assert len(corpus) == len(series) and corpus.points == sum(map(len, series))
    for index, one in enumerate(series):
        np.testing.assert_array_equal(corpus.series(index), one)
    np.testing.assert_array_equal(corpus.observed, ~np.isnan(np.concatenate(series)))


@settings(max_examples=15)
@given(SERIES)
def test_saving_and_loading_changes_nothing(tmp_path_factory, series):
    folder = tmp_path_factory.mktemp("corpus") / "c"
    starts = [f"20{10 + i}-03-01" for i in range(len(series))]
    corpus = packed(series, starts, "ME", name="a data set")
    corpus.save(folder)
    assert_same(Corpus.load(folder, mmap=True), corpus)
    assert_same(Corpus.load(folder, mmap=False), corpus)


@given(SERIES, st.data())
def test_selecting_keeps_exactly_the_marked_series(series, data):
    names = data.draw(st.lists(st.sampled_from("ab"), min_size=len(series), max_size=len(series)))
    parts = [
        packed([one], item_ids=[str(i)], name=name)
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
    packed([np.arange(5.0)]).save(tmp_path / "c")
    assert isinstance(Corpus.load(tmp_path / "c").values, np.memmap)
    assert not isinstance(Corpus.load(tmp_path / "c", mmap=False).values, np.memmap)


def test_saving_again_replaces_the_corpus_and_leaves_nothing_beside_it(tmp_path):
    for length in (3, 5):
        packed([np.zeros(length)]).save(tmp_path / "c")
    assert Corpus.load(tmp_path / "c").points == 5
    assert os.listdir(tmp_path) == ["c"]


def test_a_save_that_fails_leaves_the_earlier_corpus(tmp_path, monkeypatch):
    packed([np.zeros(3)]).save(tmp_path / "c")
    monkeypatch.setattr(np, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(DataError, match="cannot be written.*No space left"):
        packed([np.zeros(9)]).save(tmp_path / "c")
    monkeypatch.undo()
    assert Corpus.load(tmp_path / "c").points == 3
    assert os.listdir(tmp_path) == ["c"]


def test_a_folder_that_is_no_corpus_is_never_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="exists and is not a corpus"):
        packed([np.zeros(3)]).save(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "corpus.json").unlink(), "no corpus.json"),
        (lambda f: (f / "corpus.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "corpus.json").write_text('{"version": 1}'), "version 1.*build it anew"),
        (lambda f: (f / "values.npy").unlink(), "values.npy"),
        (lambda f: (f / "values.npy").write_bytes(b"\x93NUM"), "values.npy"),
        (lambda f: os.truncate(f / "values.npy", 130), "values.npy"),
        (lambda f: np.save(f / "dataset.npy", np.zeros(7, np.int32)), "do not fit together"),
        (lambda f: np.save(f / "center.npy", np.zeros(7)), "do not fit together"),
        (lambda f: np.save(f / "values.npy", np.zeros(7, np.float32)), "do not fit together"),
    ],
)
def test_a_damaged_corpus_says_what_is_damaged(tmp_path, damage, message):
    packed([np.arange(4.0)]).save(tmp_path / "c")
    damage(tmp_path / "c")
    with pytest.raises(DataError, match=message):
        Corpus.load(tmp_path / "c")


@pytest.mark.parametrize(
    ("series", "more", "message"),
    [
        ([], {}, "no series"),
        ([[1.0], []], {"name": "x"}, "x/1 has no values"),
        ([[1.0], [0.0, np.inf]], {"item_ids": ["p", "q"]}, "series/q is infinite at point 1"),
        ([[1.0], [2.0]], {"item_ids": ["p", "p"]}, "series/p occurs twice"),
    ],
)
def test_series_that_cannot_be_used_are_named(series, more, message):
    with pytest.raises(DataError, match=message):
        packed(series, **more)


@given(st.floats(1e-3, 1e3), st.floats(-1e12, 1e12))
def test_a_level_of_any_height_keeps_the_shape_of_a_series(swing, level):
    """Stored as float32, a swing of 20 on 1e9 would have one step."""
    shape = np.sin(np.arange(100))
    one, other = (packed([swing * shape + height]) for height in (0.0, level))
    back = (other.series(0) - level) / swing
    assert np.abs(back - shape).max() <= 2**-20 + 4 * np.spacing(abs(level)) / swing
    assert other.unit in (one.unit / 2, one.unit, one.unit * 2)
    assert np.abs(other.values).max() < 4


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e18, 1e300])
def test_values_of_every_size_are_finite(scale):
    corpus = packed([scale * np.array([1.0, -0.5, 0.25, np.nan])])
    assert np.isfinite(corpus.values[:3]).all() and np.isnan(corpus.values[3])
    np.testing.assert_allclose(corpus.series(0), scale * np.array([1, -0.5, 0.25, np.nan]), 1e-7)


def test_every_variate_is_a_series_of_its_own():
    target = np.array([[1.0, 2.0], [30.0, 40.0]])
    dataset = SeriesDataset(["a", "b"], [target, -target], target_names=("x", "y"))
    corpus = Corpus.pack(dataset, "d")
    assert [corpus.describe(i) for i in range(4)] == ["d/a/x", "d/a/y", "d/b/x", "d/b/y"]
    assert corpus.series(3).tolist() == [-30, -40]


def test_joined_data_sets_of_one_name_may_not_share_an_item():
    one, other = (packed([[v]], item_ids=["a"], name="d") for v in (1.0, 2.0))
    with pytest.raises(DataError, match="d/a occurs twice"):
        Corpus.concatenate([one, other])


def test_each_series_keeps_the_clock_of_its_own_start_and_frequency():
    stamps = [pd.Timestamp("2021-02-03 04:00"), pd.Timestamp("2021-02-01"), None]
    steps = [Frequency.parse(alias) for alias in ("15min", "ME", "h")]
    corpus = Corpus.pack(SeriesDataset(["a", "b", "c"], [np.ones((1, 2))] * 3, stamps, steps))
    assert corpus.calendar.unit.tolist() == [SECOND, MONTH, UNKNOWN]
    assert corpus.calendar.second[0] == 4 * 3600
    assert [corpus.frequency_names[i] for i in corpus.frequency] == ["15min", "ME", "h"]
    assert all(field.dtype == np.int32 for field in corpus.calendar)


def test_joined_corpora_keep_the_zones_of_their_series(tmp_path):
    zones = ["Europe/Berlin", None, "America/New_York", "Europe/Berlin"]
    starts = [pd.Timestamp("2024-03-09 12:00").tz_localize(zone) for zone in zones]
    parts = [
        Corpus.pack(read_arrays(np.arange(1000.0), start, "h"), f"d{number}")
        for number, start in enumerate(starts)
    ]
    Corpus.concatenate([Corpus.concatenate(parts[:2]), *parts[2:]]).save(tmp_path / "c")
    corpus = Corpus.load(tmp_path / "c").select(np.array([True, False, True, True]))
    assert corpus.calendar.zone.tolist() == [1, 2, 1]
    for index, start in enumerate(starts[:1] + starts[2:]):
        stamps = pd.date_range(start, periods=1000, freq="h")
        _, second = wall_clock(corpus_calendar(corpus, index), np.arange(1000), corpus.zones)
        assert (second // 3600 == stamps.hour).all()


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
    corpus = Corpus.concatenate(packed(hours, starts, "h", name=name) for name in ("city", "else"))
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
    corpus = packed([np.zeros(120)], ["2013-01-01"], "D", name="d")
    masked = mask_period(corpus, "d", "2013-02", "2013-03")
    assert np.flatnonzero(~masked.observed).tolist() == list(range(31, 31 + 28 + 31))
    with pytest.raises(DataError, match="is no period"):
        mask_period(corpus, "d", "spring", "2013")
    with pytest.raises(DataError, match="no data set 'e'"):
        mask_period(corpus, "e", "2013", "2013")


def test_the_whole_pretraining_corpus_is_read(shared):
    folder = shared / "data/corpus"
    if not folder.is_dir():
        pytest.skip(f"no pretraining corpus at {folder}")
    corpus = Corpus.from_parquet(folder)
    assert (len(corpus), corpus.points, len(corpus.dataset_names)) == (34763, 21267627, 45)
    rows = pq.read_table(folder / "nab.parquet").to_pylist()
    indices = np.flatnonzero(corpus.dataset == corpus.dataset_index("nab"))
    for index, row in zip(indices, rows, strict=True):
        assert corpus.describe(index) == f"nab/{row['item_id']}"
        target = np.array(row["target"], np.float64)
        rounding = 2**-23 * np.ptp(target[~np.isnan(target)])
        np.testing.assert_allclose(corpus.series(index), target, rtol=0, atol=rounding)
        day, second = (int(x) for x in wall_clock(corpus_calendar(corpus, index), np.array(0)))
        assert pd.Timestamp(row["start"]) == pd.Timestamp(day, unit="D") + pd.Timedelta(second, "s")


def corpus_calendar(corpus, index):
    return type(corpus.calendar)(*(field[index] for field in corpus.calendar))


def test_the_names_on_disk_are_plain_json(tmp_path):
    packed([[1.0]], item_ids=["Zürich"], name="d").save(tmp_path / "c")
    assert json.loads((tmp_path / "c/corpus.json").read_text())["item_ids"] == ["Zürich"]
