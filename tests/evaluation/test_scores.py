import numpy as np
import pytest

from lagllama_jax.errors import ConfigError
from lagllama_jax.evaluation.scores import CRPS, LEVELS, geometric_mean, relative_score, score
from lagllama_jax.evaluation.windows import cut
from lagllama_jax.inference.forecast import Forecast


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


def test_a_perfect_forecast_scores_zero_and_covers_everything(series_of):
    windows = cut(series_of(np.random.default_rng(1).normal(size=100)), 5, 3)
    target = windows.target
    values = np.repeat(target[:, None], len(LEVELS), axis=1)
    perfect = Forecast(windows.dataset, None, LEVELS, values, target)
    scores = score(windows, perfect)
    errors = {name: value for name, value in scores.items() if name.startswith("eval_metrics")}
    assert set(errors.values()) == {0.0}
    assert scores["coverage_80"] == 1


def test_samples_score_as_their_quantiles_do(series_of):
    windows = cut(series_of(np.random.default_rng(1).normal(size=100)), 5, 3)
    samples = np.random.default_rng(2).normal(size=(3, 50, 5))
    drawn = Forecast(windows.dataset, samples)
    told = Forecast(windows.dataset, None, LEVELS, drawn.quantiles(LEVELS), drawn.mean)
    assert score(windows, drawn) == score(windows, told)


def test_a_forecast_that_lacks_a_level_is_refused(series_of):
    windows = cut(series_of(60), 5, 1)
    few = Forecast(windows.dataset, None, (0.5,), windows.target[:, None], windows.target)
    with pytest.raises(ConfigError, match="0.025"):
        score(windows, few)
