import warnings

import numpy as np
import pytest

from lagllama_jax.evaluation import metrics
from lagllama_jax.evaluation.windows import seasonal_errors

pytestmark = [
    pytest.mark.gluonts,
    pytest.mark.filterwarnings("ignore"),  # of gluonts and what it brings; ours are tested above
]
LEVELS = metrics.LEVELS


def random_case(seed: int):
    """Forecasts and targets with missing points, zeros and one constant past."""
    rng = np.random.default_rng(seed)
    target = rng.normal(1, 3, (6, 11))
    target[rng.random(target.shape) < 0.2] = np.nan
    target[rng.random(target.shape) < 0.1] = 0.0
    quantiles = np.sort(rng.normal(1, 3, (6, 11, 11)), axis=1)
    quantiles[rng.random(quantiles.shape) < 0.1] = 0.0
    error = rng.uniform(0.5, 2, 6)
    error[2] = 0.0
    return target, quantiles, rng.normal(1, 3, (6, 11)), error


def gluonts_scores(target, quantiles, mean, error, axis):
    from gluonts.ev import metrics as ev

    names = ["0.025", *map(str, LEVELS), "0.975"]
    data = {name: quantiles[:, number] for number, name in enumerate(names)}
    data |= {"label": np.ma.masked_invalid(target), "mean": mean}
    data["seasonal_error"] = error[:, None]
    definitions = {
        "crps": ev.MeanWeightedSumQuantileLoss(quantile_levels=LEVELS),
        "mse": ev.MSE(forecast_type="mean"),
        "mae": ev.MAE(),
        "mape": ev.MAPE(),
        "smape": ev.SMAPE(),
        "mase": ev.MASE(),
        "msis": ev.MSIS(),
        "nd": ev.ND(),
        "nrmse": ev.NRMSE(),
        "coverage": ev.Coverage(q=0.3),
        "calibration": ev.MAECoverage(quantile_levels=LEVELS),
    }
    scores = {}
    for name, definition in definitions.items():
        evaluator = definition(axis=axis)
        evaluator.update(data)
        scores[name] = np.ma.filled(evaluator.get(), np.nan)
    return scores


@pytest.mark.parametrize("axis", [None, 0])
@pytest.mark.parametrize("seed", range(5))
def test_every_metric_equals_that_of_gluonts_on_random_inputs(seed, axis):
    target, quantiles, mean, error = random_case(seed)
    deciles, median = quantiles[:, 1:-1], quantiles[:, 5]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = {
            "crps": metrics.mean_weighted_quantile_loss(target, deciles, LEVELS, axis),
            "mse": metrics.mse(target, mean, axis),
            "mae": metrics.mae(target, median, axis),
            "mape": metrics.mape(target, median, axis),
            "smape": metrics.smape(target, median, axis),
            "mase": metrics.mase(target, median, error, axis),
            "msis": metrics.msis(target, quantiles[:, 0], quantiles[:, -1], error, axis=axis),
            "nd": metrics.nd(target, median, axis),
            "nrmse": metrics.nrmse(target, mean, axis),
            "coverage": metrics.coverage(target, quantiles[:, 3:4], axis)[0],
            "calibration": metrics.calibration_error(target, deciles, LEVELS, axis),
        }
    theirs = gluonts_scores(target, quantiles, mean, error, axis)
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-10, err_msg=name)


def test_the_divisor_of_mase_equals_that_of_gluonts_with_missing_points():
    from gluonts.ev.ts_stats import seasonal_error

    rng = np.random.default_rng(3)
    values = rng.normal(size=200)
    values[rng.random(200) < 0.3] = np.nan
    ends = np.array([5, 30, 100, 199])
    theirs = [seasonal_error(np.ma.masked_invalid(values[:end]), 24)[0] for end in ends]
    np.testing.assert_allclose(seasonal_errors(values, 24, ends), theirs, rtol=1e-12)
