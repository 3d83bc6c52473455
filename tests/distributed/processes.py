"""Processes that a test has started, by a mark in their environment, which they inherit."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator

from tests.distributed.conftest import FAST

MARK = "LAGLLAMA_TEST_MARK"


@contextlib.contextmanager
def marked() -> Iterator[str]:
    """Processes that are started in the block have a mark, which is yielded."""
    mark, before = uuid.uuid4().hex, os.environ.get(MARK)
    os.environ[MARK] = mark
    try:
        yield mark
    finally:
        del os.environ[MARK]
        if before is not None:
            os.environ[MARK] = before


def with_mark(mark: str, words: str) -> list[int]:
    """The processes with a mark and these words in their command lines, the newest last."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment = (folder / "environ").read_bytes()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if f"{MARK}={mark}".encode() in environment and words in command:
                found.append(int(folder.name))
    return sorted(found)


def parent_of(process: int) -> int:
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    return int(status.split("PPid:")[1].split()[0])


class Killer(threading.Thread):
    """Kills one process as soon as a file appears.

    Attributes:
      killed: The process that was killed, or `None`.
    """

    def __init__(self, folder: pathlib.Path, victims: Callable[[], list[int]]):
        super().__init__(daemon=True)
        self.folder, self.victims, self.killed = folder, victims, None

    def run(self) -> None:
        for _ in range(12_000):
            if list(self.folder.glob("part*")):
                victims = self.victims()
                if victims:
                    os.kill(victims[-1], signal.SIGKILL)
                    self.killed = victims[-1]
                return
            time.sleep(0.01)


def kill_driver(output: pathlib.Path, *words: object, **environment: str) -> list[pathlib.Path]:
    """Runs a Python script, and kills it as soon as the first shard is written.

    Args:
      output: The output folder of the job that the script runs.
      words: The script and its arguments.
      environment: Further variables of its environment.

    Returns:
      The shards that were written.
    """
    command = [sys.executable, *map(str, words)]
    done = output / "forecasts"
    with marked() as mark:
        process = subprocess.Popen(command, env=os.environ | FAST | environment)
        while not list(done.glob("part*")) and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for orphan in with_mark(mark, ""):
            with contextlib.suppress(ProcessLookupError):
                os.kill(orphan, signal.SIGKILL)
    return list(done.glob("part*"))
