"""Calendars against pandas, and features against the reference's."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.model.calendar_features import (
    BUSINESS_DAY,
    MONTH,
    NEUTRAL_DAY,
    SECOND,
    SUBSECOND,
    WEEK,
    Calendar,
    calendar_features,
    wall_clock,
)

GRIDS = {
    "S": (SECOND, 1, 0),
    "T": (SECOND, 60, 0),
    "10T": (SECOND, 600, 0),
    "30T": (SECOND, 1800, 0),
    "H": (SECOND, 3600, 0),
    "D": (SECOND, 86_400, 0),
    "B": (BUSINESS_DAY, 1, 0),
    "W": (WEEK, 1, 6),
    "M": (MONTH, 1, 0),
    "Q": (MONTH, 3, 2),
    "A": (MONTH, 12, 11),
}
days = st.integers(-50_000, 50_000)
EPOCH = pd.Timestamp("1970-01-01")


def day_and_second(times: pd.DatetimeIndex) -> tuple[np.ndarray, np.ndarray]:
    whole = times.normalize()
    return (whole - EPOCH).days.to_numpy(), (times - whole).seconds.to_numpy()


@pytest.mark.parametrize("name", GRIDS)
def test_features_are_the_references(name, golden):
    recorded = np.load(golden / "time_features.npz")
    unit, step, anchor = GRIDS[name]
    start = pd.Timestamp(str(recorded[f"{name}/timestamps"][0]))
    second = (start - start.normalize()).seconds
    calendar = Calendar(unit, step, (start.normalize() - EPOCH).days, second, anchor)
    features = calendar_features(*wall_clock(calendar, np.arange(70, dtype=np.int32)))
    assert np.abs(features - recorded[f"{name}/features"]).max() < 1e-6


@given(days, st.integers(0, 86_399), st.integers(1, 10**6), st.integers(0, 2000))
def test_fixed_steps_are_those_of_pandas(day, second, step, first):
    start = EPOCH + pd.Timedelta(days=day, seconds=second)
    index = np.arange(first, first + 5, dtype=np.int64)
    times = start + pd.to_timedelta(index * step, unit="s")
    ours = wall_clock(Calendar(SECOND, step, day, second, 0), index)
    assert all(np.array_equal(a, b) for a, b in zip(ours, day_and_second(times), strict=True))


@given(days, st.integers(0, 40))
def test_business_days_are_those_of_pandas(day, first):
    start = EPOCH + pd.Timedelta(days=day)
    times = pd.bdate_range(start, periods=first + 5)[first:]
    ours, _ = wall_clock(Calendar(BUSINESS_DAY, 1, day, 0, 0), np.arange(first, first + 5))
    assert np.array_equal(ours, day_and_second(times)[0])


@pytest.mark.parametrize(
    ("alias", "unit", "step", "anchor"),
    [("W-SUN", WEEK, 1, 6), ("W-WED", WEEK, 1, 2), ("M", MONTH, 1, 0), ("Q-DEC", MONTH, 3, 2)]
    + [("Q-OCT", MONTH, 3, 0), ("Y-DEC", MONTH, 12, 11), ("Y-JUN", MONTH, 12, 5)],
)
@given(day=days)
def test_periods_end_where_those_of_pandas_do(alias, unit, step, anchor, day):
    start = EPOCH + pd.Timedelta(days=day)
    periods = pd.period_range(start, periods=6, freq=alias)
    ours, second = wall_clock(Calendar(unit, step, day, 3600, anchor), np.arange(6))
    assert np.array_equal(ours, day_and_second(periods.end_time)[0])
    assert not np.any(second)


def test_steps_below_a_second_count_up_seconds():
    day, second = wall_clock(Calendar(SUBSECOND, 1, 0, 86_399, 10), np.arange(20))
    assert np.array_equal(day, np.repeat([0, 1], 10))
    assert np.array_equal(second, np.repeat([86_399, 0], 10))


def test_steps_that_do_not_divide_a_second_count_up_seconds():
    _, second = wall_clock(Calendar(SUBSECOND, 3, 0, 0, 10), np.arange(-4, 12))
    assert second.tolist() == [(300 * i // 1000) % 86_400 for i in range(-4, 12)]


def test_a_million_hours_do_not_overflow_on_the_device():
    calendar = Calendar(*(jnp.int32(field) for field in (SECOND, 3600, 0, 1800, 0)))
    index = jnp.array([0, 10**6, 2 * 10**6])
    day, second = jax.jit(wall_clock)(calendar, index)
    assert np.array_equal(day, np.array([0, 10**6, 2 * 10**6]) * 3600 // 86_400)
    assert np.array_equal(second, np.array([0, 10**6, 2 * 10**6]) * 3600 % 86_400 + 1800)


@jax.jit
def on_a_device(calendar, index):
    return calendar_features(*wall_clock(calendar, index))


@given(st.sampled_from(sorted(GRIDS)), days, st.integers(0, 86_399))
def test_numpy_and_jax_agree(name, day, second):
    unit, step, anchor = GRIDS[name]
    calendar = Calendar(unit, step, day, second, anchor)
    index = np.arange(50, dtype=np.int32)
    ours = calendar_features(*wall_clock(calendar, index))
    assert np.abs(ours - on_a_device(calendar, index)).max() < 1e-6


def test_an_unknown_calendar_has_neutral_features():
    day, second = wall_clock(Calendar.unknown(), np.arange(3))
    assert (day == NEUTRAL_DAY).all()
    assert not calendar_features(day, second).any()
