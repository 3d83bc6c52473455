"""The command in real processes: stopped, killed and resumed, it computes what it would have."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lagllama_jax.corpus.store import Corpus
from lagllama_jax.series.arrays import read_arrays
from lagllama_jax.training.metrics import read_metrics

OPTIONS = """--preset tiny --train.steps 200 --train.batch-size 4 --loop.checkpoint-every 10
--loop.keep 3 --model.lags 0 1 2 7 --model.context-length 8 --validation tails"""
MEASURED = ("tokens_per_second", "utilisation", "seconds")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("data") / "corpus"
    generator = np.random.default_rng(0)
    waves = [np.sin(np.arange(n) / 3) + 0.1 * generator.normal(size=n) for n in (90, 200, 150)]
    Corpus.pack(read_arrays(waves, "2020-01-01", "h"), "waves").save(folder)
    return folder


def start(corpus: pathlib.Path, output: pathlib.Path, cache: pathlib.Path, *more: str):
    code = "import sys; from lagllama_jax.cli.main import main; sys.exit(main(sys.argv[1:]))"
    words = ["pretrain", str(corpus), "--output", str(output), *OPTIONS.split(), *more]
    environment = os.environ | {"LAGLLAMA_CACHE": str(cache)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code, *words], env=environment, **pipes)


def wait_until(process: subprocess.Popen, happened) -> None:
    """Returns as soon as `happened()`; the process must not end before."""
    while not happened():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.001)


def whole(output: pathlib.Path) -> list[int]:
    """Steps of the checkpoints that are there under their final names."""
    folder = output / "checkpoints"
    names = os.listdir(folder) if folder.is_dir() else []
    return sorted(int(name) for name in names if name.isdigit())


def numbers(output: pathlib.Path) -> list[dict]:
    rows = read_metrics(output / "metrics.csv")
    return [{k: v for k, v in row.items() if k not in MEASURED} for row in rows]


def saving(output: pathlib.Path, after: int) -> bool:
    """Whether a later checkpoint than `after` is on disk, and yet another one being written."""
    folder = output / "checkpoints"
    names = os.listdir(folder) if folder.is_dir() else []
    return any(int(n) > after for n in names if n.isdigit()) and any("tmp" in n for n in names)


def test_a_run_killed_while_saving_and_stopped_by_sigterm_ends_like_one_that_was_not(
    corpus, tmp_path
):
    broken, straight, cache = tmp_path / "broken", tmp_path / "straight", tmp_path / "cache"

    first = start(corpus, broken, cache)
    wait_until(first, lambda: saving(broken, 0))
    first.kill()
    first.communicate()
    left = whole(broken)
    assert left and left[-1] < 200
    assert not (broken / "model.safetensors").exists()

    second = start(corpus, broken, cache)
    wait_until(second, lambda: whole(broken) and whole(broken)[-1] > left[-1])
    second.send_signal(signal.SIGTERM)
    said, complaint = second.communicate()
    assert second.returncode == 0, complaint
    assert "The same command continues" in said
    assert whole(broken)[-1] < 200

    for output in (broken, straight):
        last = start(corpus, output, cache)
        said, complaint = last.communicate()
        assert last.returncode == 0, complaint
        assert "Done after 200 steps" in said

    assert numbers(broken) == numbers(straight)
    for file in ("model.safetensors", "config.json"):
        assert (broken / file).read_bytes() == (straight / file).read_bytes()
    assert (broken / "loss.png").stat().st_size > 0
    assert len(whole(broken)) in (3, 4)
