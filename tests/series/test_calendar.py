"""One clock: a dataset, a corpus and pandas' own time stamps give the same calendar features."""

import datetime as dt
from zoneinfo import ZoneInfo

import jax
import numpy as np
import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lagllama_jax.corpus.store import Corpus
from lagllama_jax.model.calendar_features import Calendar, calendar_features, wall_clock
from lagllama_jax.series.calendar import calendar_of, clock_features
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.frequency import Frequency

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Asia/Tehran"]
ZONES += ["Africa/Casablanca", "Pacific/Apia", "Europe/Dublin", "UTC", "Asia/Kathmandu", None]
WITHIN_DAY = ["min", "5min", "15min", "30min", "h", "2h", "6h", "12h", "90min"]
COUNT = 400
starts = st.datetimes(pd.Timestamp("1950-01-01"), pd.Timestamp("2036-01-01"))


def expected_features(stamps):
    local = stamps.tz_localize(None)
    day = local.normalize()
    seconds = ((local - day) // pd.Timedelta("1s")).to_numpy()
    days = ((day - pd.Timestamp("1970-01-01")) // pd.Timedelta("1D")).to_numpy()
    return calendar_features(days.astype(np.int32), seconds.astype(np.int32))


def dataset_of(stamps, aliases):
    targets = [np.zeros((1, COUNT)) for _ in stamps]
    frequencies = [Frequency.parse(alias) for alias in aliases]
    return SeriesDataset([str(i) for i in range(len(stamps))], targets, stamps, frequencies)


on_a_device = jax.jit(lambda *a: calendar_features(*wall_clock(*a)))


def three_ways(stamps, aliases, first=0):
    """The features of a dataset, of its corpus by NumPy, and of its corpus under `jit`."""
    dataset = dataset_of(stamps, aliases)
    calendar, zones = calendar_of(dataset)
    corpora = [Corpus.pack(dataset.take([i]), str(i)) for i in range(len(dataset))]
    corpus = Corpus.concatenate(corpora)
    index = np.broadcast_to(np.arange(first, first + COUNT, dtype=np.int32), (len(stamps), COUNT))
    columns = Calendar(*(np.asarray(field)[:, None] for field in corpus.calendar))
    return (
        clock_features(calendar, zones, np.full(len(stamps), first), COUNT),
        calendar_features(*wall_clock(columns, index, corpus.zones)),
        np.asarray(on_a_device(columns, index, corpus.zones)),
    )


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(starts, st.sampled_from(ZONES), st.sampled_from(WITHIN_DAY)),
        min_size=3,
        max_size=3,
    ),
    st.integers(-300, 300),
)
@example([(pd.Timestamp("2024-03-30 20:00"), "Europe/Berlin", "h")] * 3, 0)
@example([(pd.Timestamp("2024-10-26 20:00"), "Europe/Berlin", "h")] * 3, 0)
def test_steps_within_a_day_follow_the_clock_of_their_zone(items, first):
    stamps, aliases = [], []
    for moment, zone, alias in items:
        utc = pd.Timestamp(moment).floor("h").tz_localize("UTC")
        local = utc if zone is None else utc.tz_convert(zone)
        stamps.append(local.tz_localize(None) if zone is None else local.floor("h", ambiguous=True))
        aliases.append(alias)
    expected = []
    for stamp, alias in zip(stamps, aliases, strict=True):
        step = pd.Timedelta(pd.tseries.frequencies.to_offset(alias))
        grid = pd.date_range(stamp + first * step, periods=COUNT, freq=step)
        expected.append(expected_features(grid))
    for found in three_ways(stamps, aliases, first):
        assert np.abs(found - expected).max() < 1e-6


@settings(max_examples=40)
@given(starts, st.sampled_from(ZONES), st.sampled_from(["D", "3D", "B", "W-SUN", "ME", "QE", "YE"]))
def test_longer_steps_follow_the_local_calendar(moment, zone, alias):
    count = 100 if alias != "YE" else 10
    days = pd.date_range(pd.Timestamp(moment).normalize(), periods=count, freq=alias)
    stamp = days[0] if zone is None else days[0].tz_localize(zone, nonexistent="shift_forward")
    for found in three_ways([stamp], [alias]):
        assert np.abs(found[0, :count] - expected_features(days)).max() < 1e-6


def test_half_a_year_of_hours_has_the_hours_of_the_wall():
    """Counted from the local start without clock changes, most of them are off by an hour."""
    stamps = pd.date_range("2024-02-20", periods=4380, freq="h", tz="Europe/Berlin")
    dataset = SeriesDataset(["a"], [np.zeros((1, 4380))], [stamps[0]], [Frequency.parse("h")])
    corpus = Corpus.pack(dataset)
    day, second = wall_clock(corpus.calendar, np.arange(4380, dtype=np.int32), corpus.zones)
    assert (second // 3600 == stamps.hour).all()
    assert (day == (stamps.tz_localize(None) - pd.Timestamp("1970-01-01")).days).all()


def test_every_kind_of_zone_object_is_known():
    start = pd.Timestamp("2024-03-30 22:00")
    winter = dt.timezone(dt.timedelta(hours=1))
    kinds = [start.tz_localize(tz) for tz in ("Europe/Berlin", ZoneInfo("Europe/Berlin"), winter)]
    named, same, fixed = three_ways(kinds, ["h"] * 3)[0]
    assert (named == same).all()
    assert (named[:4] == fixed[:4]).all() and (named[4:] != fixed[4:]).any(axis=1).all()


def test_equal_moments_in_two_zones_have_two_clocks():
    berlin = pd.Timestamp("2024-06-01 12:00", tz="Europe/Berlin")
    stamps = [berlin, berlin.tz_convert("UTC"), berlin.tz_convert("America/New_York")]
    calendar, zones = calendar_of(dataset_of(stamps, ["h"] * 3))
    _, second = wall_clock(calendar, np.zeros(3, np.int32), zones)
    assert (second // 3600).tolist() == [12, 10, 6]


def test_starts_may_be_an_index_of_pandas():
    stamps = pd.date_range("2024-06-01", periods=50, freq="h")
    frequencies = [Frequency.parse("h")] * 50
    dataset = SeriesDataset(list(map(str, range(50))), [np.zeros((1, 3))] * 50, stamps, frequencies)
    calendar, _ = calendar_of(dataset)
    assert (calendar.second // 3600 == stamps.hour).all()


def test_items_without_dates_have_neutral_features():
    dated = pd.Timestamp("2024-06-01 12:00")
    frequencies = [None, Frequency.parse("h")]
    mixed = SeriesDataset(["a", "b"], [np.zeros((1, 3))] * 2, [None, dated], frequencies)
    features = clock_features(*calendar_of(mixed), np.zeros(2), 5)
    assert not features[0].any() and features[1].any()
    plain = SeriesDataset(["a"], [np.zeros((1, 3))])
    assert not clock_features(*calendar_of(plain), np.zeros(1), 5).any()
