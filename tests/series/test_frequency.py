import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.errors import DataError
from lagllama_jax.model.calendar_features import calendar_features, wall_clock
from lagllama_jax.series.aliases import MONTHS, WEEKDAYS
from lagllama_jax.series.arrays import read_arrays
from lagllama_jax.series.frequency import Frequency

RECORDED = ["S", "T", "10T", "30T", "H", "D", "W", "M", "Q", "A", "B"]
PANDAS = [
    *[
        "s",
        "min",
        "h",
        "D",
        "B",
        "W",
        "ME",
        "MS",
        "BME",
        "BMS",
        "QE",
        "QS",
        "BQE",
        "BQS",
        "YE",
        "YS",
        "BYE",
        "BYS",
        "ms",
        "us",
        "ns",
    ],
    *(f"W-{day}" for day in WEEKDAYS),
    *(f"{name}-{month}" for name in ("QE", "QS", "YE", "YS") for month in MONTHS),
]
aliases = st.builds(
    lambda step, name: f"{step}{name}" if step > 1 else name,
    st.sampled_from([1, 2, 4, 5, 10]),
    st.sampled_from(PANDAS),
)


@pytest.mark.parametrize("alias", RECORDED)
def test_calendars_give_the_features_that_the_reference_computed(golden_numbers, alias):
    start, wanted = str(golden_numbers[f"{alias}/start"]), golden_numbers[f"{alias}/features"]
    day, second = wall_clock(Frequency.parse(alias).calendar(start), np.arange(len(wanted)))
    assert np.abs(calendar_features(day, second) - wanted).max() <= 1e-6


@pytest.mark.parametrize("alias", RECORDED)
def test_time_stamps_are_those_of_the_reference(golden_numbers, alias):
    wanted = golden_numbers[f"{alias}/timestamps"].astype("datetime64[s]")
    start = pd.Timestamp(str(golden_numbers[f"{alias}/start"]))
    stamps = Frequency.parse(alias).timestamps(start, 0, len(wanted))
    assert (stamps.to_numpy() == wanted).all()


@given(aliases)
def test_an_alias_is_the_same_frequency_when_read_again(alias):
    frequency = Frequency.parse(alias)
    assert Frequency.parse(frequency.alias) == frequency
    assert Frequency.parse(pd.tseries.frequencies.to_offset(alias)) == frequency


@given(aliases, st.datetimes(pd.Timestamp("1950-01-01"), pd.Timestamp("2050-01-01")))
def test_time_stamps_step_as_pandas_steps(alias, moment):
    wanted = pd.date_range(pd.Timestamp(moment).floor("s"), periods=15, freq=alias)
    stamps = Frequency.parse(alias).timestamps(wanted[0], 0, 15)
    assert list(stamps) == list(wanted)


@given(aliases, st.datetimes(pd.Timestamp("1950-01-01"), pd.Timestamp("2050-01-01")))
def test_points_before_the_start_lie_on_the_same_grid(alias, moment):
    stamps = pd.date_range(pd.Timestamp(moment).floor("D"), periods=12, freq=alias)
    assert list(Frequency.parse(alias).timestamps(stamps[6], -6, 12)) == list(stamps)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *[("S", "s"), ("T", "min"), ("15T", "15min"), ("H", "h"), ("L", "ms"), ("U", "us")],
        *[("M", "ME"), ("Q", "QE-DEC"), ("Q-NOV", "QE-NOV"), ("A", "YE-DEC"), ("A-JUN", "YE-JUN")],
        *[("Y", "YE-DEC"), ("AS", "YS-JAN"), ("BM", "BME"), ("BA", "BYE-DEC"), ("W", "W-SUN")],
        *[("1h30min", "90min"), ("1D12h", "36h"), ("2000ms", "2s"), ("1h", "h")],
    ],
)
def test_old_spellings_mean_what_new_ones_mean(old, new):
    assert Frequency.parse(old) == Frequency.parse(new)
    assert Frequency.parse(old).alias == new


@pytest.mark.parametrize(
    ("given", "alias"),
    [
        *[(pd.Timedelta(minutes=15), "15min"), (dt.timedelta(minutes=15), "15min")],
        *[(np.timedelta64(15, "m"), "15min"), (pd.Timedelta("90min"), "90min")],
        *[(pd.Timedelta(days=1), "D"), (pd.Timedelta("300ms"), "300ms"), (np.str_("h"), "h")],
        *[(pd.offsets.Hour(3), "3h"), (pd.offsets.QuarterEnd(), "QE-MAR"), (pd.offsets.Day(), "D")],
        *[(pd.DateOffset(months=1), "ME"), (pd.DateOffset(hours=3), "3h")],
        *[(pd.DateOffset(n=2, months=3), "6ME"), (pd.DateOffset(years=1), "12ME")],
        *[(pd.DateOffset(days=1, hours=12), "36h"), (pd.DateOffset(weeks=2), "14D")],
    ],
)
def test_lengths_of_time_and_offsets_are_frequencies(given, alias):
    frequency = Frequency.parse(given)
    assert frequency == Frequency.parse(alias)
    start = pd.Timestamp("2024-01-31")
    read = read_arrays([np.arange(3.0), np.arange(4.0)], start, given)
    assert read.frequencies == [frequency] * 2
    if isinstance(given, pd.offsets.BaseOffset):
        stamps = [start + k * given for k in range(5)]
        assert list(read.timestamps(0, -3, 5)) == stamps or "Q" in alias


@pytest.mark.parametrize(
    "given",
    [
        *[pd.Timedelta(0), dt.timedelta(hours=-1), pd.NaT, pd.DateOffset(months=1, days=1)],
        *[pd.DateOffset(day=1), pd.DateOffset(months=-1), 5, None, np.timedelta64("NaT")],
    ],
)
def test_what_is_no_positive_length_is_refused(given):
    with pytest.raises(DataError, match="requency"):
        Frequency.parse(given)


@pytest.mark.parametrize(
    "text",
    ["", "x", "m", "0h", "-1h", "h-MON", "W-JAN", "QE-MON", "bh", "SME", "D2", "h D"],
)
def test_what_is_no_regular_frequency_is_refused_by_name(text):
    with pytest.raises(DataError, match=text or "frequency"):
        Frequency.parse(text)


@pytest.mark.parametrize(
    ("alias", "season"),
    [
        *[("15T", 96), ("10T", 144), ("H", 24), ("D", 1), ("W", 1), ("M", 12), ("Q", 4), ("A", 1)],
        *[("s", 3600), ("B", 5), ("30min", 48), ("2h", 12), ("7min", 1), ("6MS", 2), ("W-THU", 1)],
    ],
)
def test_seasons_are_those_of_the_field(alias, season):
    assert Frequency.parse(alias).season == season


def test_one_calendar_holds_many_starts():
    starts = np.array(["2020-01-31", "1999-12-01"], "datetime64[s]")
    many = Frequency.parse("ME").calendar(starts)
    ones = [Frequency.parse("ME").calendar(start) for start in starts]
    assert all(np.array_equal(a, b) for a, b in zip(many, zip(*ones, strict=True), strict=True))
    assert all(field.dtype == np.int32 for field in many)


def test_a_daily_value_stands_for_its_day_whatever_the_hour_of_its_stamp():
    frequency = Frequency.parse("D")
    assert frequency.calendar("2024-03-10 17:30") == frequency.calendar("2024-03-10")


def test_days_keep_their_local_hour_over_a_change_to_summer_time():
    start = pd.Timestamp("2024-03-30 22:00", tz="Europe/Berlin")
    stamps = Frequency.parse("D").timestamps(start, 0, 3)
    assert {stamp.hour for stamp in stamps} == {22}
    skipped = Frequency.parse("D").timestamps(pd.Timestamp("2024-03-30 02:30", tz=start.tz), 0, 2)
    assert skipped[1] == pd.Timestamp("2024-03-31 03:00", tz=start.tz)


@pytest.mark.parametrize("alias", ["500ms", "300ms", "1500ms", "33ms", "us"])
def test_steps_with_a_fraction_of_a_second_have_a_calendar(alias):
    start = pd.Timestamp("2024-01-01 00:00:58")
    frequency, index = Frequency.parse(alias), np.array([-7, 0, 1, 5, 6, 10**6])
    day, second = wall_clock(frequency.calendar(start), index)
    since = [start.value + int(i) * frequency.nanoseconds for i in index]
    stamps = pd.DatetimeIndex(since).floor("s")
    assert (pd.to_datetime(day, unit="D") + pd.to_timedelta(second, unit="s") == stamps).all()


def test_nanoseconds_have_time_stamps():
    stamps = Frequency.parse("ns").timestamps(pd.Timestamp("2024-01-01 00:00:58"), 0, 3)
    assert (np.diff(stamps.as_unit("ns").asi8) == 1).all()


def test_stamps_beyond_the_nanosecond_calendar_are_given_coarser():
    stamps = Frequency.parse("YE").timestamps(pd.Timestamp("2250-12-31").as_unit("ns"), 0, 30)
    assert str(stamps[-1])[:10] == "2279-12-31"
