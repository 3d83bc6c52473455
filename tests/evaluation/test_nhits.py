import numpy as np
import pytest

pytestmark = pytest.mark.gluonts


def test_nhits_forecasts_every_window_in_units_of_the_series_and_by_its_seed(monkeypatch):
    pytest.importorskip("neuralforecast", reason="N-HiTS needs the extra nhits")
    from lagllama_jax.evaluation.baselines import nhits

    monkeypatch.setattr(nhits, "STEPS", 5)
    series = [np.sin(np.arange(60) / 2) + 10 * level for level in range(3)]
    pasts = [values[:end] for values in series for end in (50, 56)]
    pasts[1] = np.where(np.arange(56) == 40, np.nan, pasts[1])
    state = np.random.get_state()[1].copy()
    quantiles = nhits.NHiTS().quantiles(pasts, 4, 12, (0.1, 0.5, 0.9))
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    again, other = (
        nhits.NHiTS(seed=seed).quantiles(pasts, 4, 12, (0.1, 0.5, 0.9)) for seed in (0, 1)
    )
    np.testing.assert_array_equal(again, quantiles)
    assert (other != quantiles).any()
    assert quantiles.shape == (6, 3, 4)
    assert (np.diff(quantiles, axis=1) >= 0).all()
    for level in range(3):
        assert (np.abs(quantiles[2 * level : 2 * level + 2] - 10 * level) < 5).all()
