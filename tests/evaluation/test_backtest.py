import numpy as np
import pandas as pd
import pytest

from lagllama_jax.errors import DataError
from lagllama_jax.evaluation.backtest import LEVELS, cross_validate, score
from lagllama_jax.evaluation.forecasters import BaselineForecaster, Prediction
from lagllama_jax.evaluation.protocols import Panel, cut


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


def test_a_perfect_forecast_scores_zero_and_covers_everything():
    values = np.random.default_rng(1).normal(size=100)
    windows = cut(Panel(("a",), (values,), ("2024-01-01",), "h"), 5, 1, windows=3)
    target = windows.target
    perfect = Prediction(np.repeat(target[:, None], len(LEVELS), axis=1), target)
    scores = score(windows, perfect)
    errors = {name: value for name, value in scores.items() if name.startswith("eval_metrics")}
    assert set(errors.values()) == {0.0}
    assert scores["coverage_80"] == 1
