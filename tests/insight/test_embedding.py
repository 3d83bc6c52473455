"""Embeddings."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.errors import ConfigError, DataError

pytestmark = pytest.mark.usefixtures("hurry")


@settings(max_examples=15)
@given(st.floats(-9, 9), st.floats(-1e4, 1e4))
def test_unit_and_level_do_not_matter(model, walk, power, level):
    gap = np.where(np.arange(120) % 11 == 3, np.nan, walk)
    embedded = model.embed([walk, gap])
    moved = model.embed([10**power * (one + level) for one in (walk, gap)])
    np.testing.assert_allclose(moved, embedded, atol=2e-5)
    assert np.abs(embedded[0] - embedded[1]).max() > 0.02  # other shapes have other vectors


def test_a_series_is_embedded_alike_in_any_form_and_company(model, walk):
    days = pd.date_range("2024-01-01", periods=120)
    alone = model.embed(walk, start="2024-01-01", freq="D")
    frame = pd.DataFrame({"unique_id": "a", "ds": days, "y": walk})[::-1]
    np.testing.assert_allclose(model.embed(frame), alone, atol=1e-6)
    many = model.embed([walk[:30], [*walk, np.nan]], start="2024-01-01", freq="D")
    np.testing.assert_allclose(many[1:], alone, atol=1e-6)
    assert np.abs(model.embed(walk) - alone).max() > 1e-4  # dates are read


def test_vectors_per_step_average_to_the_vector_of_the_series(one_pass, walk):
    steps = one_pass.embed([walk, walk[:5]], per_step=True)
    assert steps.shape == (2, 8, 16)
    assert np.isnan(steps[1, :3]).all() and np.isfinite(steps[1, 3:]).all()
    np.testing.assert_allclose(np.nanmean(steps, 1), one_pass.embed([walk, walk[:5]]), atol=1e-5)
    assert one_pass.embed(walk, per_step=True, context_length=20).shape == (1, 20, 16)


def test_constant_and_single_values_have_vectors(model):
    found = model.embed([[7.0] * 40, [1e9] * 40, [3.0]])
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize(
    ("series", "options", "error", "message"),
    [
        ([], {}, DataError, "No series"),
        ([[1.0, 2.0], []], {}, DataError, "'1'"),
        ([[1.0, 2.0], [np.nan] * 3], {}, DataError, "'1' has no value"),
        ([[1.0, np.inf]], {}, DataError, "infinite"),
        ([[1.0, 2.0]], {"context_length": 0}, ConfigError, "context_length=0"),
        ([[1.0, 2.0]], {"context_length": 10**7}, ConfigError, "context_length"),
    ],
)
def test_bad_input_is_named(one_pass, series, options, error, message):
    with pytest.raises(error, match=message):
        one_pass.embed(series, **options)
