"""Which series windows are drawn from, and what is said of a corpus that has none."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.config import DataConfig, ModelConfig
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.errors import DataError
from lagllama_jax.model.calendar_features import Calendar, wall_clock
from lagllama_jax.training.sources import corpus_arrays as module
from lagllama_jax.training.sources.corpus_arrays import (
    corpus_arrays,
    held_back,
    keep_last,
    shortest_series,
    usable_series,
)
from lagllama_jax.training.sources.windows import draw_on_host, gather
from tests.training.conftest import packed, waves

MODEL = ModelConfig.tiny(lags=(0, 1, 2, 7), context_length=8)
FULL = DataConfig(future_length=4)
SHORT = DataConfig(future_length=4, min_past=8)


def single(series, name="series"):
    return packed(series, name=name)


def drawn(corpus, data, **more):
    """Series that 2,000 windows come from."""
    arrays = corpus_arrays(corpus, MODEL, data, on_device=False, **more)
    draws = draw_on_host(np.random.default_rng(0), arrays, 2000, MODEL, data)
    return set(draws.series.tolist())


def test_a_data_set_without_a_window_is_left_out_with_a_warning_that_names_it():
    short = waves((18, 12), name="brief")
    flat = single([np.full(90, 3.0)], "flat")
    corpus = Corpus.concatenate([short, waves((90, 40)), flat])
    assert shortest_series(MODEL, FULL) == 19
    with pytest.warns(UserWarning, match="at least 19 points.*: brief, flat") as told:
        assert drawn(corpus, FULL) == {2, 3}
    assert len(told) == 1
    with pytest.raises(DataError, match="brief: .*the mixture asks for it"):
        corpus_arrays(corpus, MODEL, FULL, mixture={"brief": 1.0, "waves": 1.0})
    with warnings.catch_warnings(action="ignore"):
        assert drawn(corpus, FULL, mixture={"waves": 1.0}) == {2, 3}


@pytest.mark.parametrize(
    "series",
    [
        [np.full(100, 7.0), np.zeros(50)],
        [np.full(100, np.nan)],
        [np.where(np.arange(100) % 3, np.nan, 2.0)],
    ],
    ids=["constants", "nothing observed", "constant between gaps"],
)
def test_a_corpus_of_constants_is_refused(series):
    with pytest.raises(DataError, match=r"not constant \(the longest has 100\)"):
        corpus_arrays(single(series), MODEL, SHORT)


def test_a_corpus_of_short_series_is_refused_with_the_length_that_is_needed():
    with pytest.raises(DataError, match=r"at least 19 points.*longest has 18.*min_past"):
        corpus_arrays(waves((18, 5)), MODEL, FULL)
    assert drawn(waves((18, 5)), SHORT) == {0}


def test_an_infinite_value_is_refused_by_name_and_missing_ones_never_reach_a_window():
    series = np.sin(np.arange(100.0))
    with pytest.raises(DataError, match="series/0 is infinite.*at point 50"):
        single([np.where(np.arange(100) == 50, np.inf, series)])
    gaps = np.where(np.arange(100) % 4 == 0, np.nan, series)
    arrays = corpus_arrays(single([gaps]), MODEL, SHORT, on_device=False)
    draws = draw_on_host(np.random.default_rng(0), arrays, 50, MODEL, SHORT)
    windows = gather(arrays, draws, MODEL, SHORT)
    assert np.isfinite(windows.values).all()
    assert 0.5 < windows.observed[:, 0, -12:-4].mean() < 0.9


def test_only_the_part_that_is_trained_on_is_drawn_from_and_judged():
    late = np.concatenate([np.zeros(40), np.sin(np.arange(60.0))])
    corpus = single([late, late[::-1]])
    lengths = np.array([40, 40])
    assert usable_series(corpus, lengths, 12).tolist() == [False, True]
    arrays = corpus_arrays(corpus, MODEL, SHORT, lengths=lengths, on_device=False)
    draws = draw_on_host(np.random.default_rng(0), arrays, 2000, MODEL, SHORT)
    assert set(draws.series) == {1} and draws.start.max() == 39
    assert held_back(corpus, 14, 87).tolist() == [100, 100]
    assert held_back(corpus, 14, 86).tolist() == [86, 86]


@settings(max_examples=50)
@given(st.lists(st.lists(st.sampled_from([1.0, 2.0, np.nan]), min_size=1, max_size=9), min_size=1))
def test_a_series_counts_if_it_has_two_values(series):
    corpus = single([np.array(one) for one in series])
    expected = [len(one) >= 3 and {1.0, 2.0} <= set(one) for one in series]
    assert usable_series(corpus, corpus.lengths, 3).tolist() == expected


def test_a_corpus_beyond_int32_goes_to_the_host(monkeypatch):
    monkeypatch.setattr(module, "MOST_ON_DEVICE", 89)
    with pytest.raises(DataError, match="90 points; on a device at most 89.*--path host"):
        corpus_arrays(waves((90,)), MODEL, SHORT)
    assert drawn(waves((90,)), SHORT) == {0}


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 40)), min_size=1, max_size=4),
    st.sampled_from(["h", "D", "B", "W-WED", "ME", "QE-DEC"]),
)
def test_the_last_points_keep_their_values_and_dates(lengths, frequency):
    series = [np.arange(n, dtype=np.float32) for n, _ in lengths]
    corpus = packed(series, ["2020-02-28 22:00"] * len(series), frequency)
    kept = keep_last(corpus, np.array([last for _, last in lengths]))
    for i, (length, last) in enumerate(lengths):
        count = min(max(last, 1), length)
        np.testing.assert_array_equal(kept.series(i), series[i][length - count :])
        ours, theirs = (Calendar(*(f[i] for f in c.calendar)) for c in (kept, corpus))
        expected = wall_clock(theirs, np.arange(length - count, length))
        np.testing.assert_array_equal(wall_clock(ours, np.arange(count)), expected)
