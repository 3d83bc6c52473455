"""The reference's ways of decoding, against traces that it recorded (given what it fed back: see
`tests/pretrained/test_parity.py`), here on their own feedback."""

import pathlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagllama_jax.checkpoints.torch.converter import from_torch
from lagllama_jax.checkpoints.torch.parity.decoders import reference_decode
from lagllama_jax.checkpoints.torch.parity.verify import _PROGRAMS
from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import ConfigError
from lagllama_jax.model.network import init_parameters

TOLERANCE = 2e-5


def largest_error(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest error in units of the largest value, a series."""
    ours, theirs = (np.asarray(a, np.float64).reshape(len(a), -1) for a in (ours, theirs))
    largest = np.abs(theirs).max(axis=1)
    return float(np.max(np.abs(ours - theirs).max(axis=1) / np.where(largest > 0, largest, 1)))


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("robust", "recompute"),
        ("rope_dynamic", "kv_cache"),
        ("neg_bin", "single_pass_kv"),
        ("no_time_feat", "single_pass"),
    ],
)
def test_every_step_on_its_own_feedback_equals_the_recorded_one(
    repository: pathlib.Path, name: str, mode: str
):
    folder = repository / "tests/goldens"
    config, parameters = from_torch(folder / f"{name}.ckpt", reference_scaling=True)
    recorded = np.load(folder / f"{name}.npz")
    steps = recorded["future_target"].shape[1]
    program = _PROGRAMS[mode]
    fixed = {"config": config, "prediction_length": steps, "mode": program}
    decode = jax.jit(partial(reference_decode, **fixed))
    fields = ("past_target", "past_observed_values", "past_time_feat", "future_time_feat")
    inputs = {field: recorded[field] for field in fields if field in recorded}
    noise = recorded["decode_noise"] if mode == program else None
    trace = decode(parameters, inputs=inputs, noise=noise)
    for quantity in ("loc", "scale", "fed"):
        theirs = recorded[f"decode_{mode}/{quantity}"]
        assert largest_error(trace[quantity], theirs) <= TOLERANCE, quantity
    theirs = recorded[f"decode_{mode}/params"]
    assert trace["params"].shape == theirs.shape
    for k in range(theirs.shape[-1]):
        assert largest_error(trace["params"][..., k], theirs[..., k]) <= TOLERANCE


def test_a_head_without_parameters_has_no_trace():
    config = ModelConfig.tiny(head="implicit_quantile")
    parameters = init_parameters(config, jax.random.key(0))
    past = jnp.ones((1, config.past_length))
    with pytest.raises(ConfigError, match="implicit quantile"):
        inputs = {"past_target": past, "past_observed_values": past > 0}
        reference_decode(parameters, config, inputs, 2, "recompute")
