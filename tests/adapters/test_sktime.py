import doctest

import numpy as np
import pandas as pd
import pytest

from lagllama_jax.errors import ConfigError

pytestmark = [
    pytest.mark.sktime,
    pytest.mark.filterwarnings("ignore"),  # of sktime and what it brings
]
FH = [1, 2, 5]


@pytest.fixture
def forecaster(one_pass):
    from lagllama_jax.adapters.sktime import LagLlamaForecaster

    return LagLlamaForecaster(one_pass, seed=3)


@pytest.fixture(scope="module")
def y():
    index = pd.period_range("2015-01", periods=70, freq="M")
    values = np.random.default_rng(0).normal(size=70).cumsum()
    return pd.Series(values, index, name="sales")


def wanted(model, y, **options):
    start = y.index[0].start_time
    names = ["sales"]
    return model.predict([y.to_numpy()], 5, start=start, freq="M", item_ids=names, **options)


def test_sktimes_own_checks_pass():
    from sktime.utils.estimator_checks import check_estimator

    from lagllama_jax.adapters.sktime import LagLlamaForecaster

    # One set of parameters, by which the checks take half the time.
    forecaster = LagLlamaForecaster.create_test_instance()
    results = check_estimator(forecaster, raise_exceptions=False, verbose=False)
    failed = {name: result for name, result in results.items() if result != "PASSED"}
    assert not failed
    assert len(results) > 400


def test_the_example_is_right():
    from lagllama_jax.adapters import sktime

    result = doctest.testmod(sktime)
    assert result.attempted and not result.failed


def test_points_quantiles_and_distributions_are_those_of_predict(forecaster, y, one_pass):
    drawn = wanted(one_pass, y, seed=3)
    steps = np.array(FH) - 1
    forecaster.fit(y, fh=FH)
    points = forecaster.predict()
    assert points.index.astype(str).tolist() == ["2020-11", "2020-12", "2021-03"]
    np.testing.assert_array_equal(points, drawn.median[0, steps])
    quantiles = forecaster.predict_quantiles(alpha=[0.05, 0.9])
    np.testing.assert_array_equal(quantiles["sales", 0.9], drawn.quantile(0.9)[0, steps])
    law = forecaster.predict_proba()
    np.testing.assert_allclose(law.ppf(0.9).iloc[:, 0], drawn.quantile(0.9)[0, steps], rtol=1e-4)


def test_sample_paths_are_an_empirical_distribution(one_pass, y):
    from lagllama_jax.adapters.sktime import LagLlamaForecaster

    options = {"method": "paths", "num_samples": 9}
    law = LagLlamaForecaster(one_pass, options=options).fit(y, fh=[1, 2]).predict_proba()
    paths = wanted(one_pass, y, **options).samples[0]
    np.testing.assert_allclose(law.mean().iloc[:, 0], paths[:, :2].mean(axis=0), rtol=1e-4)


def test_rare_counts_are_an_empirical_distribution_with_their_point_mass():
    from lagllama_jax import LagLlama
    from lagllama_jax.adapters.sktime import LagLlamaForecaster

    days = pd.period_range("2024-01-01", periods=300, freq="D")
    counts = pd.Series(np.random.default_rng(0).poisson(0.2, 300).astype(float), days)
    law = LagLlamaForecaster().fit(counts, fh=[1, 5]).predict_proba()
    plain = LagLlama.from_pretrained().predict(counts.to_numpy(), 5, start="2024-01-01", freq="D")
    assert (law.ppf(0.5) == 0).all(axis=None)
    np.testing.assert_allclose(law.ppf(0.95), plain.quantile(0.95).T[[0, 4]], atol=0.1)
    np.testing.assert_allclose(law.mean(), counts.mean(), atol=0.08)


def test_a_panel_is_forecast_in_one_call_as_its_series_are(forecaster, y, one_pass):
    panel = pd.concat({"a": y, "b": y.iloc[:-4] * 2}, names=["shop", "month"]).to_frame()
    table = forecaster.fit(panel, fh=[1, 2]).predict()
    assert table.index.get_level_values("shop").tolist() == ["a", "a", "b", "b"]
    assert table.index.get_level_values("month").astype(str).tolist() == [
        "2020-11", "2020-12", "2020-07", "2020-08",
    ]  # fmt: skip
    alone = forecaster.clone().fit(y, fh=[1, 2]).predict()
    np.testing.assert_allclose(table.loc["a"].to_numpy()[:, 0], alone, rtol=1e-4)


def test_exogenous_columns_are_known_covariates(forecaster, y, one_pass):
    price = np.sin(np.arange(75) * 2.0)
    index = pd.period_range("2015-01", periods=75, freq="M")
    X = pd.DataFrame({"price": price}, index)
    sold = y + 9 * X.price[:70]
    points = forecaster.fit(sold, X=X[:70], fh=FH).predict(X=X[70:].iloc[np.array(FH) - 1])
    known = np.where(np.isin(np.arange(75), [72, 73]), np.nan, price)
    drawn = wanted(one_pass, sold, seed=3, known_covariates=[{"price": known}])
    np.testing.assert_allclose(points, drawn.median[0, np.array(FH) - 1], rtol=1e-6)


def test_an_update_moves_the_end_of_the_past(forecaster, y):
    moved = forecaster.fit(y[:60], fh=FH).update(y[60:]).predict()
    whole = forecaster.clone().fit(y, fh=FH).predict()
    pd.testing.assert_series_equal(moved, whole)


def test_bad_options_are_refused_by_fit(y, one_pass):
    from lagllama_jax.adapters.sktime import LagLlamaForecaster

    with pytest.raises(ConfigError, match="colour"):
        LagLlamaForecaster(one_pass, options={"colour": "red"}).fit(y, fh=FH)
