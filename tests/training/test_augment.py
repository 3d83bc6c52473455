"""Frequency masking and mixing: the reference's recorded results, missing values, and the gate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagllama_jax.training.augment import augment, mask_frequencies, mix_frequencies
from tests.training.conftest import batch_of

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


def windows(batch, length=53):
    values = np.random.default_rng(0).normal(size=(batch, length)).cumsum(1)
    observed = jax.random.bernoulli(jax.random.key(3), 0.7, values.shape)
    return batch_of(values, observed, np.zeros((batch, 4, 6)), length - 1)


def test_missing_points_stay_missing_and_do_not_leak():
    run = jax.jit(lambda batch: augment(jax.random.key(3), batch, 1.0))
    before = windows(40)
    changed = run(before)
    other = run(before._replace(values=jnp.where(before.observed, before.values, 1e6)))
    assert bool((changed.values != before.values).any(axis=-1).all())
    assert bool((changed.observed == before.observed).all())
    assert bool((changed.values[~before.observed] == 0).all())
    np.testing.assert_array_equal(changed.values, other.values)


def test_the_share_of_changed_batches_is_the_one_asked_for():
    before = windows(4)

    def is_changed(key):
        return jnp.any(augment(key, before, 0.3).values != before.values)

    changed = jax.lax.map(jax.jit(is_changed), jax.random.split(jax.random.key(3), 600))
    assert abs(float(changed.mean()) - 0.3) < 0.07
