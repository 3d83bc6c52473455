import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.errors import DataError
from lagllama_jax.evaluation import metrics

LEVELS = metrics.LEVELS
SEEDS = st.integers(0, 2**32 - 1)


def draw(seed: int, batch: int = 5, points: int = 7, samples: int = 40):
    rng = np.random.default_rng(seed)
    target = rng.normal(2, 3, (batch, points))
    paths = rng.normal(2, 3, (batch, samples, points))
    quantiles = np.moveaxis(np.quantile(paths, LEVELS, axis=1), 0, 1)
    return target, paths, quantiles, rng.uniform(0.5, 2, batch)


def all_scores(target, quantiles, error, axis=None):
    median = quantiles[:, 4]
    return {
        "crps": metrics.mean_weighted_quantile_loss(target, quantiles, LEVELS, axis),
        "mse": metrics.mse(target, median, axis),
        "mae": metrics.mae(target, median, axis),
        "mape": metrics.mape(target, median, axis),
        "smape": metrics.smape(target, median, axis),
        "nd": metrics.nd(target, median, axis),
        "nrmse": metrics.nrmse(target, median, axis),
        "mase": metrics.mase(target, median, error, axis),
        "msis": metrics.msis(target, quantiles[:, 0], quantiles[:, 8], error, 0.2, axis),
        "inside": metrics.interval_coverage(target, quantiles[:, 0], quantiles[:, 8], axis),
        "calibration": metrics.calibration_error(target, quantiles, LEVELS, axis),
    }


@given(SEEDS)
def test_sample_crps_is_the_mean_distance_less_half_the_mean_spread(seed):
    target, paths, *_ = draw(seed, 3, 4, 6)
    distance = np.abs(paths - target[:, None]).mean(1)
    spread = np.abs(paths[:, :, None] - paths[:, None]).mean((1, 2))
    np.testing.assert_allclose(
        metrics.sample_crps(target, paths), (distance - spread / 2).mean(), rtol=1e-10
    )
    points = metrics.sample_crps(target, paths, axis=())
    np.testing.assert_allclose(points, distance - spread / 2, rtol=1e-10)


def test_quantile_loss_over_many_levels_approaches_the_sample_crps():
    rng = np.random.default_rng(1)
    target, paths = rng.normal(size=(4, 3)), rng.normal(size=(4, 500, 3))
    levels = (np.arange(999) + 0.5) / 999
    quantiles = np.moveaxis(np.quantile(paths, levels, axis=1, method="inverted_cdf"), 0, 1)
    loss = metrics.quantile_loss(target, quantiles, levels).mean()
    assert loss == pytest.approx(metrics.sample_crps(target, paths), rel=1e-3)


@given(SEEDS)
def test_no_constant_forecast_has_a_lower_quantile_loss_than_the_quantile_itself(seed):
    rng = np.random.default_rng(seed)
    target = rng.normal(size=(1, 101))
    best = np.quantile(target, LEVELS, method="inverted_cdf")
    other = best + rng.normal(size=len(LEVELS))

    def loss(values):
        forecast = np.broadcast_to(values[None, :, None], (1, 9, 101))
        return metrics.quantile_loss(target, forecast, LEVELS).sum((0, 2))

    assert (loss(best) <= loss(other) + 1e-9).all()


@given(SEEDS, st.sampled_from([None, 0, 1, (0, 1)]))
def test_a_missing_target_changes_every_score_as_if_its_series_were_not_there(seed, axis):
    target, _, quantiles, error = draw(seed)
    target[3] = np.nan
    keep = [0, 1, 2, 4]
    ours = all_scores(target, quantiles, error, axis)
    for name, value in all_scores(target[keep], quantiles[keep], error[keep], axis).items():
        ours_kept = ours[name] if axis != 1 else ours[name][keep]
        np.testing.assert_allclose(ours_kept, value, rtol=1e-12, err_msg=name)


@given(SEEDS)
def test_scores_by_series_are_the_scores_of_each_series_alone(seed):
    target, _, quantiles, error = draw(seed)
    together = all_scores(target, quantiles, error, axis=1)
    for number in range(len(target)):
        one = slice(number, number + 1)
        for name, value in all_scores(target[one], quantiles[one], error[one]).items():
            np.testing.assert_allclose(together[name][number], value, rtol=1e-10, err_msg=name)


@given(SEEDS, st.floats(1e-3, 1e6))
def test_relative_scores_do_not_depend_on_the_unit(seed, unit):
    target, _, quantiles, error = draw(seed)
    one = all_scores(target, quantiles, error)
    other = all_scores(unit * target, unit * quantiles, unit * error)
    for name in one.keys() - {"mse", "mae"}:
        np.testing.assert_allclose(other[name], one[name], rtol=1e-8, err_msg=name)


def test_quantiles_of_the_true_distribution_are_calibrated():
    rng = np.random.default_rng(2)
    target = rng.uniform(size=(400, 50))
    quantiles = np.broadcast_to(np.array(LEVELS)[None, :, None], (400, 9, 50))
    np.testing.assert_allclose(metrics.coverage(target, quantiles), LEVELS, atol=0.02)
    assert metrics.calibration_error(target, quantiles, LEVELS) < 0.01
    inside = metrics.interval_coverage(target, quantiles[:, 0], quantiles[:, 8])
    assert inside == pytest.approx(0.8, abs=0.02)


def test_a_zero_divisor_leaves_its_point_out():
    target = np.array([[0.0, 2.0], [1.0, 1.0]])
    assert metrics.mape(target, target + 1) == pytest.approx((0.5 + 1 + 1) / 3)
    assert metrics.mase(target, target + 1, np.array([0.0, 0.5])) == pytest.approx(2.0)
    assert metrics.smape(np.zeros((1, 2)), np.array([[0.0, 1.0]])) == pytest.approx(2.0)


def test_a_forecast_that_is_not_finite_is_an_error_and_not_left_out():
    target, _, quantiles, _ = draw(0)
    quantiles[1, 2, 3] = np.nan
    with pytest.raises(DataError, match="not finite"):
        metrics.mean_weighted_quantile_loss(target, quantiles, LEVELS)
