"""Checkpoints: which stay, and what is left and said when one cannot be written or read."""

import contextlib
import gc
import os
import pathlib
import resource
import shutil
import subprocess
import time

import jax
import numpy as np
import pytest

from lagllama_jax.config import TrainConfig
from lagllama_jax.errors import CheckpointError
from lagllama_jax.training.checkpoints import Checkpoints
from lagllama_jax.training.state import init_state

# Orbax leaves coroutines behind where it fails to read.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
]

KEY = jax.random.key(5)
TRAIN = TrainConfig(ema_decay=0.9)


@pytest.fixture(autouse=True)
def swept():
    """Nothing is left for a later test to trip over."""
    yield
    gc.collect()


def state_at(step, shape=(3, 4), name="a"):
    """A state of one weight, filled with its step; random, so that it cannot be compressed."""
    noise = np.random.default_rng(step).normal(size=shape).astype(np.float32)
    state = init_state({name: {"kernel": jax.numpy.asarray(noise)}}, TRAIN)
    return state._replace(step=jax.numpy.int32(step))


def same(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def whole(folder):
    return {int(name) for name in os.listdir(folder) if name.isdigit()}


def test_the_last_ones_and_the_best_stay_and_come_back_as_they_were(tmp_path):
    losses = {1: 3.0, 2: 1.0, 3: 2.0, 4: None, 5: 1.0, 6: 4.0, 7: None}
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        assert checkpoints.latest is None
        for step, loss in losses.items():
            checkpoints.save(state_at(step), KEY, {"note": step}, loss)
    assert whole(tmp_path) == {5, 6, 7}
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        assert checkpoints.latest == 7
        restored = checkpoints.restore(5, state_at(0), jax.random.key(0))
    same(restored.state, state_at(5))
    assert restored.key == KEY and restored.record == {"note": 5}


@pytest.fixture
def two(tmp_path):
    """A folder with the checkpoints 1 and 2."""
    with Checkpoints(tmp_path / "run") as checkpoints:
        for step in (1, 2):
            checkpoints.save(state_at(step), KEY, {})
    return tmp_path / "run"


@pytest.mark.parametrize("like", [state_at(0, (4, 4)), state_at(0, name="b")])
def test_one_of_another_architecture_is_refused(two, like):
    with (
        Checkpoints(two) as checkpoints,
        pytest.raises(CheckpointError, match="run/2: damaged, or of another architecture"),
    ):
        checkpoints.restore(2, like, KEY)


def cut_files(folder: pathlib.Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file() and file.stat().st_size > 1:
            os.truncate(file, file.stat().st_size // 2)


def lose_arrays(folder: pathlib.Path) -> None:
    shutil.rmtree(folder / "state")


@pytest.mark.parametrize("damage", [cut_files, lose_arrays])
def test_a_damaged_one_is_named_and_the_one_before_it_still_opens(two, damage):
    damage(two / "2")
    with Checkpoints(two) as checkpoints:
        with pytest.raises(CheckpointError, match="run/2: damaged.*go on from the one before"):
            checkpoints.restore(2, state_at(0), KEY)
        same(checkpoints.restore(1, state_at(0), KEY).state, state_at(1))
    shutil.rmtree(two / "2")
    with Checkpoints(two) as checkpoints:
        assert checkpoints.latest == 1


@pytest.mark.parametrize("folder", ["file/checkpoints", "file", "/proc/checkpoints"])
def test_a_folder_that_cannot_be_is_refused(tmp_path, folder):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot hold checkpoints"):
        Checkpoints(tmp_path / folder)


def test_reading_leaves_a_folder_as_it_is(two, tmp_path):
    left = two / "3.orbax-checkpoint-tmp"
    left.mkdir()
    with Checkpoints(two, read_only=True) as checkpoints:
        assert checkpoints.latest == 2 and left.exists()
    with Checkpoints(two) as checkpoints:
        assert checkpoints.latest == 2
        end = time.monotonic() + 30  # in the background
        while left.exists() and time.monotonic() < end:
            time.sleep(0.01)
    assert not left.exists()
    with pytest.raises(CheckpointError, match="there is no such folder"):
        Checkpoints(tmp_path / "gone", read_only=True)
    assert not (tmp_path / "gone").exists()


@contextlib.contextmanager
def limited_files(folder):
    """No file may grow beyond 100 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def full_disk(folder):
    """A file system of which 100 kB are left."""
    free = shutil.disk_usage(folder).free
    with open(folder.parent / "filling", "wb") as file:
        file.write(b"x" * (free - 100_000))
    yield
    (folder.parent / "filling").unlink()


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def lost_and_found(folder, without_room):
    """Saves where there is no room, then where there is again."""
    large = (512, 512)
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(state_at(1, large), KEY, {})
        checkpoints.wait()
        said = "could not be saved.*The last whole one: step 1"
        with without_room(folder), pytest.raises(CheckpointError, match=said):
            checkpoints.save(state_at(2, large), KEY, {})
            checkpoints.wait()
        same(checkpoints.restore(1, state_at(0, large), KEY).state, state_at(1, large))
    with Checkpoints(folder) as checkpoints:
        assert checkpoints.latest == 1
        checkpoints.save(state_at(2, large), KEY, {})
    assert whole(folder) == {1, 2}


def test_a_save_that_fails_is_told_and_loses_nothing(tmp_path):
    lost_and_found(tmp_path / "run", limited_files)


def test_a_full_disk_is_told_and_loses_nothing(small_disk):
    lost_and_found(small_disk / "run", full_disk)
