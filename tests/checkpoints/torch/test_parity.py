"""The model gives the numbers that the reference implementation gave, for its own checkpoints."""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagllama_jax.checkpoints.hub import from_pretrained, save_pretrained
from lagllama_jax.checkpoints.torch.converter import from_torch
from lagllama_jax.checkpoints.torch.parity import verify as verification
from lagllama_jax.checkpoints.torch.parity.verify import read_recorded, relative_error, verify
from lagllama_jax.cli import main as cli
from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import CheckpointError
from lagllama_jax.model.scalers import fit_scale
from tests.checkpoints.conftest import GOLDENS

FORWARD = {"features", "loc and scale", "hidden states", "parameters"}
DECODING = {f"decoding, {mode}" for mode in verification._PROGRAMS}


def test_every_recorded_number_is_reproduced(recorded: pathlib.Path):
    """Prints the errors: `pytest -s` shows them."""
    numbers = read_recorded(recorded.with_suffix(".npz"))
    checks = list(verify(*from_torch(recorded, reference_scaling=True), numbers))
    expected = set(FORWARD)
    if recorded.stem != "iqn":
        expected |= {"loss"} | DECODING
    if any(name.startswith("grad/") for name in numbers):
        expected |= {"gradients"}
    assert {check.quantity for check in checks} == expected
    for check in checks:
        print(f"{recorded.stem} {check.quantity} {check.error:.1e} {check.worst}")
    assert [check for check in checks if not check.passed] == []


def recorded_loc_and_scale(config: ModelConfig, numbers: dict[str, np.ndarray]) -> dict[str, Any]:
    values, observed = (
        jnp.asarray(numbers[name]) for name in ("past_target", "past_observed_values")
    )
    found = fit_scale(values, observed > 0, config.scaling, config.safe_scaling)
    return {
        name: relative_error(getattr(found, name), numbers[name], per_series=True)
        for name in ("loc", "scale")
    }


@pytest.mark.parametrize("name", ["robust", "mean", "std"])
def test_the_safe_scaler_is_the_reference_s_where_that_is_sound(name: str):
    numbers = read_recorded(GOLDENS / f"{name}.npz")
    errors = recorded_loc_and_scale(from_torch(GOLDENS / f"{name}.ckpt")[0], numbers)
    assert max(errors.values()) < verification.TOLERANCE


SCALES = {"features", "loc and scale"}


def forward_results() -> dict[str, np.ndarray]:
    """Recorded results without gradients and decoding, which take longest."""
    numbers = read_recorded(GOLDENS / "robust.npz")
    return {n: a for n, a in numbers.items() if not n.startswith(("grad", "decode"))}


def swap_keys_and_values(parameters: dict) -> set[str]:
    kernel = parameters["block_0"]["attention"]["key_value"]["kernel"]
    kernel[:] = np.roll(kernel, kernel.shape[1] // 2, axis=1)
    return SCALES


def zero_everything(parameters: dict) -> set[str]:
    for leaf in jax.tree.leaves(parameters):
        leaf[:] = 0
    return SCALES


def swap_parameters(parameters: dict) -> set[str]:
    head = parameters["head"]
    head["loc"], head["scale"] = head["scale"], head["loc"]
    return SCALES | {"hidden states"}


def turn_gate(parameters: dict) -> set[str]:
    mlp = parameters["block_1"]["mlp"]
    mlp["gate"], mlp["up"] = mlp["up"], mlp["gate"]
    return SCALES


@pytest.mark.parametrize(
    "damage", [swap_keys_and_values, zero_everything, swap_parameters, turn_gate]
)
def test_wrong_weights_fail(damage: Any):
    config, parameters = from_torch(GOLDENS / "robust.ckpt")
    unharmed = damage(parameters)
    checks = list(verify(config, parameters, forward_results()))
    assert {check.quantity for check in checks if check.passed} == unharmed


def test_a_wrong_step_of_a_decoding_mode_fails(monkeypatch: pytest.MonkeyPatch):
    """The first step comes right, so that only the later ones can give the fault away."""
    config, parameters = from_torch(GOLDENS / "rope_linear.ckpt")
    numbers = read_recorded(GOLDENS / "rope_linear.npz")
    monkeypatch.setattr(verification, "_verify_training", lambda *_: [])
    monkeypatch.setattr(verification, "_PROGRAMS", {"recompute": "kv_cache"})
    (check,) = verify(config, parameters, numbers)
    assert not check.passed


def test_errors_are_relative_to_the_tensor_or_to_the_series():
    recorded = np.array([[100.0, 1.0], [0.0, 0.001]])
    ours = recorded + [[0.0, 0.0], [0.0, 0.001]]
    assert relative_error(ours, recorded) == pytest.approx(1e-5)
    assert relative_error(ours, recorded, per_series=True) == pytest.approx(1.0)
    assert relative_error(np.zeros((2, 1)), np.zeros((2, 1)), per_series=True) == 0
    assert relative_error(np.ones((2, 1)), np.zeros((2, 1)), per_series=True) == np.inf
    assert relative_error(np.full((2, 2), np.nan), recorded) == np.inf
    assert relative_error(np.zeros(3), recorded) == np.inf


@pytest.fixture
def light(tmp_path: pathlib.Path) -> pathlib.Path:
    """A file of recorded results that are verified quickly."""
    np.savez(tmp_path / "light.npz", **forward_results())
    return tmp_path / "light.npz"


def test_the_command_converts_and_verifies(
    light: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
):
    words = [str(GOLDENS / "robust.ckpt"), str(tmp_path / "model")]
    assert cli.main(["--no-cache", "convert", *words, "--verify", str(light)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:4] for line in lines[:-1]] == ["ok  "] * 5
    assert lines[0].split()[1] == "features"
    assert from_pretrained(tmp_path / "model")[0] == ModelConfig.tiny()


def test_the_command_fails_and_writes_nothing_where_numbers_differ(
    light: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
):
    words = [str(GOLDENS / "nope.ckpt"), str(tmp_path / "model")]
    assert cli.main(["--no-cache", "convert", *words, "--verify", str(light)]) == 1
    assert "FAIL hidden states" in capsys.readouterr().out
    assert not (tmp_path / "model").exists()


def test_the_command_goes_back_to_a_checkpoint(tmp_path: pathlib.Path):
    config, parameters = from_torch(GOLDENS / "mean.ckpt")
    save_pretrained(tmp_path / "model", config, parameters)
    words = [str(tmp_path / "model"), str(tmp_path / "back.ckpt"), "--to-torch"]
    assert cli.main(["--no-cache", "convert", *words]) == 0
    again, back = from_torch(tmp_path / "back.ckpt")
    assert again == config
    jax.tree.map(np.testing.assert_array_equal, back, parameters)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone.ckpt", "out"], "gone.ckpt: there is no such file"),
        (["{robust}", "{folder}/file/out"], "file/out"),
        (["{robust}", "out", "--verify", "gone.npz"], "gone.npz: no recorded results"),
        (["{robust}", "out", "--verify", "{robust}"], "robust.ckpt: lacks future_target"),
        (["{robust}", "out.ckpt", "--to-torch", "--half"], "do not go with --to-torch"),
    ],
)
def test_the_command_says_what_is_wrong(
    words: list[str],
    message: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    places = {"robust": GOLDENS / "robust.ckpt", "folder": tmp_path}
    filled = [word.format(**places) for word in words]
    assert cli.main(["--no-cache", "convert", *filled]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_incomplete_recordings_are_named():
    config, parameters = from_torch(GOLDENS / "robust.ckpt")
    numbers = forward_results()
    del numbers["act_block_1"]
    with pytest.raises(CheckpointError, match="lack a tensor .'act_block_1'"):
        list(verify(config, parameters, numbers))
