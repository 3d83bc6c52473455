from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lagllama_jax import LagLlama
from lagllama_jax.causal import predictive_causes, what_if
from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.evaluation.baselines import baseline


@pytest.fixture(scope="module")
def shop():
    rng = np.random.default_rng(0)
    price = rng.normal(3, 0.5, 90)
    sales = 60 - 4 * price + rng.normal(size=90)
    days = pd.date_range("2026-01-01", periods=90)
    return pd.DataFrame({"ds": days, "y": sales, "price": price})


def futures(shop, *prices):
    return [shop[["ds", "price"]][-10:].assign(price=price) for price in prices]


def test_the_difference_of_two_prices_is_their_effect_and_its_error_that_of_the_slope(shop):
    found = what_if(shop[:80], *futures(shop, 2.5, 3.5), 10, method="ridge")
    low, high = found.interval()[0]
    assert low < 4 < high and 0.2 < high - low < 2
    np.testing.assert_allclose(found.cumulative, 10 * found.average)
    np.testing.assert_allclose(found.interval(cumulative=True)[0], (10 * low, 10 * high))
    frame = found.to_frame()
    assert len(frame) == 10 and frame.ds.iloc[0] == shop.ds.iloc[80]
    assert "only if" in repr(found)
    named = replace(found, dataset=replace(found.dataset, timestamp_column="a"))
    with pytest.raises(DataError, match="'a' of the input is named like one of the result"):
        named.to_frame()


def test_the_interval_of_a_difference_holds_the_true_one_as_often_as_it_says():
    inside = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        price, noise = rng.normal(size=(2, 80))
        noise = pd.Series(noise).ewm(alpha=0.3).mean().to_numpy()  # errors with memory
        days = pd.date_range("2026-01-01", periods=80)
        table = pd.DataFrame({"ds": days, "y": 5 - 2 * price + noise, "price": price})
        found = what_if(table[:70], *futures(table, 0.0, 1.0), 10, method="ridge")
        low, high = found.interval(0.9)[0]
        inside += low < 2 < high
    assert 30 <= inside <= 40  # 36 are expected; fewer than 30 occur with a probability of 0.5 %


def test_equal_futures_differ_by_nothing_with_the_network(
    shop, hurry, tiny_config, tiny_parameters
):
    model = LagLlama(tiny_parameters, tiny_config)
    for method in ("regression_network", "network"):
        found = what_if(
            shop[:80], *futures(shop, 3.0, 3.0), 10, predictor=model, method=method, num_samples=40
        )
        np.testing.assert_array_equal(found.samples, 0.0)


def test_futures_with_other_columns_and_methods_are_refused(shop):
    a, b = futures(shop, 2.5, 3.5)
    with pytest.raises(DataError, match="The covariates of the futures differ"):
        what_if(shop[:80], a, b.drop(columns="price"), 10, method="ridge")
    with pytest.raises(ConfigError, match="method='magic'"):
        what_if(shop[:80], a, b, 10, method="magic")


def table(seed, effect, count=220):
    """Columns of noise with memory, of which the first drives the target a step later."""
    rng = np.random.default_rng(seed)
    x = np.zeros((count, 4))
    for t in range(1, count):
        x[t] = 0.7 * x[t - 1] + rng.normal(size=4)
    y = rng.normal(size=count)
    y[1:] += effect * x[:-1, 0]
    days = pd.date_range("2026-01-01", periods=count)
    return pd.DataFrame({"day": days, "y": y} | {f"x{n}": x[:, n] for n in range(4)})


QUICK = {"predictor": baseline("naive"), "permutations": 99}


def test_the_column_that_foretells_is_found():
    found = predictive_causes(table(0, 0.8), "y", **QUICK)
    assert found.column[0] == "x0" and found.corrected[0] < 0.05
    assert (found.corrected[1:] > 0.05).all() and (found.corrected >= found.p_value).all()
    assert found.gain[0] > 0.05


def test_columns_of_noise_pass_as_often_as_the_level_says():
    p_values = [predictive_causes(table(s, 0.0), "y", **QUICK).p_value for s in range(1, 16)]
    share = (np.concatenate(p_values) < 0.1).mean()
    assert share < 0.22  # 6 of 60 are expected; 14 or more occur with a probability of 0.1 %


def test_causes_need_columns_and_points():
    with pytest.raises(DataError, match="no column beside 'y'"):
        predictive_causes(table(0, 0.0)[["day", "y"]], "y", **QUICK)
    with pytest.raises(DataError, match="at least 50 are needed"):
        predictive_causes(table(0, 0.0)[:40], "y", **QUICK)


def test_a_price_that_never_changed_has_no_answer(shop):
    flat = shop.assign(price=3.0)
    for method in ("ridge", "network", "regression_network"):
        with pytest.raises(DataError, match="'price': it did not vary in the past"):
            what_if(flat[:80], *futures(flat, 3.0, 4.0), 10, method=method)
    same = what_if(flat[:80], *futures(flat, 3.0, 3.0), 10, method="ridge")
    np.testing.assert_array_equal(same.samples, 0.0)


def test_a_missing_price_has_no_answer_by_any_method(shop):
    a, b = futures(shop, 2.5, 3.5)
    b.loc[b.index[4], "price"] = np.nan
    for method in ("ridge", "network"):
        with pytest.raises(DataError, match="'price': step 5 of a future is missing"):
            what_if(shop[:80], a, b, 10, method=method)


def test_a_price_beyond_the_past_is_told(shop):
    with pytest.warns(UserWarning, match="'price': the past has values from .* future has 30"):
        what_if(shop[:80], *futures(shop, 3.0, 30.0), 10, method="ridge")


def test_few_paths_are_told(shop):
    with pytest.warns(UserWarning, match="num_samples=5 is too few"):
        what_if(shop[:80], *futures(shop, 2.5, 3.5), 10, method="ridge", num_samples=5)


def test_one_name_of_a_column_is_a_list_of_one():
    naive = baseline("seasonal_naive")
    options = {"predictor": naive, "permutations": 19}
    one = predictive_causes(table(0, 2.0), "y", "x0", **options)
    pd.testing.assert_frame_equal(one, predictive_causes(table(0, 2.0), "y", ["x0"], **options))
