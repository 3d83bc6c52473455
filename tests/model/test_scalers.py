"""Scalers: the reference's numbers, and what the safe default adds."""

import hypothesis.extra.numpy as hnp
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.model.scalers import SOUND_SHARE, fit_scale

SCALINGS = ["robust", "mean", "std", "none"]
series = hnp.arrays(
    np.float32, (3, 20), elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
)
masks = hnp.arrays(bool, (3, 20))


def fit(values, observed, scaling, safe):
    return fit_scale(jnp.asarray(values), jnp.asarray(observed), scaling, safe)


@pytest.mark.parametrize("scaling", ["robust", "mean", "std"])
def test_the_exact_setting_gives_the_references_numbers(scaling, golden):
    recorded = np.load(golden / "scalers.npz")
    observed = recorded["observed"] > 0
    scale = fit(recorded["data"], observed, scaling, safe=False)
    rows = observed.any(axis=1) if scaling == "mean" else slice(None)  # see `mean_scale`
    assert np.allclose(scale.loc[rows], recorded[f"{scaling}/loc"][rows], rtol=1e-6, atol=5e-4)
    assert np.allclose(scale.scale[rows], recorded[f"{scaling}/scale"][rows], rtol=1e-6)


@given(series, masks)
def test_the_safe_robust_scale_is_the_references_wherever_that_is_sound(values, observed):
    exact, safe = (fit(values, observed, "robust", flag) for flag in (False, True))
    deviation = np.array(
        [
            row[seen].std() if seen.any() else np.inf
            for row, seen in zip(values, observed, strict=True)
        ]
    )
    sound = np.asarray(exact.scale)[:, 0] > 1.01 * np.maximum(SOUND_SHARE * deviation, 1e-10)
    assert np.array_equal(exact.loc, safe.loc)
    assert np.array_equal(exact.scale[sound], safe.scale[sound])


@pytest.mark.parametrize("scaling", SCALINGS)
@given(values=series, observed=masks)
def test_a_safe_scale_is_positive_and_standardises_to_finite_numbers(scaling, values, observed):
    scale = fit(values, observed, scaling, safe=True)
    assert (np.asarray(scale.scale) > 0).all()
    assert np.isfinite(scale.standardise(jnp.asarray(values))).all()


@pytest.mark.parametrize("scaling", SCALINGS)
def test_what_follows_a_past_of_next_to_nothing_is_finite_too(scaling):
    values = np.full((1, 20), np.finfo(np.float32).tiny)
    values[0, -1] = 1e6
    scale = fit(values, np.arange(20)[None] < 19, scaling, safe=True)
    assert np.isfinite(scale.standardise(jnp.asarray(values))).all()


def test_mostly_equal_values_fall_back_to_deviation_then_magnitude_then_one():
    values = np.zeros((3, 40), np.float32)
    values[0, :4] = [1, 2, 3, 4]
    values[1] = -7
    scale = fit(values, np.ones_like(values, bool), "robust", safe=True)
    assert np.allclose(scale.scale[:, 0], [values[0].std(), 7, 1])


@pytest.mark.parametrize("scaling", SCALINGS)
@given(values=series, observed=masks, other=st.floats(-1e6, 1e6, width=32))
def test_what_stands_at_missing_places_does_not_matter(scaling, values, observed, other):
    changed = np.where(observed, values, np.float32(other))
    for one, two in zip(
        fit(values, observed, scaling, True), fit(changed, observed, scaling, True), strict=True
    ):
        assert np.array_equal(one, two)


@pytest.mark.parametrize("scaling", ["robust", "mean"])
@given(values=series, exponent=st.integers(-20, 20))
def test_loc_and_scale_follow_the_unit(scaling, values, exponent):
    unit = np.float32(2.0**exponent)
    values = np.where(np.abs(values) < 1e-3, 0, values)  # squares stay in float32's range
    observed = np.ones_like(values, bool)
    one, two = fit(values, observed, scaling, True), fit(unit * values, observed, scaling, True)
    assert np.allclose(one.loc * unit, two.loc, rtol=1e-5)
    scaled = np.abs(values).max(axis=1) > 0
    assert np.allclose((one.scale * unit)[scaled], two.scale[scaled], rtol=1e-4)
