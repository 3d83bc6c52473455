import numpy as np
import pytest

from lagllama_jax.evaluation.forecasters import BaselineForecaster, Prediction
from lagllama_jax.evaluation.units import unit_difference
from lagllama_jax.evaluation.windows import Panel, cut


@pytest.fixture
def windows():
    values = 5 + np.random.default_rng(0).normal(size=100)
    return cut(Panel(("a",), (values,), ("2024-01-01",), "h"), 6, 12, windows=3)


def test_a_forecast_that_follows_the_unit_differs_by_nothing(windows):
    assert unit_difference(BaselineForecaster("seasonal_naive"), windows) < 1e-12


def test_a_forecast_that_forgets_the_unit_differs_by_what_it_forgets(windows):
    class Shy:
        name = "shy"

        def __call__(self, windows, levels):
            level = np.array([past[-1] ** 0.5 for past in windows.past])[:, None, None]
            quantiles = np.broadcast_to(level, (len(windows), len(levels), 6))
            return Prediction(quantiles, quantiles[:, 0])

    assert unit_difference(Shy(), windows, factor=4.0) == pytest.approx(0.5)
