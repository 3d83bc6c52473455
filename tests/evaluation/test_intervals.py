import numpy as np
import pandas as pd
import pytest

from lagllama_jax import ForecastConfig, LagLlama
from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.evaluation.cross_validation import cross_validate


@pytest.fixture(scope="module")
def model(tiny_parameters, tiny_config):
    return LagLlama(tiny_parameters, tiny_config)


@pytest.fixture(scope="module")
def df():
    stamps = pd.date_range("2024-01-01", periods=40, freq="D")
    random = np.random.default_rng(0)
    parts = [
        pd.DataFrame({"unique_id": name, "ds": stamps, "y": random.normal(size=40).cumsum()})
        for name in "ab"
    ]
    return pd.concat(parts, ignore_index=True)


def test_forecast_has_nixtlas_columns_and_the_numbers_of_predict_df(model, df):
    table = model.forecast(df, h=3, level=[95, 80], num_samples=5)
    wanted = model.predict_df(df, 3, quantile_levels=[0.025, 0.1, 0.9, 0.975], num_samples=5)
    assert table.columns.tolist() == [
        "unique_id", "ds", "LagLlama",
        "LagLlama-lo-95", "LagLlama-lo-80", "LagLlama-hi-80", "LagLlama-hi-95",
    ]  # fmt: skip
    pd.testing.assert_frame_equal(table.set_axis(wanted.columns, axis=1), wanted)


def test_without_levels_there_is_the_median_alone(model, df):
    named = df.rename(columns={"unique_id": "shop", "ds": "day", "y": "sales"})
    columns = {"id_col": "shop", "time_col": "day", "target_col": "sales"}
    table = model.forecast(named, 3, num_samples=5, **columns)
    assert table.columns.tolist() == ["shop", "day", "LagLlama"]
    wanted = model.predict_df(df, 3, num_samples=5).predictions
    np.testing.assert_array_equal(table.LagLlama, wanted)


def test_covariates_are_those_of_predict_df(model, df):
    price = np.sin(np.arange(len(df)))
    past = df.assign(price=price, y=df.y + 5 * price)
    future = df.groupby("unique_id").tail(3)[["unique_id", "ds"]].assign(price=1.0)
    future["ds"] += pd.Timedelta("3D")
    table = model.forecast(past, 3, X_df=future, level=[80], num_samples=5)
    options = {"quantile_levels": [0.1, 0.9], "num_samples": 5}
    wanted = model.predict_df(past, 3, future_df=future, **options)
    pd.testing.assert_frame_equal(table.set_axis(wanted.columns, axis=1), wanted)


def test_polars_goes_in_and_out(model, df):
    polars = pytest.importorskip("polars")
    table = model.forecast(polars.from_pandas(df), 3, level=[80], num_samples=5)
    assert isinstance(table, polars.DataFrame)
    wanted = model.forecast(df, 3, level=[80], num_samples=5)
    np.testing.assert_array_equal(table["LagLlama-lo-80"].to_numpy(), wanted["LagLlama-lo-80"])


def test_cross_validation_has_nixtlas_columns_and_our_numbers(model, df):
    table = model.cross_validation(df, 4, n_windows=3, step_size=2, level=[80], num_samples=5)
    assert table.columns.tolist() == [
        "unique_id", "ds", "cutoff", "y", "LagLlama", "LagLlama-lo-80", "LagLlama-hi-80",
    ]  # fmt: skip
    config = ForecastConfig(num_samples=5)
    wanted = cross_validate(model, df, 4, 3, 2, quantile_levels=(0.1, 0.9), config=config)
    pd.testing.assert_frame_equal(table.set_axis(wanted.columns, axis=1), wanted)
    assert len(table) == 2 * 3 * 4
    assert (table.groupby("unique_id").cutoff.nunique() == 3).all()


@pytest.mark.parametrize("column", ["unique_id", "ds", "y"])
def test_columns_are_not_named_like_those_of_the_result(model, df, column):
    named = {"unique_id": "id_col", "ds": "time_col", "y": "target_col"}
    clashing = df.rename(columns={column: "LagLlama"})
    options = {key: "LagLlama" if name == column else name for name, key in named.items()}
    with pytest.raises((ConfigError, DataError), match="'LagLlama'"):
        model.cross_validation(clashing, h=3, **options)
    if column != "y":
        with pytest.raises(DataError, match="'LagLlama' of the input is named like one of the res"):
            model.forecast(clashing, h=3, **options)


def test_quantile_levels_are_asked_for_by_level(model, df):
    for ask in (model.forecast, model.cross_validation):
        with pytest.raises(ConfigError, match=r"by level here, such as level=\[80\]"):
            ask(df, h=3, quantile_levels=[0.3])


@pytest.mark.parametrize("level", [[0], [100], [80, 120], [0.8], ["80"], 80])
def test_levels_are_percents(model, df, level):
    with pytest.raises(ConfigError, match="must be a .*percentage"):
        model.forecast(df, 3, level=level)
