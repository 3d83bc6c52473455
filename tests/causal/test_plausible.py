"""Answers that would be plausible and wrong: copies, signs, seasons, dates between rows."""

import warnings

import numpy as np
import pandas as pd
import pytest

from lagllama_jax.causal import impact
from lagllama_jax.errors import DataError

DAYS = pd.date_range("2026-01-01", periods=150)
DATE = DAYS[120]


def daily(values, **columns):
    return pd.DataFrame({"day": DAYS, "y": values, **columns})


@pytest.mark.parametrize("seed", range(4))
def test_the_week_of_daily_data_is_no_noise(seed):
    k = np.arange(150)
    noise = np.random.default_rng(seed).normal(size=150)
    table = daily(50 + 10 * np.sin(k * 2 * np.pi / 7) + noise - 6 * (k >= 120))
    effect = impact(table, DATE, "y", method="ridge", placebos=4)
    low, high = effect.average_interval
    assert low < -6 < high and high - low < 4


@pytest.mark.parametrize("factor", [1.0, -1000.0])
def test_a_control_that_is_the_target_is_refused(factor):
    sales = np.random.default_rng(0).normal(50, 3, 150) + 8 * (np.arange(150) >= 120)
    table = daily(sales, copy=factor * sales + 5, other=np.random.default_rng(1).normal(size=150))
    with pytest.raises(DataError, match="control 'copy' is the target 'y' itself"):
        impact(table, DATE, "y", ["other", "copy"], method="ridge")
    noise = np.random.default_rng(2).normal(50, 3, 150)
    until = daily(noise + 8 * (np.arange(150) >= 120), copy=noise)
    assert impact(until, DATE, "y", ["copy"], method="ridge", placebos=0).significant


@pytest.mark.parametrize("level", [-8.0, 8.0])
def test_a_relative_effect_has_the_sign_of_the_effect(level):
    table = daily(level + np.random.default_rng(2).normal(size=150) + 3 * (np.arange(150) >= 120))
    effect = impact(table, DATE, "y", method="ridge", placebos=4)
    low, high = effect.relative_interval
    assert effect.average_effect > 0 and low < effect.relative_effect < high
    np.testing.assert_allclose(effect.relative_effect, 3 / 8, atol=0.1)
    assert low > 0


def test_an_effect_on_what_may_be_0_has_no_relative_size():
    table = daily(np.random.default_rng(3).normal(size=150) + 3 * (np.arange(150) >= 120))
    effect = impact(table, DATE, "y", method="ridge", placebos=4)
    assert np.isnan([effect.relative_effect, *effect.relative_interval]).all()
    assert "unknown" in effect.summary() and "no relative size" in effect.report()
    assert "nan" not in effect.summary() + effect.report()


def test_an_intervention_between_two_rows_is_told():
    table = daily(np.random.default_rng(4).normal(size=150))
    with pytest.warns(UserWarning, match="is between two rows.*2026-05-02.*2026-05-01"):
        impact(table, DATE + pd.Timedelta(hours=12), "y", method="ridge", placebos=0)
    numbered = table[["y"]]
    with pytest.warns(UserWarning, match="120.5 is between two rows"):
        impact(numbered, 120.5, "y", method="ridge", placebos=0)
    months = pd.date_range("2020-01-31", periods=60, freq="ME")
    ends = pd.DataFrame({"month": months, "y": np.random.default_rng(5).normal(size=60)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        impact(table, DATE, "y", method="ridge", placebos=0)
        first = impact(ends, "2024-01-01", "y", method="ridge", placebos=0)
    assert first.study.interventions == [pd.Timestamp("2024-01-31")]


def test_few_paths_cannot_be_sure():
    """Without placebos, no p-value is below what the number of paths can tell."""
    table = daily(np.random.default_rng(6).normal(size=150) + 50 * (np.arange(150) >= 120))
    effect = impact(table, DATE, "y", method="ridge", placebos=0)
    assert effect.p_value == pytest.approx(2 / 201)
    assert "by the sample paths alone" in effect.summary()
    with pytest.warns(UserWarning, match="num_samples=5 is too few"):
        few = impact(table, DATE, "y", method="ridge", placebos=0, num_samples=5)
    assert not few.significant
