"""Coarser series from fine ones, against pandas."""

import numpy as np
import pandas as pd
import pytest

from lagllama_jax.corpus.resample import block_sizes, by_blocks, coarser
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.model.calendar_features import Calendar, wall_clock
from lagllama_jax.series.arrays import read_arrays
from lagllama_jax.series.frequency import Frequency

START = "2021-03-03 05:30"


def fine(points=48 * 7 * 70, freq="30min", gaps=0.0):
    rng = np.random.default_rng(0)
    values = rng.normal(size=points).astype(np.float32)
    values[rng.random(points) < gaps] = np.nan
    return values, Corpus.pack(read_arrays(values, START, freq), "fine")


@pytest.mark.parametrize(("alias", "rule"), [("h", "h"), ("D", "D"), ("W", "W-SUN")])
def test_means_over_whole_periods_are_those_of_pandas(alias, rule):
    values, corpus = fine()
    frame = pd.Series(values, pd.date_range(START, periods=len(values), freq="30min"))
    periods = frame.resample(rule)
    whole = periods.count() == periods.count().max()
    expected = periods.mean()[whole].to_numpy()
    made = {part.dataset_names[0]: part for part in coarser(corpus)}[f"fine/{alias}"]
    assert np.allclose(made.series(0), expected, atol=1e-6)
    calendar = Calendar(*(int(field[0]) for field in made.calendar))
    day, second = wall_clock(calendar, np.arange(2))
    first = periods.mean()[whole].index[0]
    assert day[0] == (first.normalize() - pd.Timestamp("1970-01-01")).days
    assert second[0] == first.hour * 3600


def test_coarser_series_of_a_time_zone_keep_its_clock():
    """Hours of a zone half an hour beside UTC; days of 23 and 25 hours are not made."""
    stamps = pd.date_range("2024-03-20 05:30", periods=4000, freq="15min", tz="Australia/Adelaide")
    values = np.random.default_rng(0).normal(size=4000)
    corpus = Corpus.pack(read_arrays(values, stamps[0], "15min"))
    made = {part.frequency_names[0]: part for part in coarser(corpus)}
    assert set(made) == {"30min", "h"}
    day, second = wall_clock(made["h"].calendar, np.arange(900), made["h"].zones)
    frame = pd.Series(values, stamps).resample("h").mean()[1:901]
    assert np.allclose(made["h"].series(0)[:900], frame, atol=1e-6)
    assert (second == frame.index.hour * 3600).all()


def test_points_with_too_few_observations_are_missing():
    values, corpus = fine(gaps=0.5)
    hourly = next(part for part in coarser(corpus) if part.frequency_names == ("h",))
    pairs = values[1:][: len(hourly.values) * 2].reshape(-1, 2)  # 05:30 is no full hour
    assert np.array_equal(np.isnan(hourly.values), np.isnan(pairs).all(axis=1))


def test_what_lies_after_the_given_lengths_is_not_used():
    values, corpus = fine()
    changed = values.copy()
    changed[5000:] += 100
    lengths = np.array([5000])
    other = Corpus.pack(read_arrays(changed, START, "30min"), "fine")
    for one, two in zip(coarser(corpus, lengths), coarser(other, lengths), strict=True):
        assert np.allclose(one.series(0), two.series(0), atol=1e-5, equal_nan=True)


def test_grids_that_do_not_divide_and_short_series_are_left_out():
    assert not list(coarser(fine(freq="7min")[1]))
    assert not list(coarser(fine(points=100)[1]))


@pytest.mark.parametrize("zone", [None, "Australia/Adelaide"])
@pytest.mark.parametrize(("freq", "horizon"), [("15min", 48), ("10min", 480), ("h", 48)])
def test_a_corpus_by_blocks_is_that_of_the_coarse_series(freq, horizon, zone):
    rng = np.random.default_rng(0)
    values = [rng.normal(size=points) for points in (1003, 700, 30)]
    values[0][rng.random(1003) < 0.3] = np.nan
    starts = [pd.Timestamp(s, tz=zone) for s in (START, "2024-02-28 23:45", "2020-01-01")]
    series = read_arrays(values, starts, freq)
    corpus = Corpus.pack(series, "fine")
    sizes = block_sizes(corpus, horizon, "auto")
    made = by_blocks(corpus, sizes)
    for index, size in enumerate(sizes.tolist()):
        alone = series.take([index]).coarsen(size)
        expected = Corpus.pack(alone, "fine")
        assert np.allclose(made.series(index), expected.series(0), equal_nan=True)
        calendar = [int(field[index]) for field in made.calendar]
        assert calendar == [int(field[0]) for field in expected.calendar]
        alias = made.frequency_names[made.frequency[index]]
        assert Frequency.parse(alias).seconds == alone.frequencies[0].seconds


@pytest.mark.parametrize("freq", ["ME", "MS", "QE-NOV", "YE", "W-WED", "B", "100ms", None])
def test_blocks_that_are_asked_for_are_made_of_every_grid(freq):
    values = [np.arange(200.0), np.arange(31.0)]
    starts = None if freq is None else ["2020-01-31", "1999-11-30"]
    series = read_arrays(values, starts, freq)
    corpus = Corpus.pack(series, "any")
    assert block_sizes(corpus, 24, "auto").tolist() == [1, 1]
    made = by_blocks(corpus, block_sizes(corpus, 24, 5))
    expected = Corpus.pack(series.coarsen(5), "any")
    for index in range(2):
        assert np.allclose(made.series(index), expected.series(index), atol=1e-5)
    assert made.frequency_names == expected.frequency_names
    clocks = [wall_clock(one.calendar, np.full(2, 9)) for one in (made, expected)]
    assert np.array_equal(*clocks)
