import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from lagllama_jax.series.standardise import FURTHEST, standard_of

sizes = st.floats(1e-300, 1e300) | st.floats(-1e300, -1e-300) | st.floats(-1e6, 1e6)


def round_trip(values):
    values = np.asarray(values, np.float64)
    standard = standard_of(values)
    return standard.center, standard.unit, standard.apply(values)


@given(st.lists(sizes | st.just(np.nan), min_size=1, max_size=80))
def test_values_of_any_size_come_back_to_within_float32(values):
    center, unit, standardised = round_trip(values)
    observed = ~np.isnan(values)
    assert np.isfinite([center, unit]).all() and unit > 0 and np.log2(unit) % 1 == 0
    assert standardised.dtype == np.float32
    assert np.isfinite(np.square(standardised[observed], dtype=np.float32)).all()
    raw = np.array(values)[observed]
    near = np.abs(raw - center) / FURTHEST < unit
    error = np.abs(unit * standardised[observed].astype(np.float64) + center - raw)
    rounding = 2**-23 * np.abs(raw - center) + np.spacing(np.abs(raw))
    assert (error <= rounding + unit * np.finfo(np.float32).tiny)[near].all()


@given(
    st.integers(-(2**52), 2**52),
    st.lists(st.integers(0, 2**23 - 1), min_size=1, max_size=300),
    st.sampled_from([1.0, 0.01]),
)
def test_whole_numbers_come_back_exactly(level, counts, share):
    """Also where most of them are 0, as counts often are."""
    counts = np.array(counts) * (np.arange(len(counts)) < max(1, share * len(counts)))
    center, unit, standardised = round_trip(level + counts)
    assert center % 1 == 0
    assert (unit * standardised.astype(np.float64) + center == level + counts).all()


@given(st.floats(1e-6, 1e6), st.floats(-1e10, 1e10))
def test_the_shape_of_a_series_does_not_depend_on_its_level(factor, level):
    shape = np.sin(np.arange(200))
    center, unit, standardised = round_trip(factor * (shape + level))
    again = (unit * standardised.astype(np.float64) + center) / factor - level
    assert np.abs(again - shape).max() < 1e-5
    assert 0.5 < np.subtract(*np.percentile(standardised, [75, 25])) < 2


@given(st.floats(-1e30, 1e30))
def test_one_arbitrary_value_moves_center_and_unit_little(outlier):
    shape = 18.6 + 0.3 * np.sin(np.arange(300))
    center, unit, _ = round_trip(np.append(shape, outlier))
    assert abs(center - 18.6) < 0.3
    assert unit <= 1


def test_rows_are_standardised_one_by_one():
    rows = np.array([[1.0, 5.0, np.nan, 9.0], [7.0, 7.0, 7.0, 7.0], [np.nan] * 4])
    standard = standard_of(rows)
    assert standard.center.tolist() == [5, 7, 0] and standard.unit.tolist() == [4, 8, 1]
    assert standard.constant.tolist() == [False, True, False]
    for row, standardised in zip(rows, standard.apply(rows), strict=True):
        np.testing.assert_array_equal(standardised, standard_of(row).apply(row))
