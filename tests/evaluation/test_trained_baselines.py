"""Baselines that are trained on the series: DeepAR and N-HiTS."""

import numpy as np
import pytest

from lagllama_jax.evaluation.baselines.baseline import Asked

pytestmark = pytest.mark.gluonts


def windows(apart):
    """Two windows of each of three waves, whose levels are some distance apart."""
    series = [np.sin(np.arange(60) / 2) + apart * level for level in range(3)]
    return [values[:end] for values in series for end in (50, 56)]


def forecast(baseline, pasts):
    """Quantiles of four points, after a check that they depend on the seed alone."""
    ask = Asked(pasts, 4, 12, (0.1, 0.5, 0.9))
    state = np.random.get_state()[1].copy()
    quantiles = baseline().quantiles(ask)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    again, other = (baseline(seed=seed).quantiles(ask) for seed in (0, 1))
    np.testing.assert_array_equal(again, quantiles)
    assert (other != quantiles).any()
    assert quantiles.shape == (6, 3, 4)
    assert (np.diff(quantiles, axis=1) >= 0).all()
    return quantiles


@pytest.mark.filterwarnings("ignore")  # of gluonts and what it brings
def test_deepar_of_gluonts_forecasts_every_window_without_seeing_a_later_one(monkeypatch):
    pytest.importorskip("lightning", reason="DeepAR needs gluonts' torch extra")
    from lagllama_jax.evaluation.baselines import deepar

    monkeypatch.setattr(deepar, "EPOCHS", 1)
    monkeypatch.setattr(deepar, "BATCHES", 2)
    pasts = windows(1)
    assert [len(past) for past in deepar.training_pasts(pasts)] == [50, 50, 50]
    forecast(deepar.DeepAR, pasts)


def test_nhits_forecasts_every_window_in_units_of_the_series_and_by_its_seed(monkeypatch):
    pytest.importorskip("neuralforecast", reason="N-HiTS needs the extra nhits")
    from lagllama_jax.evaluation.baselines import nhits

    monkeypatch.setattr(nhits, "STEPS", 5)
    pasts = windows(10)
    pasts[1] = np.where(np.arange(56) == 40, np.nan, pasts[1])
    quantiles = forecast(nhits.NHiTS, pasts)
    for level in range(3):
        assert (np.abs(quantiles[2 * level : 2 * level + 2] - 10 * level) < 5).all()
