"""Measures forecasts of a folder of short series by an engine, beside one plain call.

python experiments/clusters/run.py --engine ray --workers 2
"""

import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import tyro
from pyarrow import dataset

from lagllama_jax import LagLlama
from lagllama_jax.distributed import forecast_folder
from lagllama_jax.evaluation.provenance import processor
from lagllama_jax.files import read_rows, write_rows

HERE = Path(__file__).resolve().parent
WORKERS = ("ray::MapWorker", "pyspark.daemon", "pyspark/daemon")


@dataclass(frozen=True)
class Arguments:
    """What is measured.

    Attributes:
      engine: `plain` is one call of `predict_df` with all series.
      workers: Number of workers.
      series: Number of series.
      shards: Number of files.
      length: Number of points of a series.
      prediction_length: Number of time steps to forecast.
      note: What else the machine does.
      output: CSV file, to which a row is added.
    """

    engine: Literal["plain", "local", "ray", "spark"] = "plain"
    workers: int = 1
    series: int = 4000
    shards: int = 8
    length: int = 60
    prediction_length: int = 7
    note: str = ""
    output: Path = HERE / "results.csv"


def shard(arguments: Arguments, number: int) -> pd.DataFrame:
    """Daily random walks with a weekly pattern, as a long table."""
    random = np.random.default_rng(number)
    count, length = arguments.series // arguments.shards, arguments.length
    walks = random.normal(size=(count, length)).cumsum(1) + 5 * np.sin(np.arange(length) * 0.9)
    days = pd.date_range("2024-01-01", periods=length)
    names = np.repeat([f"{number}-{one}" for one in range(count)], length)
    return pd.DataFrame({"unique_id": names, "ds": np.tile(days, count), "y": walks.ravel()})


class Usage:
    """Resident memory and processor time of the processes with some words in their command.

    Attributes:
      words: The words.
      memory: Largest resident memory of a process in bytes.
      seconds: Processor time of each process.
    """

    def __init__(self, words: tuple[str, ...]):
        self.words, self.memory = words, 0
        self.seconds: dict[str, float] = {}

    def look(self) -> None:
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, StopIteration, IndexError):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if not any(word in command for word in self.words):
                    continue
                status = (folder / "status").read_text().splitlines()
                line = next(line for line in status if line.startswith("VmHWM"))
                self.memory = max(self.memory, int(line.split()[1]) * 1024)
                times = (folder / "stat").read_text().rpartition(")")[2].split()
                ticks = int(times[11]) + int(times[12])
                self.seconds[folder.name] = ticks / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def watched(words: tuple[str, ...]) -> Iterator[Usage]:
    """Yields what the processes with some words use, which is complete at the end."""
    usage, ended = Usage(words), threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            usage.look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield usage
    finally:
        ended.set()
        thread.join()


def steady(folder: Path, each: int) -> float:
    """Series per second between the first and the last finished shard."""
    times = sorted(path.stat().st_mtime for path in (folder / "forecasts").glob("*.parquet"))
    return (len(times) - 1) * each / max(times[-1] - times[0], 1e-9)


def plain(arguments: Arguments, frames: list[pd.DataFrame]) -> dict[str, float]:
    """One call with all series, after a call that compiles the program."""
    table, model = pd.concat(frames, ignore_index=True), LagLlama.from_pretrained()
    model.predict_df(table, arguments.prediction_length, progress=False)
    usage, before = Usage(("clusters/run.py",)), time.process_time()
    begun = time.perf_counter()
    model.predict_df(table, arguments.prediction_length, progress=False)
    seconds = time.perf_counter() - begun
    usage.look()
    used = time.process_time() - before
    steady = arguments.series / seconds
    return {"seconds": seconds, "steady": steady, "cpu_seconds": used, "GB": usage.memory / 1e9}


def measure(arguments: Arguments, place: Path) -> dict[str, float]:
    """Seconds of the whole call, the steady rate, and what the workers use."""
    frames = (shard(arguments, number) for number in range(arguments.shards))
    if arguments.engine == "plain":
        return plain(arguments, list(frames))
    (place / "in").mkdir()
    for number, frame in enumerate(frames):
        frame.to_parquet(place / "in" / f"part-{number:04}.parquet", index=False)
    local = arguments.engine == "local"
    words = ("clusters/run.py",) if local else WORKERS
    begun = time.perf_counter()
    with watched(words) as usage:
        summary = forecast_folder(
            place / "in",
            place / "out",
            arguments.prediction_length,
            engine=arguments.engine,
            workers=None if local else arguments.workers,
        )
    seconds = time.perf_counter() - begun
    assert summary.finished == arguments.shards and summary.errors.empty
    rows = dataset.dataset(place / "out" / "forecasts").count_rows()
    assert rows == arguments.series * arguments.prediction_length
    rate = steady(place / "out", arguments.series // arguments.shards)
    used = sum(usage.seconds.values())
    return {"seconds": seconds, "steady": rate, "cpu_seconds": used, "GB": usage.memory / 1e9}


def main(arguments: Arguments) -> None:
    place = Path(tempfile.mkdtemp())
    try:
        found = measure(arguments, place)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    row = {name: value for name, value in asdict(arguments).items() if name != "output"}
    row |= {name: f"{value:.2f}" for name, value in found.items()} | {"hardware": processor()}
    print(row, flush=True)
    before = []
    if arguments.output.exists():
        before = read_rows(arguments.output)
    write_rows(arguments.output, [*before, row], list(row))


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
