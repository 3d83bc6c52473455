import csv
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.evaluation.baselines import baseline
from lagllama_jax.evaluation.datasets import parquet_series, together
from lagllama_jax.evaluation.run import evaluate_tasks
from lagllama_jax.evaluation.scores import CRPS, MASE
from lagllama_jax.evaluation.suites import paper_tasks, suite_tasks
from lagllama_jax.evaluation.tasks import gift_eval_windows, horizon, own_task, task_of
from lagllama_jax.evaluation.windows import cut, seasonal_errors


@pytest.mark.parametrize("name", ["seasonal_naive", "naive"])
def test_naive_forecasts_score_as_published_to_three_digits_on_all_17_tasks(shared, name):
    with open(shared / "benchmarks/gift_eval_published.csv") as file:
        published = {(row["dataset"], row["model"]): row for row in csv.DictReader(file)}
    tasks = suite_tasks("all", shared / "data/evaluation")
    rows = evaluate_tasks(baseline(name), tasks)
    assert len(rows) == 17
    for row in rows:
        expected = published[row["dataset"], name]
        assert f"{row[CRPS]:.3g}" == f"{float(expected['crps']):.3g}", row["dataset"]
        assert f"{row[MASE]:.3g}" == f"{float(expected['mase']):.3g}", row["dataset"]


def test_several_targets_of_one_item_score_as_series_of_their_own_without_a_joint_model(shared):
    folder, naive = shared / "data/evaluation", baseline("seasonal_naive")
    apart, joint = (
        evaluate_tasks(naive, [task for task in suite_tasks(suite, folder, ("short",))[2:4]])
        for suite in ("gift-eval-ett", "multivariate")
    )
    assert len(joint) == 2
    for one, other in zip(apart, joint, strict=True):
        assert one["dataset"] == other["dataset"]
        assert one[CRPS] == pytest.approx(other[CRPS])
        assert one[MASE] == pytest.approx(other[MASE])


def test_series_of_other_lengths_cannot_be_targets_of_one_item(series_of):
    with pytest.raises(DataError, match="The 2 series have 2 time grids"):
        together(series_of(30, 40))


def test_windows_of_the_paper_are_the_last_ones(shared):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The suite paper is scored without")
        tasks = paper_tasks(shared / "data/evaluation")
    for task in tasks:
        windows, series = task.windows(), task.read().targets
        assert len(windows) == len(series) == task.num_variates
        pasts = windows.dataset.targets
        for values, past, target in zip(series, pasts, windows.target, strict=True):
            np.testing.assert_array_equal(np.concatenate([past[0], target]), values[0])


SHAPES = {
    "lengths": st.lists(st.integers(40, 300), min_size=1, max_size=4),
    "points": st.integers(1, 10),
    "count": st.integers(1, 3),
    "variates": st.integers(1, 3),
}
FUNCTION_SCOPED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUNCTION_SCOPED
@given(**SHAPES)
def test_windows_are_consecutive_and_each_past_is_all_that_precedes(
    series_of, lengths, points, count, variates
):
    series = series_of(*lengths, variates=variates)
    windows = cut(series, points, count)
    assert len(windows) == len(set(windows.dataset.item_ids)) == count * len(lengths)
    targets = windows.target.reshape(len(lengths), count, variates, points)
    assert len(windows.seasonal_error) == len(windows.target)
    for number, values in enumerate(series.targets):
        coming = np.moveaxis(targets[number], 0, 1).reshape(variates, -1)
        np.testing.assert_array_equal(coming, values[:, -count * points :])
        pasts = windows.dataset.targets[number * count : (number + 1) * count]
        for past, target in zip(pasts, targets[number], strict=True):
            assert past.shape[1] == target[0, 0]
            assert np.shares_memory(past, values)


@FUNCTION_SCOPED
@given(**SHAPES)
def test_some_windows_are_those_windows(series_of, lengths, points, count, variates):
    windows = cut(series_of(*lengths, variates=variates), points, count)
    last = windows.take([len(windows) - 1])
    assert last.dataset.item_ids == windows.dataset.item_ids[-1:]
    np.testing.assert_array_equal(last.target, windows.target[-variates:])
    np.testing.assert_array_equal(last.seasonal_error, windows.seasonal_error[-variates:])


def test_what_is_known_of_the_future_reaches_to_the_end_of_the_window(series_of):
    series = replace(
        series_of(30),
        past_covariates=[np.arange(30.0)[None]],
        known_covariates=[np.arange(40.0)[None]],
    )
    for item, end in zip(cut(series, 5, 2).dataset, (20, 25), strict=True):
        shapes = (item.target, item.past_covariates, item.known_covariates)
        assert [values.shape[1] for values in shapes] == [end, end, end + 5]


@given(st.integers(1, 10**6), st.integers(1, 1000))
def test_windows_number_between_one_and_twenty(shortest, points):
    assert 1 <= gift_eval_windows(shortest, points) <= 20


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
    every, some = task.windows(), task.windows(limit=5)
    assert len(some) == 5
    assert some.dataset.item_ids[:: len(some) - 1] == every.dataset.item_ids[:: len(every) - 1]


def test_the_clock_of_a_window_goes_on_from_its_past(series_of):
    windows = cut(series_of(100), 30, 1)
    stamps = windows.dataset.timestamps(0, -50, 80)
    np.testing.assert_array_equal(stamps, pd.date_range("2024-01-01 20:00", periods=80, freq="h"))


def test_a_series_too_short_for_its_windows_is_named(series_of):
    with pytest.raises(DataError, match="'series 1' has 30 points"):
        cut(series_of(100, 30), 10, 3)


def test_windows_without_a_value_are_told(series_of):
    series = series_of(100, 100)
    series.targets[1][:, -20:] = np.nan
    with pytest.warns(UserWarning, match="2 of 6 windows, such as one of series 'series 1', have"):
        assert len(cut(series, 10, 3)) == 6


def test_a_frequency_or_suite_that_is_not_there_is_refused(tmp_path):
    assert horizon("15T", "medium") == 480
    with pytest.raises(ConfigError, match="'X'"):
        horizon("X")
    with pytest.raises(ConfigError, match="'everything'"):
        suite_tasks("everything", tmp_path)


@pytest.mark.parametrize(("suite", "file"), [("all", "ETTm1"), ("validation", "pjm_hourly")])
def test_a_missing_data_folder_is_named_with_its_option(suite, file, tmp_path):
    with pytest.raises(DataError, match=f"{file}.*--data-dir.* validation, of a corpus' Parquet"):
        suite_tasks(suite, tmp_path)[0].windows()


@pytest.mark.parametrize("suite", ["m4_hourly", "all", "validation"])
def test_terms_that_leave_no_task_are_refused(suite, tmp_path):
    terms = ("medium",) if suite == "m4_hourly" else ()
    with pytest.raises(ConfigError, match=f"suite='{suite}' has no task of terms="):
        suite_tasks(suite, tmp_path, terms)


@pytest.mark.parametrize("count", [0, -1, 1.5])
def test_what_counts_no_windows_points_or_steps_is_refused(count, series_of, tmp_path):
    for name in ("prediction_length", "season", "num_windows", "step"):
        given_counts = {"prediction_length": 5, "num_windows": 1, name: count}
        with pytest.raises(ConfigError, match=f"{name}={count} must be a whole number"):
            cut(series_of(100), **given_counts)
    for counts in ((count, 1), (5, count)):
        with pytest.raises(ConfigError, match="must be a whole number"):
            own_task(tmp_path / "not looked for.csv", *counts)


def test_a_parquet_file_without_series_of_the_frequency_is_named(shared):
    with pytest.raises(DataError, match="m4_hourly.parquet holds no series of frequency 'ME'"):
        parquet_series(shared / "data/evaluation/m4_hourly.parquet", "ME")


def test_the_season_of_the_errors_is_that_of_the_frequency_unless_one_is_given(series_of):
    series = series_of(100)  # of hours, each 1 above the last
    assert [cut(series, 5, 1, season=s).seasonal_error[0] for s in (None, 7)] == [24, 7]
    undated = replace(series, starts=[None], frequencies=[None])
    assert cut(undated, 5, 1).seasonal_error[0] == 1


def test_a_task_of_series_in_memory_has_their_last_windows(series_of):
    windows = task_of("mine", series_of(50, 60), 5, 2).windows()
    np.testing.assert_array_equal(windows.target[:, 0], [40, 45, 50, 55])
