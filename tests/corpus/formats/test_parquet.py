import hypothesis.strategies as st
import numpy as np
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
