"""A folder has one process at a time."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from lagllama_jax.errors import DataError
from lagllama_jax.lock import locked

HOLD = """
import pathlib, sys
from lagllama_jax.lock import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
TAKE = """
import pathlib, sys
from lagllama_jax.lock import locked
with locked(pathlib.Path(sys.argv[1])):
    counter = pathlib.Path(sys.argv[1]) / "count.txt"
    counter.write_text(str(int(counter.read_text()) + 1))
"""


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
