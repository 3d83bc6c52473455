"""Calendars that repeat without a common step are forecast by position, with their own dates."""

import numpy as np
import pandas as pd
import pytest

from lagllama_jax.errors import DataError
from lagllama_jax.series.dataframe import read_frame

HOURS = pd.date_range("2024-01-01", periods=24 * 60, freq="h", tz="Europe/Berlin")
HALVES = pd.date_range("2024-01-01", periods=48 * 60, freq="30min")
DAYS = pd.date_range("2022-01-01", periods=1500)
MONTHS = pd.date_range("2022-01-01", periods=40, freq="MS")
CALENDARS = {
    "office hours": HOURS[(HOURS.hour >= 8) & (HOURS.hour < 18)],
    "half hours of a market": HALVES[
        (HALVES.day_of_week < 5) & (HALVES.hour * 60 + HALVES.minute >= 570) & (HALVES.hour < 16)
    ],
    "three days per week": DAYS[DAYS.day_of_week.isin([0, 2, 4])],
    "4-4-5 weeks": pd.Timestamp("2022-01-01") + pd.to_timedelta(np.cumsum([4, 4, 5] * 9), "W"),
    "twice a month": MONTHS.union(MONTHS + pd.Timedelta("14D")),
    "the middle and the end of months": pd.date_range("2022-01-01", periods=40, freq="SME"),
    "ten days of months": DAYS[DAYS.day.isin([1, 11, 21])],
    "the third Friday": pd.date_range("2022-01-01", periods=40, freq="WOM-3FRI"),
    "the last Friday": DAYS[(DAYS.day_of_week == 4) & ((DAYS + pd.Timedelta("7D")).day <= 7)],
    "eight days of years": DAYS[(DAYS.day_of_year - 1) % 8 == 0],
}


@pytest.mark.parametrize("stamps", CALENDARS.values(), ids=CALENDARS)
def test_a_calendar_that_repeats_goes_on(stamps):
    frame = pd.DataFrame({"ds": stamps, "y": np.arange(1.0, 1.0 + len(stamps))})
    with pytest.warns(UserWarning, match="no common step, but repeat .* per .*are numbered"):
        series = read_frame(frame.drop(3)[:-7])
    assert not series.dated
    assert np.flatnonzero(np.isnan(series.targets[0][0])).tolist() == [3]
    assert list(series.positions(0, -series.lengths[0], len(stamps))) == list(stamps)


def test_series_of_one_calendar_may_begin_at_different_places():
    stamps = CALENDARS["three days per week"]
    frame = pd.DataFrame({"item_id": "a", "ds": stamps, "y": 1.0})
    later = frame[4:-5].assign(item_id="b")
    with pytest.warns(UserWarning, match="3 per week"):
        series = read_frame(pd.concat([frame, later])).take([1])
    assert list(series.positions(0, 0, 5)) == list(stamps[-5:])


def test_times_at_random_are_no_calendar():
    seconds = np.sort(np.random.default_rng(0).integers(0, 10**7, 400))
    with pytest.raises(DataError, match="no common step|fill .* of the inferred grid"):
        read_frame(pd.DataFrame({"ds": pd.to_datetime(10**9 + seconds, unit="s"), "y": 1.0}))
