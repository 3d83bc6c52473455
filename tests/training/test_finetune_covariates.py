"""Fine-tuning on items of several variates: a covariate that drives the target is learned."""

import dataclasses
import logging
import sys

import jax
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax import ForecastConfig, LagLlama, ModelConfig
from lagllama_jax.cli import main as cli
from lagllama_jax.config import FitConfig
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.evaluation.metrics import sample_crps
from lagllama_jax.inference.marginals import middle_levels
from lagllama_jax.inference.predictor import ModelPredictor
from lagllama_jax.model.batch import KNOWN_COVARIATE, PADDING, PAST_COVARIATE, TARGET
from lagllama_jax.model.network import init_parameters
from lagllama_jax.series.arrays import read_series
from lagllama_jax.series.covariates import with_covariates
from lagllama_jax.training.finetune_task import MOST_VARIATES, make_task, packed
from lagllama_jax.training.guard import NUM_SAMPLES, forecast_crps
from lagllama_jax.training.sources.corpus_arrays import corpus_arrays
from lagllama_jax.training.sources.groups import draw_groups_on_host
from tests.training.test_finetune import same

CONFIG = ModelConfig.tiny(
    lags=(0, 1, 2, 7),
    context_length=8,
    observed_features=True,
    imputation="loc",
    one_pass=True,
    variate_attention=True,
)
HORIZON = 4
TOGETHER = {"covariates": "network", "learning_rate": 1e-2, "steps_per_epoch": 40}


def driven(count=8, length=100):
    """Targets that are functions of a covariate without memory, which is known ahead."""
    rng = np.random.default_rng(0)
    known = [rng.normal(size=(1, length + HORIZON)) for _ in range(count)]
    return [3 * one[0, :length] + 5 for one in known], known


def items(lengths=(40, 33), targets=2, past=1, known=2, seed=0):
    """Items of several targets, past covariates and known covariates."""
    rng = np.random.default_rng(seed)
    rows = lambda count, more: [rng.normal(size=(count, n + more)) for n in lengths]  # noqa: E731
    dataset = read_series(rows(targets, 0))
    return with_covariates(
        dataset, rows(past, 0) if past else None, rows(known, HORIZON) if known else None
    )


@pytest.fixture(scope="module")
def model():
    parameters = init_parameters(CONFIG, jax.random.key(0))
    for name, block in parameters.items():
        if name.startswith("block_"):  # as if attention across variates had been trained
            kernel = block["variate_attention"]["output"]["kernel"]
            noise = jax.random.normal(jax.random.key(len(name)), kernel.shape)
            block["variate_attention"]["output"]["kernel"] = kernel + 0.1 * noise
    return LagLlama(parameters, CONFIG)


def test_a_covariate_that_drives_the_target_is_learned(model):
    series, known = driven()
    tuned = model.fit(series, HORIZON, known_covariates=known, **TOGETHER, epochs=4)
    assert tuned.report.improved
    truth = np.stack([3 * one[0, -HORIZON:] + 5 for one in known])

    def error(one):
        found = one.predict(series, HORIZON, known_covariates=known, covariates="network")
        return np.abs(found.median - truth).mean()

    assert error(tuned) < 0.5 * error(model)
    again = model.fit(series, HORIZON, known_covariates=known, **TOGETHER, epochs=4)
    same(tuned.parameters, again.parameters)


@settings(max_examples=30, deadline=None)
@given(
    targets=st.integers(1, 3),
    past=st.integers(0, 2),
    known=st.integers(0, 3),
    room=st.integers(2, 9),
    seed=st.integers(0, 99),
)
def test_a_group_has_variates_of_one_item_in_their_roles(targets, past, known, room, seed):
    size = targets + past + known
    if size == 1:
        return
    corpus = Corpus.pack(items((40, 33, 25), targets, past, known), together=True)
    assert corpus.items.item.tolist() == np.repeat(range(3), size).tolist()
    data = dataclasses.replace(
        make_task(CONFIG, corpus, HORIZON, FitConfig(covariates="network"), None).recipe.data,
        group_size=room,
    )
    arrays = corpus_arrays(corpus, CONFIG, data, on_device=False)
    draws = draw_groups_on_host(np.random.default_rng(seed), arrays, 8, CONFIG, data)
    for series, role in zip(*draws.members, strict=True):
        kept = role != PADDING
        assert role[0] == TARGET and kept.sum() == min(size, room)
        assert len(set(series[kept])) == kept.sum()
        assert len(set(corpus.items.item[series])) == 1
        np.testing.assert_array_equal(role[kept], corpus.items.role[series[kept]])


@pytest.fixture
def task():
    options = FitConfig(covariates="network")
    return make_task(CONFIG, packed(items(), options), HORIZON, options, None)


def test_the_guard_scores_the_forecasts_that_the_network_would_give(model, task):
    found = task.crps(CONFIG, model.parameters)
    assert found.shape == (4, HORIZON)
    whole = items()
    known = [rows[:, : rows.shape[1] - HORIZON] for rows in whole.known_covariates]
    data = dataclasses.replace(whole, known_covariates=known).truncate(whole.lengths - HORIZON)
    config = ForecastConfig(covariates="network")
    laws = ModelPredictor(model.parameters, CONFIG).predict(data, HORIZON, config)
    truth = np.concatenate([rows[:, -HORIZON:] for rows in whole.targets])
    drawn = laws.quantiles(middle_levels(NUM_SAMPLES))
    unit = task.unit[np.asarray(task.windows(CONFIG).role) == TARGET][:, None]
    expected = sample_crps(truth, drawn, axis=()) / unit
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("role", [TARGET, PAST_COVARIATE, KNOWN_COVARIATE])
def test_only_the_future_of_known_covariates_is_seen(model, task, role):
    windows = task.windows(CONFIG)
    changed = np.array(windows.values)
    changed[np.asarray(windows.role) == role, -HORIZON:-1] += 1.0
    hidden = np.asarray(windows.role) == TARGET
    blind = np.array(windows.observed)
    blind[hidden, -HORIZON:-1] = False  # score only the last point, which is not changed
    scores = [
        forecast_crps(
            model.parameters,
            CONFIG,
            windows._replace(values=values, observed=blind),
            HORIZON,
            task.unit,
        )[:, -1]
        for values in (windows.values, changed)
    ]
    assert np.allclose(*scores, rtol=1e-5) == (role != KNOWN_COVARIATE)


def test_items_of_a_table_have_the_named_columns_as_known_covariates(model):
    days = pd.date_range("2024-01-01", periods=60)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "ds": days,
            "y": rng.normal(size=60),
            "price": rng.normal(size=60),
            "stock": 1.0 * days.day,
        }
    )
    frame["event"] = np.where(days.day == 1, "sale", "none")
    few = {"epochs": 1, "steps_per_epoch": 1, "batch_size": 8, "validation": 0}
    few["covariates"] = "network"
    model.fit(frame, HORIZON, known_covariates=["price", "event"], **few)
    dataset = read_series(frame, known=["price", "event"])
    assert dataset.past_names == ("stock",) and dataset.known_names[0] == "price"
    assert len(dataset.known_names) == 3 and dataset.known_covariates[0].shape == (3, 60)
    with pytest.raises(DataError, match="has no covariate 'cost'; .* price, stock, event"):
        model.fit(frame, HORIZON, known_covariates="cost", **few)
    with pytest.raises(DataError, match="not clear which of them are"):
        model.fit(frame[["ds", "price", "stock"]], HORIZON, known_covariates="stock", **few)
    with pytest.warns(UserWarning, match="stock, price.* left out: .*targets alone"):
        model.fit(frame[["ds", "y", "stock", "price"]], HORIZON, **few | {"covariates": "none"})


def test_what_cannot_be_trained_together_is_refused(model):
    series, known = driven(2, 30)
    plain = CONFIG.replace(variate_attention=False)
    plain = LagLlama(init_parameters(plain, jax.random.key(0)), plain)
    with pytest.raises(ConfigError, match="these weights have not both"):
        plain.fit(series, HORIZON, known_covariates=known, covariates="network")
    with pytest.raises(ConfigError, match="needs items of several variates"):
        model.fit(series, HORIZON, covariates="network")
    with pytest.raises(ConfigError, match="A Corpus holds no covariates"):
        corpus = Corpus.pack(read_series(series))
        model.fit(corpus, HORIZON, known_covariates=known, covariates="network")
    with pytest.raises(ConfigError, match="needs items of several variates"):
        make_task(CONFIG, Corpus.pack(items(), together=True), HORIZON,
                  FitConfig(covariates="network"), corpus)  # fmt: skip
    with pytest.raises(DataError, match="known covariates have 29 points; expected 30"):
        short = [one[:, :29] for one in known]
        model.fit(series, HORIZON, known_covariates=short, covariates="network")
    with pytest.raises(ConfigError, match="need covariates='network'"):
        corpus = Corpus.pack(items(), together=True)
        model.fit(corpus, HORIZON)


def test_many_variates_are_trained_on_in_turn(model):
    dataset = items((60,), targets=1, past=0, known=20)
    options = {"epochs": 1, "steps_per_epoch": 2, "batch_size": 4, "validation": 0}
    tuned = model.fit(dataset, HORIZON, covariates="network", **options)
    assert tuned.report.steps == 2 and np.isfinite(tuned.report.history[-1]["loss"])
    together = FitConfig(covariates="network")
    windows = make_task(CONFIG, packed(dataset, together), HORIZON, together, None).windows(CONFIG)
    assert windows.role.shape == (1, MOST_VARIATES)


def test_the_command_line_trains_on_a_table_with_covariates(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LAGLLAMA_CACHE", "off")
    model.save_pretrained(tmp_path / "model")
    series, known = driven(2, 60)
    tables = [
        pd.DataFrame({"item_id": name, "timestamp": pd.date_range("2024", periods=60), "y": y,
                      "cause": x[0, :60]})
        for name, y, x in zip("ab", series, known, strict=True)
    ]  # fmt: skip
    pd.concat(tables).to_csv(tmp_path / "data.csv", index=False)
    words = (
        f"finetune {tmp_path}/data.csv -p {HORIZON} -o {tmp_path}/tuned --model {tmp_path}/model "
    )
    words += "--target y --covariates network --known-covariates cause --epochs 1 "
    words += "--steps-per-epoch 2 --learning-rate 1e-3"
    root = logging.StreamHandler(sys.stderr)  # as absl adds one
    logging.getLogger().addHandler(root)
    try:
        assert cli.main(words.split()) == 0
    finally:
        logging.getLogger().removeHandler(root)
    told = capsys.readouterr()
    assert told.err.count("Covariates: cause.") == 1
    assert "CRPS" in told.out and "tuned/" in told.out
    assert LagLlama.from_pretrained(tmp_path / "tuned").config.variate_attention


def test_held_back_targets_without_a_value_are_refused():
    """Known covariates have values there, which are no targets."""
    targets, known = driven(count=4, length=40)
    missing = [np.where(np.arange(40) < 36, one, np.nan) for one in targets]
    model = LagLlama(init_parameters(CONFIG, jax.random.key(0)), CONFIG)
    options = TOGETHER | {"steps_per_epoch": 1, "epochs": 1, "progress": False}
    with pytest.raises(DataError, match="None of the points that validate was observed"):
        model.fit(missing, HORIZON, known_covariates=known, **options)
