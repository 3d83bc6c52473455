"""The bundled weights are there, sound, and as good as when they were put in."""

import numpy as np
import pytest

from lagllama_jax import LagLlama
from lagllama_jax.evaluation.metrics import LEVELS, mean_weighted_quantile_loss
from lagllama_jax.training.presets import PRESETS

HORIZON, WINDOWS = 12, 10
SCORES = {"one_pass": 0.02776, "paths": 0.0275, "both": 0.0275}
"""Measured on a CPU; those of paths are means of three seeds. Last year's values score 0.0393."""


@pytest.fixture(scope="module")
def bundled():
    return LagLlama.from_pretrained()


def sea_temperatures():
    """Monthly series up to each of the last ten years, those years, and the years before them."""
    from statsmodels.datasets import elnino

    values = elnino.load_pandas().data.drop(columns="YEAR").to_numpy().ravel()
    ends = [len(values) - HORIZON * k for k in range(WINDOWS, 0, -1)]
    target = np.stack([values[end : end + HORIZON] for end in ends])
    naive = np.stack([values[end - HORIZON : end] for end in ends])
    return [values[:end] for end in ends], target, naive


def test_it_is_the_model_that_the_recipe_describes(bundled):
    assert bundled.config == PRESETS["box"].model.replace(context_length=64, variate_attention=True)


@pytest.mark.parametrize(("method", "measured"), SCORES.items())
def test_its_score_on_sea_temperatures_is_the_measured_one(bundled, method, measured):
    past, target, naive = sea_temperatures()
    forecast = bundled.predict(past, HORIZON, start="1950-01", freq="MS", method=method)
    score = mean_weighted_quantile_loss(target, forecast.quantiles(LEVELS), LEVELS)
    last_year = np.repeat(naive[:, None], len(LEVELS), axis=1)
    assert score == pytest.approx(measured, rel=0.002 if method == "one_pass" else 0.03)
    assert mean_weighted_quantile_loss(target, last_year, LEVELS) == pytest.approx(0.0393, abs=5e-5)


def test_forecasts_follow_the_unit(bundled):
    past, _, _ = sea_temperatures()
    one, thousand = (
        bundled.predict([unit * series for series in past[:2]], HORIZON, num_samples=40).samples
        for unit in (1.0, 1000.0)
    )
    difference = np.abs(thousand / 1000 - one) / np.abs(one).mean()
    assert difference.max() < 1e-5


def test_a_daily_pattern_is_continued(bundled):
    hours = np.arange(24 * 20)
    series = 10 + np.sin(2 * np.pi * hours / 24)
    forecast = bundled.predict(series, 24, start="2026-01-01", freq="h", num_samples=50)
    truth = 10 + np.sin(2 * np.pi * (hours[-1] + 1 + np.arange(24)) / 24)
    assert np.abs(forecast.quantile(0.5)[0] - truth).mean() < 0.15


@pytest.fixture(scope="module")
def recorded(golden):
    """Forecasts of ordinary series, recorded when the weights were put in."""
    with np.load(golden / "bundled_forecasts.npz") as file:
        return dict(file)


@pytest.mark.parametrize("method", ["one_pass", "paths"])
@pytest.mark.parametrize("dated", [True, False])
def test_forecasts_of_ordinary_series_are_the_recorded_ones(bundled, recorded, dated, method):
    names = [str(name) for name in recorded["names"]]
    series = [recorded[f"series/{name}"] for name in names]
    dates = {}
    if dated:
        dates = {part: [str(text) for text in recorded[f"{part}s"]] for part in ("start", "freq")}
    forecast = bundled.predict(series, 24, item_ids=names, method=method, **dates)
    swing = np.array([np.nanstd(one) for one in series])[:, None, None]
    wanted = recorded[f"{method}/{'dated' if dated else 'undated'}"]
    found = forecast.quantiles([0.1, 0.5, 0.9])
    np.testing.assert_allclose(found / swing, wanted / swing, atol=1e-4)


def test_a_high_level_leaves_the_shape_of_a_series(bundled):
    hours = np.arange(24 * 20)
    wave = 20 * np.sin(2 * np.pi * hours / 24)
    for level in (1e8, 1.7e9):
        forecast = bundled.predict(wave + level, 24, start="2026-01-01", freq="h", num_samples=50)
        truth = 20 * np.sin(2 * np.pi * (hours[-1] + 1 + np.arange(24)) / 24)
        error = np.abs(forecast.median[0] - level - truth).mean()
        assert error < 1
