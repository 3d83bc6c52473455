"""Attributions of forecasts."""

import numpy as np
import pandas as pd
import pytest

from lagllama_jax.errors import ConfigError, DataError

pytestmark = pytest.mark.usefixtures("hurry")


@pytest.mark.parametrize("baseline", ["median", "missing"])
@pytest.mark.parametrize("gaps", [False, True])
def test_the_parts_add_up_to_the_difference_from_the_baseline(one_pass, walk, baseline, gaps):
    series = np.where(np.arange(120) % 5 == 1, np.nan, walk) if gaps else walk
    dated = {"start": "2024-01-01", "freq": "D", "baseline": baseline}
    found = one_pass.lag_attribution(series, [1, 4, 9], **dated)
    difference = found.location - found.baseline
    np.testing.assert_allclose(found.total, difference, rtol=1e-3)
    lagged = found.values.sum(1) + found.observed.sum(1)
    np.testing.assert_allclose(found.by_lag().sum(), lagged, rtol=1e-4)
    flags = np.abs(found.observed).sum()
    assert flags > 0 if baseline == "missing" else flags == 0
    forecast = one_pass.predict(
        series, 9, start="2024-01-01", freq="D", coarsen=1, difference="none"
    )
    np.testing.assert_allclose(found.location, forecast.mean[0, [0, 3, 8]], rtol=1e-5)


@pytest.fixture(scope="module")
def shop():
    """Sales that fall with the price and rise with a promotion, and these for 9 days more."""
    rng = np.random.default_rng(3)
    price, promotion = rng.normal(3, 0.5, 129), (rng.random(129) < 0.2).astype(float)
    sales = 60 - 4 * price + 6 * promotion + rng.normal(size=129)
    return sales[:120], {"price": price, "promotion": promotion}


def test_the_parts_of_covariates_add_up_to_their_effect(one_pass, shop):
    sales, known = shop
    dated = {"start": "2024-01-01", "freq": "D", "known_covariates": known}
    found = one_pass.lag_attribution(sales, [1, 4, 9], **dated)
    forecast = one_pass.predict(sales, 9, coarsen=1, difference="none", **dated)
    np.testing.assert_allclose(found.location, forecast.mean[0, [0, 3, 8]], rtol=1e-5)
    np.testing.assert_allclose(found.total, found.location - found.baseline, rtol=1e-3)
    usual = {name: np.r_[row[:120], [row[:120].mean()] * 9] for name, row in known.items()}
    without = one_pass.predict(
        sales, 9, coarsen=1, difference="none", **dated | {"known_covariates": usual}
    )
    effect = (forecast.effect - without.effect)[0, [0, 3, 8]]
    np.testing.assert_allclose(found.covariates.sum(1), effect, rtol=1e-3)
    assert np.abs(effect).max() > 1
    assert found.by_covariate().index.tolist() == ["price", "promotion"]
    low = known["price"][[120, 123, 128]] < 3
    assert ((found.by_covariate().loc["price"] > 0) == low).all()
    table = found.to_frame()
    np.testing.assert_allclose(table.groupby("step")["attribution"].sum(), found.total)
    assert table[table["part"] == "covariate"]["covariate"].tolist() == ["price", "promotion"] * 3
    assert "known covariates: " in found.plot().axes[1].get_title(loc="left")


def test_covariates_that_explain_nothing_or_end_early_are_told_apart(one_pass, shop):
    sales, known = shop
    constant = {"idle": np.ones(129)}
    with pytest.warns(UserWarning, match="idle are not used"):
        found = one_pass.lag_attribution(sales, 3, known_covariates=constant)
    assert (found.covariates == 0).all()
    np.testing.assert_array_equal(found.values, one_pass.lag_attribution(sales, 3).values)
    with pytest.raises(DataError, match="have 129 points; expected 130"):
        one_pass.lag_attribution(sales, 10, known_covariates=known)


def test_models_without_one_pass_explain_the_first_step(authors, walk):
    found = authors.lag_attribution(walk)
    np.testing.assert_allclose(found.total, found.location - found.baseline, rtol=1e-3)
    assert np.abs(found.scale).sum() > 0
    with pytest.raises(ConfigError, match="leave step at 1"):
        authors.lag_attribution(walk, 2)


def test_contributions_are_in_the_unit_of_the_series(one_pass, walk):
    found, thousandfold = (one_pass.lag_attribution(unit * walk, 2) for unit in (1, 1000))
    np.testing.assert_allclose(thousandfold.values, 1000 * found.values, rtol=1e-2, atol=1e-2)


def test_only_points_that_a_lag_reaches_contribute(one_pass):
    reach = one_pass.config.past_length
    series = np.random.default_rng(1).normal(size=reach + 20)
    other = series.copy()
    other[:20] += 100
    one, two = (one_pass.lag_attribution(values, 3).values for values in (series, other))
    np.testing.assert_allclose(one, two, atol=1e-5)
    assert one.shape == (1, reach)
    assert (one != 0).sum() == reach - 1  # all but the median, which the baseline has too


def test_a_missing_value_contributes_nothing(one_pass, walk):
    walk = walk.copy()
    walk[-4] = np.nan
    found = one_pass.lag_attribution(walk, [1, 3], baseline="missing")
    assert (found.values[:, -4] == 0).all() and (found.values[:, -3] != 0).all()


def test_a_constant_series_rests_on_nothing(one_pass):
    found = one_pass.lag_attribution([5.0] * 40, [1, 2])
    assert (found.location == 5).all() and (found.baseline == 5).all() and (found.total == 0).all()


def test_the_table_names_dates_and_adds_up(one_pass, walk):
    found = one_pass.lag_attribution(walk[:12], [1, 3], start="2024-01-01", freq="D")
    table = found.to_frame()
    np.testing.assert_allclose(table.groupby("step")["attribution"].sum(), found.total)
    dated = table[table["part"] != "scale"]
    days = (dated["timestamp"] - dated["source"]) / pd.Timedelta("1D")
    assert (days == dated["distance"]).all() and dated["distance"].min() == 1
    assert table["timestamp"].unique().tolist() == [
        pd.Timestamp("2024-01-13"),
        pd.Timestamp("2024-01-15"),
    ]
    assert dated["source"].min() == pd.Timestamp("2024-01-01")
    assert table[table["part"] == "scale"]["source"].isna().all()
    numbered = one_pass.lag_attribution(walk[:12], 3).to_frame()
    assert numbered["source"].dropna().max() == 13  # the query for step 3 stands at step 2


def test_a_picture_is_drawn(one_pass, walk, tmp_path):
    found = one_pass.lag_attribution(walk, [1, 7], start="2024-01-01", freq="D")
    found.plot(history=40).savefig(tmp_path / "attribution.png")
    assert (tmp_path / "attribution.png").stat().st_size > 5_000


@pytest.mark.parametrize(
    ("series", "options", "error", "message"),
    [
        ([[1.0] * 9] * 2, {}, DataError, "one series per call, and 2 were given"),
        ([[np.nan] * 9], {}, DataError, "no value"),
        ([[1.0] * 9], {"step": 0}, ConfigError, "step=0"),
        ([[1.0] * 9], {"step": []}, ConfigError, "at least one step"),
        ([[1.0] * 9], {"step": 10**9}, ConfigError, "GiB"),
        ([[1.0] * 9], {"baseline": "mean"}, ConfigError, "baseline='mean' must be one of median"),
    ],
)
def test_bad_input_is_named(one_pass, series, options, error, message):
    with pytest.raises(error, match=message):
        one_pass.lag_attribution(series, **options)


def test_other_heads_are_refused(with_head, walk):
    with pytest.raises(ConfigError, match="implicit_quantile"):
        with_head("implicit_quantile").lag_attribution(walk)
