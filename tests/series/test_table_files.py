import bz2
import gzip
import io
import lzma

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lagllama_jax.errors import DataError
from lagllama_jax.series.dataframe import read_frame
from lagllama_jax.series.number_columns import numbers
from lagllama_jax.series.table_files import read_table, write_table

ROWS = ["item_id,timestamp,target", *(f"007,2024-01-0{day},{day}" for day in range(1, 8))]


@pytest.fixture
def write(tmp_path):
    def write(*lines: str, name: str = "data.csv"):
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def test_names_keep_their_leading_zeros(write):
    assert read_frame(read_table(write(*ROWS))).item_ids == ["007"]
    renamed = write("shop,timestamp,target", *ROWS[1:])
    assert read_frame(read_table(renamed), id_column="shop").item_ids == ["007"]


def test_numbers_of_rows_that_pandas_wrote_are_no_series(tmp_path):
    frame = pd.DataFrame({"date": pd.date_range("2024", periods=3), "sales": [1.0, 2.0, 3.0]})
    frame.to_csv(tmp_path / "data.csv")
    assert read_frame(read_table(tmp_path / "data.csv")).item_ids == ["sales"]


def test_an_index_of_dates_that_pandas_wrote_is_found(tmp_path):
    dates = pd.date_range("2024", periods=3)
    pd.DataFrame({"sales": [1.0, 2.0, 3.0]}, index=dates).to_csv(tmp_path / "data.csv")
    series = read_frame(read_table(tmp_path / "data.csv"))
    assert (series.item_ids, series.frequency.alias) == (["sales"], "D")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_commas_semicolons_and_tabs_separate_cells(write, separator):
    path = write(*(line.replace(",", separator) for line in ROWS))
    assert read_frame(read_table(path)).targets[0][0].tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_packed_csv_is_read(tmp_path):
    path = tmp_path / "data.csv.gz"
    path.write_bytes(gzip.compress("\n".join(ROWS).encode()))
    assert read_frame(read_table(path)).lengths[0] == 7


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz", "table.parquet"])
def test_a_written_table_is_read_back(tmp_path, name):
    frame = pd.DataFrame({"a": [1.5, np.nan], "b": ["x", "y"]})
    write_table(frame, tmp_path / name)
    table = read_table(tmp_path / name)
    assert table.frame["b"].tolist() == ["x", "y"]
    np.testing.assert_array_equal(numbers(table, "a", "a"), frame["a"])
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_empty_cells_are_missing_values(write):
    series = read_frame(read_table(write(*ROWS[:3], "007,2024-01-03,", *ROWS[4:])))
    assert np.isnan(series.targets[0][0, 2])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("007,2024-01-03,three", "Series '007', column 'target', line 6 of data.csv: 'three'"),
        ("007,the third,3", "Series '007', column 'timestamp', line 6 of data.csv: 'the third'"),
        ("007,2024-01-02,3", "Duplicate time stamp.*line 3 of data.csv.*and .*line 6 of data.csv"),
        ("007,2024-01-03,inf", "line 6 of data.csv: 'inf' is infinite"),
        (",2024-01-03,3", "Column 'item_id', line 6 of data.csv"),
        ("007,2024-01-03 00:30,3", r"no common step.*'D'.*line 6 of data.csv.*is off the grid"),
        ("007,2024-01-03,3,4", "Cannot read.*line 6"),
    ],
)
def test_a_bad_cell_is_named_by_its_line_in_the_file(write, line, message):
    # Two blank lines before it, which count.
    path = write(*ROWS[:3], "", "", line, *ROWS[4:])
    with pytest.raises(DataError, match=message):
        read_frame(read_table(path))


def test_files_that_cannot_be_read_are_named(write, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00\x81" * 9)
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"a,b\n" * 99)[:-20])
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and nothing more")
    cases = {
        "absent.csv": "Cannot open .*absent.csv .No such file",
        "folder.csv": "Cannot open .*folder.csv",
        "bytes.csv": "bytes.csv has one column",
        "cut.csv.gz": "Cannot read .*cut.csv.gz",
        "bad.parquet": "Cannot read .*bad.parquet as Parquet",
        "data.doc": "data.doc: the name should end in .csv or .parquet",
        write(name="empty.csv").name: "empty.csv is empty",
        write(ROWS[0], name="header.csv").name: "No rows in header.csv",
    }
    for name, message in cases.items():
        with pytest.raises(DataError, match=message):
            read_table(tmp_path / name)


PACKERS = {
    "csv.gz": gzip.compress,
    "csv.bz2": bz2.compress,
    "csv.xz": lzma.compress,
    "csv.zst": lambda content: pa.compress(content, "zstd", asbytes=True),
}


@pytest.mark.parametrize("suffix", PACKERS)
def test_what_a_file_may_unpack_to_can_be_limited(tmp_path, suffix):
    content = "\n".join(["t,y", *(f"{row},{row % 7}" for row in range(50_000))]).encode()
    path = tmp_path / f"data.{suffix}"
    path.write_bytes(PACKERS[suffix](content))
    table = read_table(path, most_bytes=len(content))
    assert table.frame.equals(read_table(path).frame) and len(table.frame) == 50_000
    with pytest.raises(DataError, match=f"unpacks to more than {len(content) - 1:,} bytes"):
        read_table(path, most_bytes=len(content) - 1)


def test_published_wide_files_are_read_whole(shared, tmp_path):
    packed = shared / "data" / "evaluation" / "ETTh1.csv.gz"
    if not packed.exists():
        pytest.skip(f"no file at {packed}")
    series = read_frame(read_table(packed))
    assert series.item_ids == ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]
    assert (series.lengths[0], series.frequency.alias) == (17420, "h")


def test_a_table_from_the_standard_input_is_that_of_its_file(tmp_path, monkeypatch):
    frame = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=5), "y": range(5)})
    for name in ("a.csv", "a.parquet"):
        write_table(frame, tmp_path / name)
        content = io.BytesIO((tmp_path / name).read_bytes())
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(content))
        table = read_table("-")
        pd.testing.assert_frame_equal(table.frame, read_table(tmp_path / name).frame)
        assert table.row(2).endswith("of the standard input")
