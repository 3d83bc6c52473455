"""Windows: what is drawn, what is gathered, and that host and device agree."""

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare, ks_2samp

from lagllama_jax.config import DataConfig, ModelConfig
from lagllama_jax.model.calendar_features import calendar_features, wall_clock
from lagllama_jax.training.sources.corpus_arrays import corpus_arrays
from lagllama_jax.training.sources.windows import Draws, draw, draw_on_host, gather
from tests.training.conftest import packed

MODEL = ModelConfig.tiny(lags=(0, 1, 5), context_length=8)
EVERYTHING = DataConfig(
    future_length=4,
    min_context=3,
    min_past=2,
    series_power=0.5,
    short_history=0.3,
    drop_calendar=0.2,
    stretch=0.3,
)


@pytest.fixture(scope="module")
def corpus():
    generator = np.random.default_rng(0)
    series = [generator.normal(size=n).astype(np.float32) for n in (40, 25, 300, 18, 90)]
    series[2][50:60] = np.nan
    starts = ["2020-02-27 13:00", "2019-12-30", "2021-01-31", "1999-06-30", "2020-01-01"]
    return packed(series, starts, ["h", "D", "15min", "ME", "W-WED"])


def pair(corpus, data):
    return corpus_arrays(corpus, MODEL, data), corpus_arrays(corpus, MODEL, data, on_device=False)


def standardised(corpus, index):
    return corpus.values[corpus.offsets[index] : corpus.offsets[index + 1]]


def drawn(device, data, count=20_000):
    """Draws of the device as NumPy arrays."""
    draws = jax.jit(lambda key: draw(key, device, count, MODEL, data))(jax.random.key(0))
    return Draws(*map(np.asarray, draws))


def one(series, start, context=8, history=13, stretch=1, dated=True):
    fields = (series, start, context, history, stretch, dated)
    return Draws(*(np.array([field]) for field in fields))


def test_the_host_gathers_what_the_device_gathers(corpus):
    device, host = pair(corpus, EVERYTHING)
    draws = drawn(device, EVERYTHING, 500)
    theirs = jax.jit(lambda draws: gather(device, draws, MODEL, EVERYTHING))(draws)
    ours = gather(host, draws, MODEL, EVERYTHING)
    for name, mine, other in zip(ours._fields, ours, theirs, strict=True):
        assert isinstance(mine, np.ndarray) and mine.dtype == np.asarray(other).dtype, name
        np.testing.assert_allclose(mine, other, atol=2e-5, err_msg=name)


def test_both_paths_draw_from_the_same_distribution(corpus):
    count = 20_000
    device, host = pair(corpus, EVERYTHING)
    first = drawn(device, EVERYTHING, count)
    second = draw_on_host(np.random.default_rng(1), host, count, MODEL, EVERYTHING)
    for name in Draws._fields:
        a, b = getattr(first, name), getattr(second, name)
        values = np.union1d(a, b)
        if len(values) > 30:
            assert ks_2samp(a, b).pvalue > 1e-4, name
            continue
        counts = [np.bincount(np.searchsorted(values, x), minlength=len(values)) for x in (a, b)]
        assert chisquare(counts[0], np.maximum(counts[1], 1) * count / counts[1].sum(), ddof=0,
                         sum_check=False).pvalue > 1e-6, name  # fmt: skip


def test_a_published_window_has_its_full_history_and_future_and_starts_anywhere(corpus):
    data = DataConfig()
    device, host = pair(corpus, data)
    draws = drawn(device, data)
    windows = gather(host, draws, MODEL, data)
    assert (draws.start >= MODEL.past_length).all() and (draws.context == 8).all()
    assert (draws.start < corpus.lengths[draws.series]).all()
    complete = draws.series != 2  # the one with missing values
    assert windows.observed[complete].all()
    starts = np.bincount(draws.start[draws.series == 0])[MODEL.past_length :]
    assert len(starts) == 40 - MODEL.past_length and chisquare(starts).pvalue > 1e-4


def test_a_window_shows_the_series_and_hides_what_lies_outside_it(corpus):
    data = DataConfig(future_length=4, min_past=2)
    _, host = pair(corpus, data)
    window = gather(host, one(0, 10), MODEL, data)
    length = MODEL.past_length + 4
    expected = np.full(length, np.nan)
    expected[3:] = standardised(corpus, 0)[:14]
    np.testing.assert_array_equal(window.observed[0, 0], ~np.isnan(expected))
    np.testing.assert_array_equal(window.values[0, 0], np.nan_to_num(expected))
    late = gather(host, one(0, 38), MODEL, data)
    assert late.observed[0].sum() == MODEL.past_length + 2 and not late.observed[0, 0, -2:].any()


def test_a_short_context_moves_the_forecast_forward_and_a_short_history_hides_what_is_before(
    corpus,
):
    data = DataConfig(future_length=4, min_past=2, min_context=3)
    _, host = pair(corpus, data)
    window = gather(host, one(0, 30, context=3, history=6), MODEL, data)
    assert window.start[0] == MODEL.max_lag + 3
    shown = np.flatnonzero(window.observed[0, 0])
    np.testing.assert_array_equal(window.values[0, 0, shown], standardised(corpus, 0)[24:39])
    assert shown[0] == MODEL.max_lag + 3 - 6


def test_the_calendar_is_that_of_each_token(corpus):
    data = DataConfig(future_length=4, min_past=2)
    _, host = pair(corpus, data)
    for series in range(5):
        window = gather(host, one(series, 12), MODEL, data)
        calendar = type(corpus.calendar)(*(field[series] for field in corpus.calendar))
        expected = calendar_features(*wall_clock(calendar, np.arange(12 - 8, 12 + 4)))
        np.testing.assert_array_equal(window.time_features[0], expected)
    undated = gather(host, one(0, 12, dated=False), MODEL, data)
    assert not undated.time_features.any()


def test_windows_have_the_clock_of_their_time_zone():
    """Over two changes of the clock, by NumPy and by JAX."""
    stamps = pd.date_range("2024-03-20", periods=6000, freq="h", tz="Europe/Berlin")
    corpus = packed([np.sin(np.arange(6000.0))], [stamps[0]])
    start = np.arange(50, 5990, 30)
    flat, ones = np.zeros_like(start), np.ones_like(start)
    draws = Draws(flat, start, 8 * ones, 100 * ones, ones, ones > 0)
    for arrays in pair(corpus, DataConfig(future_length=4)):
        window = gather(arrays, draws, MODEL, DataConfig(future_length=4))
        shown = stamps.hour.to_numpy()[start[:, None] + np.arange(-8, 4)]
        np.testing.assert_allclose(window.time_features[..., 2], shown / 23 - 0.5, atol=1e-6)


def test_a_stretched_window_passes_through_the_points_with_the_calendar_of_the_finer_grid(corpus):
    data = DataConfig(future_length=4, min_past=2, stretch=1.0)
    _, host = pair(corpus, data)
    window = gather(host, one(2, 200, stretch=3), MODEL, data)
    at_points = window.values[0, 0, int(window.start[0]) % 3 :: 3]
    first = 200 - int(window.start[0]) // 3
    np.testing.assert_array_equal(
        at_points, standardised(corpus, 2)[first : first + len(at_points)]
    )
    minutes = window.time_features[0, :, 1]
    steps = np.round(np.diff(minutes) * 59).astype(int) % 60
    assert set(steps) == {5}  # a third of 15 minutes
