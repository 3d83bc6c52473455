"""Frequency masking and mixing against the reference's recorded draws and results."""

import jax.numpy as jnp
import numpy as np
import pytest

from lagllama_jax.training.augmentations.frequency import mask_frequencies, mix_frequencies

CASES = ("even", "odd", "white_even", "white_odd")


@pytest.fixture(params=CASES)
def case(request, repository):
    with np.load(repository / "tests/goldens/frequency_augmentations.npz") as file:
        prefix = f"{request.param}/"
        found = {name: file[name] for name in file if name.startswith(prefix)}
    return {name.removeprefix(prefix): value for name, value in found.items()}


def joined(case, prefix=""):
    return np.concatenate([case[f"{prefix}past"], case[f"{prefix}future"]], axis=1)


def close(ours, theirs):
    return np.abs(np.asarray(ours) - theirs).max() <= 2e-6 * np.abs(theirs).max()


def test_masking_is_the_references_given_its_draws(case):
    masked = mask_frequencies(jnp.asarray(joined(case)), case["uniform"], float(case["mask_rate"]))
    assert close(masked, joined(case, "masked_"))


def test_mixing_is_the_references_given_its_draws(case):
    mixed = mix_frequencies(
        jnp.asarray(joined(case)), case["uniform"], case["permutation"], float(case["mix_rate"])
    )
    assert close(mixed, joined(case, "mixed_"))


def test_a_rate_of_zero_changes_nothing_and_one_of_one_leaves_nothing(case):
    values = jnp.asarray(joined(case))
    odd = values.shape[1] % 2
    kept = mask_frequencies(values, case["uniform"], 0.0)
    if not odd:
        np.testing.assert_allclose(kept, values, atol=1e-5 * float(jnp.abs(values).max()))
    assert float(jnp.abs(mask_frequencies(values, case["uniform"], 1.0)[:, odd:]).max()) == 0
