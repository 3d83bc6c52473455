import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax import ForecastConfig
from lagllama_jax.inference.nonnegative import warn_of_negative
from lagllama_jax.series.arrays import read_arrays


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5), st.booleans())
def test_negative_values_are_told_where_they_are_cut_off(values, nonnegative):
    series = read_arrays([[1.0, 2.0], [*values, None]])
    config = ForecastConfig(nonnegative=nonnegative)
    if nonnegative and min(values) < 0:
        with pytest.warns(UserWarning, match=r"1 of 2 series have negative .* of '1'"):
            warn_of_negative(series, config)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warn_of_negative(series, config)
