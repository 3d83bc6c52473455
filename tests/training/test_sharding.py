"""Eight devices, or two processes, compute what one device does, and take over its checkpoints."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from lagllama_jax.cli.main import main as lagllama
from lagllama_jax.training.checkpoints import Checkpoints
from lagllama_jax.training.metrics import read_metrics
from lagllama_jax.training.sharding import make_mesh
from tests.training.conftest import two_waves, waves
from tests.training.several_devices import KEY, STEPS, curve, fresh, run_on

HURRY = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
"""Each program runs for a moment, so that compiling it is what takes time."""


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    """Losses of steps 0 to 20 and 20 to 40 on one device, and a folder with the state between."""
    folder = tmp_path_factory.mktemp("devices")
    mesh = make_mesh()
    run = run_on(mesh)
    early, state = curve(run, fresh(mesh))
    with Checkpoints(folder / "of 1 device") as checkpoints:
        checkpoints.save(state, KEY, {})
    late, state = curve(run, state)
    return folder, early, late, state


@pytest.fixture(scope="module")
def eight_devices(one_device, repository):
    folder = one_device[0]
    environment = os.environ | {"XLA_FLAGS": f"{HURRY} --xla_force_host_platform_device_count=8"}
    command = [sys.executable, "-m", "tests.training.several_devices", str(folder)]
    run = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads((folder / "found.json").read_text())


@pytest.mark.parametrize("mesh", ["data=8", "data=4, fsdp=2"])
def test_eight_devices_have_the_loss_curve_of_one(one_device, eight_devices, mesh):
    _, early, _, _ = one_device
    assert len(set(early)) == STEPS
    np.testing.assert_allclose(eight_devices["losses"][mesh], early, rtol=1e-5)


def test_fsdp_splits_the_parameters(eight_devices, recipe):
    assert eight_devices["rows of a kernel on one device"] == recipe.model.width // 2


def test_weights_on_one_device_are_tuned_on_eight(eight_devices):
    assert eight_devices["steps of a fit"] == 1


def test_a_checkpoint_of_one_device_goes_on_on_eight(one_device, eight_devices):
    _, _, late, _ = one_device
    np.testing.assert_allclose(eight_devices["losses"]["gone on with"], late, rtol=1e-5)


def test_a_checkpoint_of_eight_devices_restores_on_one(one_device, eight_devices):
    folder, _, _, like = one_device
    with Checkpoints(folder / "of 8 devices", read_only=True) as checkpoints:
        theirs = checkpoints.restore(STEPS, like, KEY).state
    with Checkpoints(folder / "of 1 device", read_only=True) as checkpoints:
        ours = checkpoints.restore(STEPS, like, KEY).state
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert other.sharding.device_set == {jax.devices()[0]}
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-5)


def test_sizes_that_do_not_divide_are_refused(eight_devices):
    third, six, width, batch = eight_devices["refusals"]
    assert "data=2 times fsdp=3 does not fit 8 device(s)" in third
    assert "data=3 times fsdp=2 does not fit 8 device(s)" in six
    assert "12 along an axis that fsdp=8 does not divide" in width
    assert "A batch of 12 does not divide over 8 devices" in batch


OPTIONS = """--preset tiny --train.steps 20 --train.batch-size 8 --loop.dispatch 1
--loop.checkpoint-every 20 --model.lags 0 1 2 7 --model.context-length 8 --progress False"""


def words(folder, way, *more):
    return ["pretrain", str(folder / "corpus"), "-o", str(folder / way), *OPTIONS.split(), *more]


def losses(folder, way):
    rows = read_metrics(folder / way / "metrics.csv")
    return [row["loss"] for row in rows] + [row["validation_loss"] for row in rows[-1:]]


def start_two(repository, commands_of):
    """Two processes that join on loopback, each running the commands that it is given."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    code = (
        "import json, sys\n"
        "from lagllama_jax.cli.main import main\n"
        "sys.exit(max(main(['--no-cache', *words]) for words in json.loads(sys.argv[1])))"
    )
    environment = os.environ | {"XLA_FLAGS": HURRY}
    processes = []
    for number in ("0", "1"):
        joined = "--hosts", "--coordinator", address, "--processes", "2", "--process", number
        command = [sys.executable, "-c", code, json.dumps(commands_of(joined))]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        processes.append(subprocess.Popen(command, cwd=repository, env=environment, **pipes))
    return processes


def test_two_processes_train_as_one_does(tmp_path, repository):
    """By the command: windows drawn on the devices; on the host; the first run, gone on with."""
    corpus = two_waves()
    corpus.values[[20, 21, 300]] = np.nan
    corpus.save(tmp_path / "corpus")

    def commands(joined):
        host = words(tmp_path, "host", "--path", "host")
        return [words(tmp_path, "device", *joined), host, words(tmp_path, "device")]

    processes = start_two(repository, commands)
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert said[0].count("Done after 20 steps") == 3 and "Done" not in said[1]
    for way in ("device", "host"):
        assert lagllama(["--no-cache", *words(tmp_path, f"one {way}", "--path", way)]) == 0
        together = losses(tmp_path, way)
        assert len(set(together)) == 21
        np.testing.assert_allclose(together, losses(tmp_path, f"one {way}"), rtol=1e-5)


def test_two_processes_with_different_corpora_are_refused(tmp_path, repository):
    for number, length in (("0", 200), ("1", 201)):
        waves((length, 120)).save(tmp_path / number / "corpus")

    def commands(joined):
        first, *rest = words(tmp_path, "run", *joined)
        return [[first, str(tmp_path / joined[-1] / "corpus"), *rest[1:]]]

    processes = start_two(repository, commands)
    for process in processes:
        said = process.communicate()[0]
        assert process.returncode not in (0, None), said
        assert "different corpora" in said


def test_a_signal_to_one_of_two_processes_saves_and_ends_both(tmp_path, repository):
    two_waves().save(tmp_path / "corpus")
    many = "--train.steps", "100000"
    processes = start_two(repository, lambda joined: [words(tmp_path, "run", *many, *joined)])
    metrics = tmp_path / "run" / "metrics.csv"
    while not (metrics.is_file() and len(read_metrics(metrics)) > 5):
        assert all(process.poll() is None for process in processes), processes[0].communicate()[0]
        time.sleep(0.1)
    processes[1].send_signal(signal.SIGTERM)
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    with Checkpoints(tmp_path / "run" / "checkpoints", read_only=True) as checkpoints:
        assert f"Stopped by a signal after step {checkpoints.latest}, saved" in said[0]
