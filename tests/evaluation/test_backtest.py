import numpy as np
import pandas as pd
import pytest

from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.evaluation.backtest import (
    CRPS,
    LEVELS,
    cross_validate,
    geometric_mean,
    relative_score,
    score,
)
from lagllama_jax.evaluation.forecasters import BaselineForecaster, Prediction
from lagllama_jax.evaluation.windows import Panel, cut


def frame(*lengths: int, names=("unique_id", "ds", "y"), freq: str = "h") -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                names[0]: f"series {number}",
                names[1]: pd.date_range("2024-03-01", periods=length, freq=freq),
                names[2]: np.arange(length) % 24 + 100.0 * number,
            }
        )
        for number, length in enumerate(lengths)
    ]
    return pd.concat(parts)


@pytest.mark.parametrize("freq", ["h", "D", "ME", "B"])
def test_cross_validation_returns_what_came_at_its_own_time(freq):
    df = frame(90, 70, freq=freq)
    table = cross_validate("naive", df, 6, num_windows=3, step=4)
    assert list(table.columns[:5]) == ["unique_id", "ds", "cutoff", "y", "predictions"]
    assert len(table) == 2 * 3 * 6
    joined = table.merge(df, on=["unique_id", "ds"], suffixes=("", "_truth"))
    assert len(joined) == len(table)
    np.testing.assert_array_equal(joined.y, joined.y_truth)


def test_cross_validation_forecasts_from_the_cutoff_and_nothing_later():
    df = frame(90)
    table = cross_validate("naive", df, 6, num_windows=3, step=4)
    assert (table.ds > table.cutoff).all()
    last = df.set_index("ds").y.loc[table.cutoff].to_numpy()
    np.testing.assert_array_equal(table.predictions, last)
    assert (table.groupby("cutoff").ds.min() - table.cutoff.unique() == pd.Timedelta("1h")).all()


def test_cross_validation_keeps_the_names_of_the_users_columns():
    df = frame(60, names=("item_id", "timestamp", "target"))
    table = cross_validate("seasonal_naive", df, 6, quantile_levels=(0.1, 0.9))
    assert list(table.columns) == [
        "item_id", "timestamp", "cutoff", "target", "predictions", "0.1", "0.9",
    ]  # fmt: skip
    np.testing.assert_allclose(table.predictions, table.target)


def test_cross_validation_takes_a_forecaster_of_the_users():
    df = frame(60, 50)
    own = cross_validate(BaselineForecaster("naive"), df, 3)
    pd.testing.assert_frame_equal(own, cross_validate("naive", df, 3))


def test_cross_validation_names_a_series_that_is_too_short():
    with pytest.raises(DataError, match="'series 1'"):
        cross_validate("naive", frame(60, 10), 6, num_windows=2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prediction_length", 0),
        ("prediction_length", 2.5),
        ("num_windows", 0),
        ("num_windows", -1),
        ("num_windows", True),
        ("step", 0),
        ("step", -3),
        ("season", 0),
    ],
)
def test_cross_validation_refuses_what_counts_no_points_or_windows(name, value):
    options = {"prediction_length": 6, name: value}
    with pytest.raises(ConfigError, match=f"{name}={value!r} must be a whole number"):
        cross_validate("naive", frame(60), **options)


@pytest.mark.parametrize("levels", [(1.5,), (0.0,), ()], ids=str)
def test_cross_validation_refuses_levels_that_are_none(levels):
    with pytest.raises(ConfigError, match="Quantile level"):
        cross_validate("naive", frame(60), 6, quantile_levels=levels)


def rows(**scores: float) -> list[dict]:
    return [{"dataset": name, CRPS: value} for name, value in scores.items()]


def test_a_reference_of_zero_is_left_out_of_a_relative_score_and_named():
    own = rows(exact=1.0, blank=float("nan"), other=2.0)
    reference = rows(exact=0.0, blank=float("nan"), other=4.0)
    with pytest.warns(UserWarning, match=r"^exact, blank: left out .* 1 task\(s\) remain"):
        assert relative_score(own, reference) == 0.5
    with pytest.warns(UserWarning, match=r"0 task\(s\) remain"):
        assert np.isnan(relative_score(own[:1], reference[:1]))


def test_a_geometric_mean_with_a_zero_is_zero():
    assert geometric_mean([0.0, 2.0]) == 0


def test_a_perfect_forecast_scores_zero_and_covers_everything():
    values = np.random.default_rng(1).normal(size=100)
    windows = cut(Panel(("a",), (values,), ("2024-01-01",), "h"), 5, 1, windows=3)
    target = windows.target
    perfect = Prediction(np.repeat(target[:, None], len(LEVELS), axis=1), target)
    scores = score(windows, perfect)
    errors = {name: value for name, value in scores.items() if name.startswith("eval_metrics")}
    assert set(errors.values()) == {0.0}
    assert scores["coverage_80"] == 1
