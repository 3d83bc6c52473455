"""A file is whole or as it was, and outputs are checked before the work."""

import os
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.errors import DataError
from lagllama_jax.files import atomic_path, check_outputs, read_rows, write_bytes, write_rows


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


@pytest.fixture
def data(tmp_path, monkeypatch) -> pathlib.Path:
    """An input file in the working directory, with a symbolic and a hard link to it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text("history")
    (tmp_path / "linked.csv").symlink_to("mine.csv")
    os.link(tmp_path / "mine.csv", tmp_path / "hard.csv")
    (tmp_path / "folder").mkdir()
    return tmp_path / "mine.csv"


@pytest.mark.parametrize("output", ["mine.csv", "./mine.csv", "folder/../mine.csv", "linked.csv"])
def test_an_output_that_is_an_input_is_refused(data, output):
    for one in (output, str(data.parent / output), "hard.csv"):
        with pytest.raises(DataError, match="is the same as the input mine.csv"):
            check_outputs(files=[one], inputs=["mine.csv"])
    with pytest.raises(DataError, match="is the same as the input"):
        check_outputs(folders=["./folder"], inputs=["folder"])
    assert data.read_text() == "history"


def test_two_outputs_that_are_one_file_are_refused(data):
    for other in ("out.png", "./out.png", "folder/../out.png"):
        with pytest.raises(DataError, match="is the same as the output"):
            check_outputs(files=["out.png", other])
    check_outputs(files=["out.csv", "out.png", None], inputs=["mine.csv", None])


@pytest.mark.parametrize(
    ("kind", "path", "message"),
    [
        ("files", "folder", "not a regular file"),
        ("files", "absent/out.csv", "there is no folder"),
        ("files", "mine.csv/out.csv", "there is no folder"),
        ("files", "a" * 300 + ".csv", "too long"),
        ("files", "a" * 250 + ".csv", "too long"),
        ("folders", "mine.csv", "mine.csv is a file"),
        ("folders", "mine.csv/deeper", "mine.csv is a file"),
        ("folders", "folder/" + "a" * 300, "too long"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_output_that_cannot_be_written_is_refused(data, kind, path, message):
    with pytest.raises(DataError, match=message):
        check_outputs(**{kind: [path]})


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_without_permission_is_refused(data):
    os.chmod("folder", 0o500)
    for asked in ({"files": ["folder/out.csv"]}, {"folders": ["folder/new/run"]}):
        with pytest.raises(DataError, match="Permission denied"):
            check_outputs(**asked)


NAMES = st.text("ab./", min_size=1, max_size=8)


@given(files=st.lists(NAMES, max_size=3), folders=st.lists(NAMES, max_size=2))
def test_a_check_leaves_everything_as_it_was(tmp_path_factory, files, folders):
    place = tmp_path_factory.mktemp("place")
    (place / "a").mkdir()
    (place / "b").write_text("b")
    before = sorted(place.rglob("*"))
    inside = lambda names: [f"{place}/a/../{name.replace('..', '.')}" for name in names]  # noqa: E731
    try:
        check_outputs(files=inside(files), folders=inside(folders), inputs=[place / "b"])
    except DataError:
        pass
    else:
        assert not any(os.path.isdir(name) for name in inside(files))
        assert not any(os.path.isfile(name) for name in inside(folders))
    assert sorted(place.rglob("*")) == before and (place / "b").read_text() == "b"
