import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from lagllama_jax.corpus.formats.parquet import read_parquet
from lagllama_jax.errors import DataError

GOOD = {
    "item_id": ["a", "b"],
    "start": ["2020-01-01"] * 2,
    "freq": ["h"] * 2,
    "target": [[1.0], [2.0, 3.0]],
}
VALUES = st.lists(st.none() | st.integers(-1000, 1000), min_size=1, max_size=5)


@settings(max_examples=30)
@given(
    st.lists(VALUES, min_size=1, max_size=9),
    st.sampled_from([pa.float32(), pa.float64(), pa.int64()]),
    st.sampled_from([pa.list_, pa.large_list]),
)
def test_every_kind_of_list_is_read_as_it_is(tmp_path_factory, series, kind, lists):
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    count = len(series)
    columns = {"item_id": [f"s{i}" for i in range(count)], "start": ["2020-01-01"] * count}
    table = pa.table(columns | {"freq": ["D"] * count, "target": pa.array(series, lists(kind))})
    pq.write_table(table, path, row_group_size=3)
    dataset = read_parquet(path)
    assert dataset.item_ids == columns["item_id"]
    for target, one in zip(dataset.targets, series, strict=True):
        assert target.dtype == np.float64
        np.testing.assert_array_equal(target, np.array([one], float))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"freq": None}, "a.parquet: no column freq; expected item_id, start, freq, target"),
        ({"start": ["2020-01-01", None]}, "a.parquet: column start is empty in row 1"),
        ({"start": ["2020-01-01", "soon"]}, "a.parquet: series 'b': the start 'soon' is no time"),
        ({"freq": ["h", "fortnight"]}, "a.parquet: series 'b': 'fortnight' is not a frequency"),
        ({"target": [None, [1.0]]}, "a.parquet: column target is empty in row 0"),
        ({"target": [1.0, 2.0]}, "a.parquet: column target holds double, expected lists"),
        ({"target": [["x"], ["y"]]}, "a.parquet: column target holds list.*expected lists of num"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_column(tmp_path, change, message):
    columns = {k: v for k, v in (GOOD | change).items() if v is not None}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=message):
        read_parquet(tmp_path / "a.parquet")


def test_a_truncated_file_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(GOOD), path)
    whole = path.read_bytes()
    for length in (0, 4, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="a.parquet cannot be read as Parquet"):
            read_parquet(path)


def test_damaged_pages_are_named(tmp_path):
    path = tmp_path / "a.parquet"
    noise = np.random.default_rng(0).normal(size=5000)
    pq.write_table(pa.table(GOOD | {"target": [noise, noise]}), path, compression="zstd")
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2 : len(damaged) // 2 + 400] = bytes(400)
    path.write_bytes(damaged)
    with pytest.raises(DataError, match="a.parquet cannot be read as Parquet"):
        read_parquet(path)


def test_long_and_wide_tables_are_read_as_data_frames(tmp_path):
    days = pd.date_range("2024-01-01", periods=4)
    long = pd.DataFrame({"item_id": ["a"] * 4 + ["b"] * 4, "timestamp": [*days, *days]})
    long["target"] = np.arange(8.0)
    wide = pd.DataFrame({"day": days, "a": np.arange(4.0), "b": np.arange(4.0, 8.0)})
    for name, table in (("long", long), ("wide", wide), ("shuffled", long.sample(frac=1))):
        table.to_parquet(tmp_path / f"{name}.parquet", index=False)
        series = {item.item_id: item for item in read_parquet(tmp_path / f"{name}.parquet")}
        assert sorted(series) == ["a", "b"]
        assert series["b"].target.tolist() == [[4, 5, 6, 7]]
        assert (series["b"].start, str(series["b"].frequency)) == (days[0], "D")


def test_a_table_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"item_id": ["a", "b"], "value": [1.0, 2.0]}).to_parquet(path)
    with pytest.raises(DataError, match="a.parquet.*No timestamp column"):
        read_parquet(path)
