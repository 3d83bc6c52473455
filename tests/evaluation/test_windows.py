import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.evaluation.backtest import CRPS, MASE, evaluate_tasks
from lagllama_jax.evaluation.forecasters import BaselineForecaster
from lagllama_jax.evaluation.suites import own_task, paper_tasks, parquet_panel, suite_tasks
from lagllama_jax.evaluation.windows import (
    Panel,
    cut,
    horizon,
    num_windows,
    seasonal_errors,
    windows_of,
)


def panel(*lengths: int) -> Panel:
    values = tuple(np.arange(length, dtype=float) for length in lengths)
    names = tuple(f"series {number}" for number in range(len(lengths)))
    return Panel(names, values, ("2024-01-01",) * len(lengths), "h")


@pytest.mark.parametrize("name", ["seasonal_naive", "naive"])
def test_naive_forecasts_score_as_published_to_three_digits_on_all_17_tasks(shared, name):
    with open(shared / "benchmarks/gift_eval_published.csv") as file:
        published = {(row["dataset"], row["model"]): row for row in csv.DictReader(file)}
    tasks = suite_tasks("all", shared / "data/evaluation")
    rows = evaluate_tasks(BaselineForecaster(name), tasks)
    assert len(rows) == 17
    for row in rows:
        expected = published[row["dataset"], name]
        assert f"{row[CRPS]:.3g}" == f"{float(expected['crps']):.3g}", row["dataset"]
        assert f"{row[MASE]:.3g}" == f"{float(expected['mase']):.3g}", row["dataset"]


def test_windows_of_the_paper_are_the_last_ones(shared):
    for task in paper_tasks(shared / "data/evaluation"):
        windows = windows_of(task)
        series = task.panel().values
        assert len(windows) == len(series) == task.num_variates
        for values, past, target in zip(series, windows.past, windows.target, strict=True):
            np.testing.assert_array_equal(np.concatenate([past, target]), values)


@given(st.lists(st.integers(40, 300), min_size=1, max_size=4), st.integers(1, 10))
def test_windows_are_consecutive_and_each_past_is_all_that_precedes(lengths, points):
    given_panel = panel(*lengths)
    windows = cut(given_panel, points, 1)
    count = num_windows(min(lengths), points)
    assert len(windows) == count * len(lengths)
    assert len(set(windows.item_ids)) == len(windows)
    for number, values in enumerate(given_panel.values):
        rows = slice(number * count, (number + 1) * count)
        np.testing.assert_array_equal(windows.target[rows].ravel(), values[-count * points :])
        for past, target in zip(windows.past[rows], windows.target[rows], strict=True):
            assert len(past) == target[0]
            assert np.shares_memory(past, values)


@given(st.integers(1, 10**6), st.integers(1, 1000))
def test_windows_number_between_one_and_twenty(shortest, points):
    assert 1 <= num_windows(shortest, points) <= 20


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_seasonal_errors_by_cumulative_sum_equal_those_taken_one_by_one(seed, season):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=80)
    values[rng.random(80) < 0.2] = np.nan
    ends = np.array([40, 55, 80])
    direct = [np.nanmean(np.abs(values[season:end] - values[: end - season])) for end in ends]
    np.testing.assert_allclose(seasonal_errors(values, season, ends), direct, rtol=1e-9)


def test_a_limit_takes_windows_spread_from_first_to_last(shared):
    task = suite_tasks("gift-eval-ett", shared / "data/evaluation", ("short",))[1]
    every, some = windows_of(task), windows_of(task, limit=5)
    assert len(some) == 5
    assert (some.item_ids[0], some.item_ids[-1]) == (every.item_ids[0], every.item_ids[-1])


def test_the_clock_of_a_window_goes_on_from_its_past():
    windows = cut(panel(100), 30, 24, windows=1)
    day, second = windows.series().clocks(50, 30)[0]
    hours = (np.asarray(day) - 19723) * 24 + np.asarray(second) // 3600  # 2024-01-01 is day 19723
    np.testing.assert_array_equal(hours, np.arange(20, 100))


def test_a_series_too_short_for_its_windows_is_named():
    with pytest.raises(DataError, match="'series 1' has 30 points"):
        cut(panel(100, 30), 10, 1, windows=3)


def test_a_frequency_or_suite_that_is_not_there_is_refused(tmp_path):
    assert horizon("15T", "medium") == 480
    with pytest.raises(ConfigError, match="'X'"):
        horizon("X")
    with pytest.raises(ConfigError, match="'everything'"):
        suite_tasks("everything", tmp_path)


@pytest.mark.parametrize(("suite", "file"), [("all", "ETTm1"), ("validation", "pjm_hourly")])
def test_a_missing_data_folder_is_named_with_its_option(suite, file, tmp_path):
    with pytest.raises(DataError, match=f"{file}.*--data-dir.* validation, of a corpus' Parquet"):
        windows_of(suite_tasks(suite, tmp_path)[0])


@pytest.mark.parametrize("suite", ["m4_hourly", "all", "validation"])
def test_terms_that_leave_no_task_are_refused(suite, tmp_path):
    terms = ("medium",) if suite == "m4_hourly" else ()
    with pytest.raises(ConfigError, match=f"suite='{suite}' has no task of terms="):
        suite_tasks(suite, tmp_path, terms)


@pytest.mark.parametrize("count", [0, -1, 1.5])
def test_what_counts_no_windows_points_or_steps_is_refused(count, tmp_path):
    for name in ("prediction_length", "season", "windows", "step"):
        given_counts = {"prediction_length": 5, "season": 1, name: count}
        with pytest.raises(ConfigError, match=f"{name}={count} must be a whole number"):
            cut(panel(100), **given_counts)
    for counts in ((count, 1), (5, count)):
        with pytest.raises(ConfigError, match="must be a whole number"):
            own_task(tmp_path / "not looked for.csv", *counts)


def test_a_parquet_file_without_series_of_the_frequency_is_named(shared):
    with pytest.raises(DataError, match="m4_hourly.parquet holds no series of frequency 'ME'"):
        parquet_panel(shared / "data/evaluation/m4_hourly.parquet", "ME")
