"""A file is whole or as it was."""

import os
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.errors import DataError
from lagllama_jax.files import atomic_path, read_rows, write_bytes, write_rows


def test_a_file_appears_only_when_it_is_whole(tmp_path: pathlib.Path):
    target = tmp_path / "out.csv"
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".csv"
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == ["out.csv"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: pathlib.Path, error: type):
    target = tmp_path / "out.csv"
    target.write_text("old")
    with pytest.raises(error), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.csv"]


def test_a_link_stays_a_link(tmp_path: pathlib.Path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_a_path_that_cannot_be_written_is_named(tmp_path: pathlib.Path):
    with pytest.raises(DataError, match=r"gone/out\.csv: there is no folder"):
        write_bytes(tmp_path / "gone/out.csv", b"")
    with pytest.raises(DataError, match="not a regular file"):
        write_bytes(tmp_path, b"")
    with (
        pytest.raises(DataError, match=r"out\.csv: No space left"),
        atomic_path(tmp_path / "out.csv"),
    ):
        raise OSError(28, "No space left on device")
    assert os.listdir(tmp_path) == []


def test_an_error_about_another_file_is_left_alone(tmp_path: pathlib.Path):
    with pytest.raises(FileNotFoundError, match="input"), atomic_path(tmp_path / "out.csv"):
        (tmp_path / "input").read_text()
    with pytest.raises(ConnectionResetError), atomic_path(tmp_path / "out.csv"):
        raise ConnectionResetError(104, "Connection reset by peer")


# Python's csv module does not quote a lone carriage return.
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"))


@given(st.lists(st.tuples(CELLS, CELLS, CELLS)))
def test_rows_are_read_as_they_were_written_in_the_columns_asked_for(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str, str]]
):
    path = tmp_path_factory.getbasetemp() / "rows.csv"
    rows = [dict(zip("abc", row, strict=True)) for row in cells]
    write_rows(path, rows, ("c", "a", "d"))
    assert read_rows(path) == [{"c": row["c"], "a": row["a"], "d": ""} for row in rows]
