import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lagllama_jax.errors import DataError
from lagllama_jax.series.calendar import calendar_of, clock_features
from lagllama_jax.series.dataframe import read_frame
from lagllama_jax.series.frequency import Frequency
from lagllama_jax.series.grid import place
from lagllama_jax.series.spacing import infer

ALIASES = [
    "s",
    "15min",
    "h",
    "6h",
    "D",
    "B",
    "W-SUN",
    "W-THU",
    "2W-MON",
    "ME",
    "MS",
    "BME",
    "BMS",
    "QE-DEC",
    "QS-FEB",
    "BQE-NOV",
    "YE-JUN",
    "YS-JAN",
    "ms",
]


def row(number: int) -> str:
    return f"row {number}"


@given(st.sampled_from(ALIASES), st.integers(0, 2**32 - 1), st.integers(12, 60))
def test_the_frequency_is_found_although_rows_are_missing(alias, seed, length):
    stamps = pd.date_range("2019-02-27", periods=length, freq=alias)
    kept = np.random.default_rng(seed).random(length) < 0.75
    kept[[0, 1, 2, -1]] = True
    if alias == "B":
        kept[:10] = True
    if alias == "D":
        kept[3] = True  # a Saturday; without any, the rows are those of business days
    frequency = infer(stamps[kept]).stamped_like(stamps[kept].to_numpy())
    positions = place(frequency, stamps[kept], np.zeros(kept.sum(), np.int64), row)
    assert positions.tolist() == np.flatnonzero(kept).tolist()
    assert list(frequency.timestamps(stamps[0], 0, length)) == list(stamps)


@given(st.sampled_from(["h", "D", "ME"]), st.integers(1, 27), st.integers(0, 23))
def test_grids_may_begin_anywhere(alias, day, hour):
    start = pd.Timestamp(2021, 3, day, hour, 12)
    stamps = Frequency.parse(alias).timestamps(start, 0, 20)
    assert infer(stamps).unit == Frequency.parse(alias).unit
    assert place(infer(stamps), stamps, np.zeros(20, np.int64), row).tolist() == list(range(20))


@given(st.sampled_from("BD"), st.integers(1, 9), st.integers(1, 14), st.integers(6, 40))
def test_several_business_days_are_told_from_several_days(unit, step, day, length):
    stamps = pd.date_range(f"2024-01-{day:02}", periods=length, freq=f"{step}{unit}")
    found = infer(stamps)
    weekly = step % (5 if unit == "B" else 7) == 0
    assert found.unit == ("W" if weekly else unit) and (weekly or found.step == step)
    assert place(found, stamps, np.zeros(length, np.int64), row).tolist() == list(range(length))


def test_series_of_one_frequency_share_it_wherever_they_begin():
    stamps = [pd.date_range(f"2020-01-0{n} 00:{n}0", periods=5 * n, freq="h") for n in range(1, 6)]
    series = np.repeat(np.arange(5), [len(s) for s in stamps])
    joined = stamps[0].append(stamps[1:])
    assert infer(joined, series).alias == "h"
    wanted = np.concatenate([np.arange(len(s)) for s in stamps])
    assert np.array_equal(place(Frequency.parse("h"), joined, series, row), wanted)


def test_hours_are_counted_over_a_clock_change_and_days_on_the_local_calendar():
    hours = pd.date_range("2024-03-30", periods=60, freq="h", tz="Europe/Berlin")
    assert infer(hours).alias == "h"
    assert place(infer(hours), hours, np.zeros(60, int), row).tolist() == list(range(60))
    days = pd.date_range("2024-03-25", periods=10, freq="D", tz="Europe/Berlin")
    assert infer(days).alias == "D"
    assert place(infer(days), days, np.zeros(10, int), row).tolist() == list(range(10))


def test_a_stray_time_stamp_does_not_make_the_grid_finer():
    stamps = pd.date_range("2020-01-01", periods=48, freq="h").append(
        pd.DatetimeIndex(["2020-01-02 07:20"])
    )
    stamps = stamps.sort_values()
    stray = int(stamps.get_loc("2020-01-02 07:20"))
    with pytest.raises(DataError, match=f"row {stray} is off the grid"):
        place(infer(stamps), stamps, np.zeros(49, np.int64), row)


@pytest.mark.parametrize(
    ("given_alias", "actual"), [("D", "h"), ("ME", "D"), ("h", "30min"), ("B", "D"), ("YE", "QE")]
)
def test_a_frequency_coarser_than_the_data_is_refused_naming_a_row(given_alias, actual):
    stamps = pd.date_range("2020-01-01", periods=40, freq=actual)
    with pytest.raises(DataError, match=rf"Frequency '{given_alias}.*does not fit: row \d+.*freq"):
        place(Frequency.parse(given_alias), stamps, np.zeros(40, np.int64), row)


def test_a_frequency_much_finer_than_the_data_is_refused():
    stamps = pd.date_range("2020-01-01", periods=40, freq="D")
    with pytest.raises(DataError, match="a value at every 24th step only"):
        place(Frequency.parse("h"), stamps, np.zeros(40, np.int64), row)


def test_series_of_two_frequencies_are_told_apart():
    hours = pd.date_range("2020-01-01", periods=300, freq="h")
    days = pd.date_range("2020-01-01", periods=20, freq="D")
    series = np.repeat([0, 1], [300, 20])
    joined = hours.append(days)
    with pytest.raises(DataError, match="row 300 begins a series"):
        place(infer(joined, series), joined, series, row)


def test_one_wrong_year_does_not_exhaust_the_memory():
    stamps = pd.DatetimeIndex(["1970-01-01 00:00:00", "1970-01-01 00:00:01", "2200-01-01"])
    with pytest.raises(DataError, match="look for a wrong time stamp"):
        place(Frequency.parse("s"), stamps, np.zeros(3, np.int64), row)


def test_single_time_stamps_do_not_tell_a_frequency():
    with pytest.raises(DataError, match="freq='h'"):
        infer(pd.DatetimeIndex(["2020-01-01", "2020-01-01"]), np.array([0, 1]))


@given(st.lists(st.integers(0, 10**5), min_size=2, max_size=30, unique=True))
def test_any_time_stamps_get_a_place_or_a_message(seconds):
    assume(max(seconds) > min(seconds))
    stamps = pd.DatetimeIndex(pd.to_datetime(sorted(seconds), unit="s"))
    try:
        series = np.zeros(len(stamps), np.int64)
        positions = place(infer(stamps), stamps, series, row, inferred=True)
    except DataError:
        return
    assert (np.diff(positions) > 0).all()
    grid = infer(stamps).timestamps(stamps[0], 0, int(positions[-1]) + 1)
    assert (grid[positions] == stamps).all()


def read(stamps, **options):
    frame = pd.DataFrame({"ds": stamps, "y": np.arange(len(stamps), dtype=float)})
    return read_frame(frame, **options)


@pytest.mark.parametrize("alias", ["D", "B", "W-MON"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Europe/London", "America/New_York"])
@pytest.mark.filterwarnings("ignore:Time stamps were rounded")
def test_days_of_a_local_clock_in_universal_time_are_days(alias, zone):
    local = pd.date_range("2024-01-01", periods=200, freq=alias, tz=zone)
    for stamps in (local.tz_convert("UTC"), local.tz_convert("UTC").tz_localize(None)):
        if alias == "B" and zone.startswith("Europe"):  # Mondays begin on Sundays
            with pytest.raises(DataError, match="off the grid"):
                read(stamps)
            continue
        series = read(stamps)
        assert str(series.frequency) == alias
        np.testing.assert_array_equal(series.targets[0][0], np.arange(200))


def test_times_near_a_given_grid_are_rounded_with_a_warning():
    hours = pd.date_range("2024-10-01", periods=400, freq="h")
    late = hours.where(np.arange(400) >= 250, hours - pd.Timedelta(minutes=1))
    with pytest.raises(
        DataError, match="usual one is 'h'.*row 250.*10:00:00. is off the grid.*freq"
    ):
        read(late)
    with pytest.warns(UserWarning, match="rounded to the grid of freq='h' by up to 0 days 00:01"):
        series = read(late, freq="h")
    np.testing.assert_array_equal(series.targets[0][0], np.arange(400))
    minutes = np.random.default_rng(1).integers(0, 1300, 200)
    with pytest.warns(UserWarning, match="rounded"):
        series = read(
            hours[:1].repeat(200) + pd.to_timedelta(np.arange(200) * 1440 + minutes, unit="min"),
            freq="D",
        )
    np.testing.assert_array_equal(series.targets[0][0], np.arange(200))


@pytest.mark.parametrize(
    "nanoseconds", [1, 7, 33_333_333, 300_000_000, 1_000_100_000, 3600 * 10**9 + 1]
)
def test_a_step_may_have_any_length(nanoseconds):
    stamps = pd.to_datetime(10**18 + np.arange(60) * nanoseconds)
    series = read(stamps)
    assert series.frequency.nanoseconds == nanoseconds
    assert list(series.timestamps(0, -2, 2)) == list(stamps[-2:])
    assert clock_features(*calendar_of(series), np.array([0]), 60).shape == (1, 60, 6)


@pytest.mark.parametrize("digits", [10**6, 10**3, 1])
def test_fractions_that_are_rounded_to_their_last_digit_are_regular(digits):
    exact = np.arange(1000) * 10**9 / 30
    stamps = pd.to_datetime(10**18 + (np.floor(exact / digits) * digits).astype(np.int64))
    series = read(stamps)
    assert series.lengths[0] == 1000
    following = series.timestamps(0, 0, 1)[0].value - 10**18
    assert abs(following - 1000 * 10**9 / 30) < 3 * 10**6


def test_an_inferred_grid_that_is_mostly_empty_is_refused():
    stamps = pd.DatetimeIndex(["2024-01-01", "2024-01-02", "2024-01-03", "2024-06-01"])
    with pytest.raises(DataError, match="The 4 rows from .* fill 3% of the .*freq='D'"):
        read(stamps)
    assert read(stamps, freq="D").lengths[0] == 153


def test_a_long_series_that_is_mostly_empty_is_refused_among_full_ones():
    full = pd.DataFrame({"item_id": "a", "ds": pd.date_range("2024", periods=900), "y": 1.0})
    typo = full[:100].assign(item_id="b")
    typo.loc[99, "ds"] = pd.Timestamp("2042-04-09")
    with pytest.raises(DataError, match="The 100 rows from series 'b'.* fill 1% of the inferred"):
        read_frame(pd.concat([full, typo]))


def test_times_without_a_pattern_are_refused_with_the_way_out():
    stamps = np.datetime64("2020-01-04") + np.cumsum([4, 4, 5, 3, 9, 4, 8, 5, 2] * 3) * 7
    with pytest.raises(DataError, match="no common step.*number the rows, to forecast by pos"):
        read(stamps[np.arange(27) != 20])


@pytest.mark.parametrize("alias", ["MS", "ME", "BME", "QE", "YS"])
def test_days_are_refused_for_series_of_months(alias):
    stamps = pd.date_range("2015-01-01", periods=20, freq=alias)
    days = "B" if alias == "BME" else "D"
    with pytest.raises(DataError, match=f"{days!r} does not fit.*a value in steps of '{alias}"):
        place(Frequency.parse(days), stamps, np.zeros(20, int), row)


def test_days_are_kept_for_rare_events():
    days = np.sort(np.random.default_rng(0).choice(3000, 60, replace=False))
    stamps = pd.Timestamp("2015-01-01") + pd.to_timedelta(days, unit="D")
    position = place(Frequency.parse("D"), stamps, np.zeros(60, int), row)
    assert position.tolist() == (days - days[0]).tolist()


@pytest.mark.parametrize("alias", ["MS", "QS", "YS"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "US/Pacific"])
def test_months_of_a_local_calendar_in_utc_are_told(alias, zone):
    local = pd.date_range("2020-01-01", periods=24, freq=alias, tz=zone)
    rows = np.zeros(24, int)
    assert place(infer(local), local, rows, row).tolist() == [*range(24)]
    shifted = local.tz_convert("UTC")
    if len(set(shifted.hour)) > 1:
        with pytest.warns(UserWarning, match="times of day .* differ.*tz_convert"):
            place(infer(shifted), shifted, rows, row)
