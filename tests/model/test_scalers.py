"""Scalers: the reference's numbers, and the bounds that the safe default adds."""

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lagllama_jax.model.scalers import ROUNDING_SHARE, WIDER_RANGES, Scale, fit_scale

SCALINGS = ["robust", "mean", "std", "none"]
LARGEST = {"robust": 1e30, "mean": 1e30, "std": 1e18, "none": 1e30}
LONGEST = 340
NARROWEST = WIDER_RANGES[-1][1]
"""The smallest share of a range that is taken as the scale."""
series = hnp.arrays(
    np.float32, (3, 20), elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
)
masks = hnp.arrays(bool, (3, 20))
eighths = st.integers(-8000, 8000).map(lambda n: n / 8)
"""Values that float32 holds exactly, also after a shift or a change of unit."""
sizes = st.tuples(st.floats(-30, 30), st.sampled_from([-1.0, 1.0])).map(lambda s: s[1] * 10 ** s[0])
"""Numbers of any sign and size."""


compiled = jax.jit(fit_scale, static_argnums=(2, 3))


def fit(values, observed, scaling, safe):
    return compiled(jnp.asarray(values), jnp.asarray(observed), scaling, safe)


def robust(values) -> Scale:
    """The safe robust scale of one series, padded to one length so that it is compiled once."""
    row = np.zeros((1, LONGEST), np.float32)
    row[0, : len(values)] = values
    scale = fit(row, np.arange(LONGEST)[None] < len(values), "robust", safe=True)
    return Scale(float(scale.loc[0, 0]), float(scale.scale[0, 0]))


@pytest.mark.parametrize("scaling", ["robust", "mean", "std"])
def test_the_exact_setting_gives_the_references_numbers(scaling, golden):
    recorded = np.load(golden / "scalers.npz")
    observed = recorded["observed"] > 0
    scale = fit(recorded["data"], observed, scaling, safe=False)
    rows = observed.any(axis=1) if scaling == "mean" else slice(None)  # see `mean_scale`
    assert np.allclose(scale.loc[rows], recorded[f"{scaling}/loc"][rows], rtol=1e-6, atol=5e-4)
    assert np.allclose(scale.scale[rows], recorded[f"{scaling}/scale"][rows], rtol=1e-6)


@given(series, masks)
def test_the_safe_robust_scale_is_the_references_wherever_that_is_above_rounding(values, observed):
    exact, safe = (fit(values, observed, "robust", flag) for flag in (False, True))
    seen = np.where(observed, values, np.nan)
    whole = np.nan_to_num(
        [np.ptp(row[~np.isnan(row)]) if (row == row).any() else 0 for row in seen]
    )
    sound = np.asarray(exact.scale)[:, 0] > np.maximum(ROUNDING_SHARE * np.array(whole), 1e-9)
    assert np.array_equal(exact.loc, safe.loc)
    assert np.array_equal(exact.scale[sound], safe.scale[sound])


@pytest.mark.parametrize("scaling", SCALINGS)
@given(data=st.data(), observed=masks)
def test_a_safe_scale_is_positive_and_standardises_to_finite_numbers(scaling, data, observed):
    largest = float(np.float32(LARGEST[scaling]))
    elements = st.floats(-largest, largest, width=32, allow_subnormal=False)
    values = data.draw(hnp.arrays(np.float32, (3, 20), elements=elements))
    scale = fit(values, observed, scaling, safe=True)
    assert (np.asarray(scale.scale) > 0).all()
    assert np.isfinite(scale.scale).all()
    assert np.isfinite(scale.loc).all()
    assert np.isfinite(scale.standardise(jnp.asarray(np.where(observed, values, 0)))).all()


@pytest.mark.parametrize("scaling", SCALINGS)
def test_what_follows_a_past_of_next_to_nothing_is_finite_too(scaling):
    values = np.full((1, 20), np.finfo(np.float32).tiny)
    values[0, -1] = 1e6
    scale = fit(values, np.arange(20)[None] < 19, scaling, safe=True)
    assert np.isfinite(scale.standardise(jnp.asarray(values))).all()


@given(sizes, st.integers(0, 20))
def test_a_series_without_variation_has_its_value_as_loc_and_the_scale_1(value, count):
    observed = np.arange(20)[None] < count
    scale = fit(np.full((1, 20), value, np.float32), observed, "robust", safe=True)
    assert scale.scale[0, 0] == 1
    assert scale.loc[0, 0] == (np.float32(value) if count else 0)


def test_one_sentinel_leaves_the_scale_of_a_series_as_it_was():
    values = np.random.default_rng(0).normal(18.6, 0.3, 300)
    clean = robust(values)
    values[100] = -99999
    assert np.allclose(robust(values), clean, rtol=0.02)


@given(st.lists(eighths, min_size=8, max_size=60, unique=True), sizes, st.integers(0, 60))
def test_one_arbitrary_value_moves_loc_and_scale_by_less_than_one_rank(others, wrong, place):
    """Adding a value moves every order statistic by at most one rank among the others."""
    rank, count = sorted(others), len(others)
    low, high = 0.25 * count, 0.75 * count
    loc, scale = robust([*others[:place], wrong, *others[place:]])
    assert rank[count // 2 - 1] <= loc <= rank[count // 2]
    most = rank[int(np.ceil(high))] - rank[int(low) - 1]
    least = rank[int(high) - 1] - rank[int(np.ceil(low))]
    assert least * (1 - 1e-5) <= scale <= most * (1 + 1e-5)


@given(st.lists(eighths.filter(bool), min_size=8, max_size=30, unique=True), sizes, st.data())
def test_one_arbitrary_value_among_mostly_equal_ones_is_never_the_scale(others, wrong, data):
    zeros = data.draw(st.integers(len(others), 300))
    clean = np.concatenate([np.zeros(zeros), others])
    loc, scale = robust([wrong, *clean])
    assert min(others) <= loc <= max(others) or loc == 0
    least = ROUNDING_SHARE * NARROWEST * np.abs(others).min()
    assert least * (1 - 1e-5) <= scale <= np.ptp(clean) * (1 + 1e-5)


@given(st.lists(eighths, min_size=2, max_size=60), st.integers(-6, 6), st.integers(-500, 500))
def test_loc_and_scale_follow_unit_and_origin(values, exponent, origin):
    assume(np.ptp(values) > 0)
    one, two = robust(values), robust(2.0**exponent * np.array(values) + origin)
    assert np.isclose(2.0**exponent * one.loc + origin, two.loc, rtol=1e-5, atol=1e-4)
    assert np.isclose(2.0**exponent * one.scale, two.scale, rtol=1e-3)


@given(st.lists(eighths, min_size=1, max_size=60), st.randoms())
def test_the_robust_scale_does_not_depend_on_the_order_of_the_values(values, random):
    shuffled = random.sample(values, len(values))
    assert robust(values) == robust(shuffled)


@given(st.integers(20, 300), st.floats(0, 0.5), st.integers(0, 1000))
def test_the_scale_of_an_intermittent_series_is_of_the_order_of_its_nonzero_values(n, share, seed):
    draw = np.random.default_rng(seed)
    values = np.zeros(n)
    places = draw.permutation(n)[: max(int(share * n), 1)]
    values[places] = draw.uniform(1, 2, len(places))
    assert 0.2 <= robust(values).scale <= 2


@given(st.integers(1, 299), st.floats(-2, 2), st.floats(-4, 2), st.booleans())
def test_one_step_in_300_points_has_a_scale_of_the_order_of_the_step(place, level, power, returns):
    values = np.full(300, level, np.float32)
    values[place : place + 1 if returns else None] += np.float32(10**power)
    step = np.ptp(values)
    assert step / 30 <= robust(values).scale <= step * (1 + 1e-5)


def test_the_deviation_of_values_whose_squares_exceed_float32_is_finite():
    values = np.float32(1e18) * np.random.default_rng(0).uniform(-1, 1, (2, 1221)).astype("f")
    scale = fit(values, np.ones_like(values, bool), "std", safe=False)
    assert np.allclose(scale.scale[:, 0], values.astype(float).std(axis=1), rtol=1e-5)


@pytest.mark.parametrize("scaling", SCALINGS)
@given(values=series, observed=masks, other=st.floats(-1e6, 1e6, width=32))
def test_what_stands_at_missing_places_does_not_matter(scaling, values, observed, other):
    changed = np.where(observed, values, np.float32(other))
    for one, two in zip(
        fit(values, observed, scaling, True), fit(changed, observed, scaling, True), strict=True
    ):
        assert np.array_equal(one, two)


@given(values=series, exponent=st.integers(-20, 20))
def test_the_mean_scale_follows_the_unit(values, exponent):
    unit = np.float32(2.0**exponent)
    observed = np.ones_like(values, bool)
    one, two = fit(values, observed, "mean", True), fit(unit * values, observed, "mean", True)
    scaled = np.abs(values).max(axis=1) > 1e-3
    assert np.allclose((one.scale * unit)[scaled], two.scale[scaled], rtol=1e-5)
