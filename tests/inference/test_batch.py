"""Windows of items of any lengths, in float64 until they are standardised."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import DataError
from lagllama_jax.inference.batch import identity, prepare
from lagllama_jax.model.calendar_features import calendar_features
from lagllama_jax.series.arrays import read_arrays
from lagllama_jax.series.dataset import SeriesDataset

MODEL = ModelConfig.tiny(lags=(0, 1, 3), context_length=4, scale_features="relative")
LENGTH = MODEL.past_length

values = st.one_of(st.floats(-1e300, 1e300), st.just(np.nan))


def one(series, model=MODEL):
    return prepare(SeriesDataset(["a"], [np.array(series)[None]]), np.array([0]), model, 2)


@given(st.lists(values, min_size=1, max_size=20), st.sampled_from([0.0, 1e9, -1e12]))
def test_a_window_ends_with_the_series_and_comes_back_in_float64(series, level):
    series = np.array(series) + level
    prepared, kept = one(series), series[-LENGTH:]
    batch, padding = prepared.batch, LENGTH - kept.size
    assert not batch.observed[0, 0, :padding].any() and not batch.values[0, 0, :padding].any()
    np.testing.assert_array_equal(batch.observed[0, 0, padding:], ~np.isnan(kept))
    assert batch.values.dtype == np.float32 and np.isfinite(batch.values).all()
    raw = prepared.raw(batch.values[:, :, None])[0, 0, 0, padding:]
    seen = ~np.isnan(kept)
    distance = np.abs(kept - prepared.center[0, 0])
    near = seen & (distance / max(prepared.width[0, 0], 1e-300) <= 1e14)
    error = np.abs(raw - kept)[near]
    assert (error <= 2e-7 * distance[near] + 1e-12 * np.abs(kept[near])).all()


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ([1.0, np.inf], "'a': value inf at point 1"),
        ([0.0] * 20 + [-1e308, 2.0], "'a': value -1e.308 at point 20"),
        ([], "'a' has shape"),
    ],
)
def test_a_series_that_cannot_be_used_is_named(series, message):
    with pytest.raises(DataError, match=message):
        one(series)


def test_models_that_read_raw_values_have_a_smaller_limit():
    model = MODEL.replace(scaling="mean")
    assert one([5.0, 6.0], model).batch.values[0, 0, -2:].tolist() == [5.0, 6.0]
    with pytest.raises(DataError, match="larger than 1e.18"):
        one([5.0, 1e19], model)


def test_values_before_the_window_do_not_matter():
    assert (one([np.inf] + [1.0] * LENGTH).batch.observed).all()


def test_a_constant_series_has_no_width_and_one_small_step_has():
    assert one([7.0] * 3).width == 0 and one([7.0] * 3).center == 7.0
    assert one([7.0] * 2).width > 0
    assert one([1e6] * 6 + [1e6 + 1e-3]).width == pytest.approx(1e-3, rel=1)


def test_identity_is_stable_and_tells_names_apart():
    assert identity("T1") == 0xCED08A95 == identity("T1")
    assert len({identity(str(i)) for i in range(10_000)}) == 10_000


def test_calendar_features_are_those_of_the_last_points_and_of_the_ones_to_come():
    dataset = read_arrays([np.arange(9.0), np.arange(2.0)], "2024-02-27", "D", ["a", "b"])
    batch = prepare(dataset, np.array([1, 0]), MODEL, 3).batch
    day = np.datetime64("2024-02-27").astype(int)
    days = day + np.array([np.arange(-2, 5), np.arange(5, 12)])
    np.testing.assert_array_equal(batch.time_features, calendar_features(days, 0 * days))
    neutral = prepare(SeriesDataset(["a"], [np.ones((1, 3))]), np.array([0]), MODEL, 3).batch
    assert neutral.time_features.shape == (1, 7, 6) and not neutral.time_features.any()
