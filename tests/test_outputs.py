"""Outputs are checked before the work, and a folder has one process at a time."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.errors import DataError
from lagllama_jax.files import check_outputs, locked

HOLD = """
import pathlib, sys
from lagllama_jax.files import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
TAKE = """
import pathlib, sys
from lagllama_jax.files import locked
with locked(pathlib.Path(sys.argv[1])):
    counter = pathlib.Path(sys.argv[1]) / "count.txt"
    counter.write_text(str(int(counter.read_text()) + 1))
"""


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


def run(code: str, folder: pathlib.Path) -> subprocess.Popen:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", code, str(folder)], **pipes, text=True)


def test_a_folder_that_another_process_writes_to_is_refused_until_that_ends(tmp_path):
    folder = tmp_path / "runs" / "one"
    holder = run(HOLD, folder)
    assert holder.stdout.readline() == "held\n"
    said = f"Another process is writing to {folder}. Wait"
    with pytest.raises(DataError, match=said), locked(folder):
        pass
    holder.communicate("")  # ends it
    assert not folder.exists()  # as nothing was written
    with locked(folder):
        (folder / "model").touch()
    assert os.listdir(folder) == ["model"]


def test_the_lock_of_a_killed_process_does_not_block(tmp_path):
    holder = run(HOLD, tmp_path)
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert os.listdir(tmp_path) == [".lock"]
    with locked(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_of_many_processes_at_once_no_two_are_in_the_folder(tmp_path):
    (tmp_path / "count.txt").write_text("0")
    done = [one.communicate() and one.returncode for one in [run(TAKE, tmp_path) for _ in range(6)]]
    assert int((tmp_path / "count.txt").read_text()) == done.count(0) >= 1
