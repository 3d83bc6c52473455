import doctest

import numpy as np
import pandas as pd
import pytest

from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.evaluation import metrics

pytestmark = [
    pytest.mark.gluonts,
    pytest.mark.filterwarnings(
        "ignore"
    ),  # of gluonts and what it brings; ours are tested elsewhere
]
STEPS = 5


def test_the_example_is_right():
    from lagllama_jax.adapters import gluonts

    result = doctest.testmod(gluonts)
    assert result.attempted and not result.failed


@pytest.fixture(scope="module")
def entries():
    random = np.random.default_rng(0)
    return [
        {
            "item_id": name,
            "start": pd.Period("2024-01-01", "h") + number,
            "target": random.normal(size=60 + number).cumsum() + 30,
        }
        for number, name in enumerate("abcd")
    ]


@pytest.fixture
def predictor(one_pass):
    from lagllama_jax.adapters.gluonts import LagLlamaPredictor

    return LagLlamaPredictor(STEPS, one_pass, quantile_levels=metrics.LEVELS)


def test_quantiles_and_dates_are_those_of_predict(predictor, entries, one_pass):
    from gluonts.model.forecast import QuantileForecast

    wanted = one_pass.predict(entries, STEPS)
    forecasts = list(predictor.predict(entries))
    for row, (entry, forecast) in enumerate(zip(entries, forecasts, strict=True)):
        assert isinstance(forecast, QuantileForecast)
        assert forecast.item_id == entry["item_id"]
        assert forecast.start_date == entry["start"] + len(entry["target"])
        for level in metrics.LEVELS:
            quantile = wanted.quantile(level)[row]
            np.testing.assert_allclose(forecast.quantile(level), quantile, rtol=1e-14)
        np.testing.assert_array_equal(forecast.mean, wanted.mean[row])
        stamps = forecast.index.to_timestamp()
        np.testing.assert_array_equal(stamps, wanted.index[row])


def test_sample_paths_are_those_of_predict(predictor, entries, one_pass):
    from gluonts.model.forecast import SampleForecast

    wanted = one_pass.predict(entries, STEPS, num_samples=7).samples
    for row, forecast in enumerate(predictor.predict(entries, num_samples=7)):
        assert isinstance(forecast, SampleForecast)
        np.testing.assert_array_equal(forecast.samples, wanted[row])


def test_the_number_of_entries_at_once_changes_nothing(predictor, entries, monkeypatch):
    from lagllama_jax.adapters import gluonts

    unnamed = [{key: entry[key] for key in ("start", "target")} for entry in entries]
    together = [one.samples for one in predictor.predict(unnamed, num_samples=3)]
    monkeypatch.setattr(gluonts, "CHUNK", 1)
    apart = [one.samples for one in predictor.predict(iter(unnamed), num_samples=3)]
    np.testing.assert_allclose(apart, together, rtol=1e-4)


def test_the_evaluator_of_gluonts_gives_our_scores(predictor, entries):
    from gluonts.evaluation import Evaluator, make_evaluation_predictions

    forecasts, series = make_evaluation_predictions(entries, predictor, num_samples=None)
    scores, _ = Evaluator(quantiles=metrics.LEVELS, num_workers=0)(series, forecasts)
    pasts = [entry | {"target": entry["target"][:-STEPS]} for entry in entries]
    target = np.stack([entry["target"][-STEPS:] for entry in entries])
    drawn = predictor.model.predict(pasts, STEPS)
    quantiles = drawn.quantiles(metrics.LEVELS)
    crps = metrics.mean_weighted_quantile_loss(target, quantiles, metrics.LEVELS)
    np.testing.assert_allclose(scores["mean_wQuantileLoss"], crps, rtol=1e-6)
    np.testing.assert_allclose(scores["ND"], metrics.nd(target, drawn.median), rtol=1e-6)
    np.testing.assert_allclose(scores["MSE"], metrics.mse(target, drawn.mean), rtol=1e-6)


def test_the_evaluator_of_gluonts_scores_sample_paths(predictor, entries):
    from gluonts.evaluation import Evaluator, make_evaluation_predictions

    forecasts, series = make_evaluation_predictions(entries, predictor, num_samples=20)
    scores, per_item = Evaluator(num_workers=0)(series, forecasts)
    assert len(per_item) == len(entries)
    assert 0 < scores["mean_wQuantileLoss"] < 1


def test_a_predictor_that_was_written_is_the_same_when_it_is_read(predictor, entries, tmp_path):
    from gluonts.model.predictor import Predictor

    from lagllama_jax.adapters.gluonts import LagLlamaPredictor

    predictor.serialize(tmp_path)
    read = Predictor.deserialize(tmp_path)
    assert read == predictor
    assert read != LagLlamaPredictor(STEPS + 1, predictor.model)
    assert read != LagLlamaPredictor(STEPS, predictor.model, seed=5)
    first, second = (next(one.predict(entries)).mean for one in (predictor, read))
    np.testing.assert_array_equal(first, second)


def test_bad_entries_and_options_are_named(predictor, entries):
    from lagllama_jax.adapters.gluonts import LagLlamaPredictor

    wrong = entries[:1] + [entries[1] | {"target": [np.inf]}]
    with pytest.raises(DataError, match="'b'"):
        list(predictor.predict(wrong))
    with pytest.raises(ConfigError, match="prediction_length=0"):
        LagLlamaPredictor(0, predictor.model)
    with pytest.raises(ConfigError, match="colour"):
        LagLlamaPredictor(3, predictor.model, colour="red")


def test_dynamic_features_are_known_covariates(predictor, entries, one_pass):
    random = np.random.default_rng(1)
    entries = [entry | {"target": entry["target"][-60:]} for entry in entries]
    features = [random.normal(size=(2, 60 + STEPS)) for _ in entries]
    featured = [
        entry | {"feat_dynamic_real": rows, "target": entry["target"] + 9 * rows[0, :-STEPS]}
        for entry, rows in zip(entries, features, strict=True)
    ]
    plain = [{key: entry[key] for key in ("item_id", "start", "target")} for entry in featured]
    wanted = one_pass.predict(plain, STEPS, known_covariates=features)
    for row, forecast in enumerate(predictor.predict(featured)):
        np.testing.assert_allclose(forecast.quantile(0.9), wanted.quantile(0.9)[row], rtol=1e-12)
    with pytest.raises(DataError, match="'b' has no feat_dynamic_real"):
        list(predictor.predict([featured[0], entries[1]]))


def test_targets_of_two_dimensions_have_several_variates(predictor, entries, one_pass):
    both = [entry | {"target": np.stack([entry["target"], -entry["target"]])} for entry in entries]
    wanted = one_pass.predict(entries, STEPS, num_samples=3)
    for row, forecast in enumerate(predictor.predict(both)):
        assert forecast.quantile(0.5).shape == (STEPS, 2)
        np.testing.assert_allclose(forecast.quantile(0.5)[:, 0], wanted.median[row], rtol=1e-4)
    assert next(predictor.predict(both, num_samples=3)).samples.shape == (3, STEPS, 2)
