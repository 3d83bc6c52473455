"""Fine-tuning helps where there is something to learn, and else gives back what it was given."""

import os
import signal
import threading
import time
import warnings

import jax
import numpy as np
import pandas as pd
import pytest

from lagllama_jax import LagLlama, ModelConfig
from lagllama_jax.config import FitConfig
from lagllama_jax.errors import ConfigError, DataError, TrainingError
from lagllama_jax.model.network import init_parameters
from lagllama_jax.series.blocks import last_blocks
from lagllama_jax.training.finetune import Report, fit, sweep, sweep_table
from lagllama_jax.training.finetune_task import make_task
from lagllama_jax.training.signals import StopRequest
from tests.training.conftest import packed

CONFIG = ModelConfig.tiny(lags=(0, 1, 2, 7), context_length=8)
HORIZON = 4
GOOD = {"learning_rate": 1e-2, "epochs": 3, "steps_per_epoch": 20, "batch_size": 16}
BAD = GOOD | {"learning_rate": 0.5, "epochs": 2, "patience": 1}


def sines(count=8, length=60):
    """Waves of one period and any phase, which the lags tell apart."""
    phase = np.random.default_rng(0).uniform(0, 2 * np.pi, (count, 1))
    return list(5 + np.sin(2 * np.pi * np.arange(length) / 8 + phase))


@pytest.fixture(scope="module")
def model():
    return LagLlama(init_parameters(CONFIG, jax.random.key(0)), CONFIG)


@pytest.fixture(scope="module")
def tuned(model):
    return model.fit(sines(), HORIZON, **GOOD)


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def unlike(one, other):
    return jax.tree.map(lambda a, b: bool((np.asarray(a) != b).any()), one, other)


def test_it_learns_what_there_is_to_learn_and_leaves_the_model_as_it_was(model, tuned):
    report = tuned.report
    assert report.improved and report.best_loss < report.zero_shot_loss - 0.5
    assert 0 < report.steps <= 60 and len(report.history) == 6
    assert "fine-tuned for" in tuned.source
    same(model.parameters, init_parameters(CONFIG, jax.random.key(0)))
    series = sines(3, 76)
    known, future = [one[:-HORIZON] for one in series], np.stack(series)[:, -HORIZON:]
    error = lambda m: np.abs(m.predict(known, HORIZON).mean - future).mean()  # noqa: E731
    assert error(tuned) < 0.7 * error(model)


def test_a_model_of_one_pass_is_tuned_for_both_ways():
    config = CONFIG.replace(observed_features=True, one_pass=True)
    model = LagLlama(init_parameters(config, jax.random.key(0)), config)
    tuned = model.fit(sines(), HORIZON, **GOOD)
    assert tuned.report.improved and tuned.config.one_pass
    series = sines(3, 76)
    known, future = [one[:-HORIZON] for one in series], np.stack(series)[:, -HORIZON:]
    for method in ("one_pass", "paths"):
        plain = {"method": method, "difference": "none"}  # differences forecast sines exactly
        before, after = (one.predict(known, HORIZON, **plain).median for one in (model, tuned))
        assert np.abs(after - future).mean() < 0.7 * np.abs(before - future).mean()


def test_a_seed_decides_the_result(model, tuned):
    same(model.fit(sines(), HORIZON, **GOOD).parameters, tuned.parameters)
    other = model.fit(sines(), HORIZON, **GOOD, seed=1)
    assert all(jax.tree.leaves(unlike(other.parameters, tuned.parameters)))


def test_where_validation_does_not_improve_the_old_weights_come_back_and_it_says_so(tuned):
    with pytest.warns(UserWarning, match="as before: kept the zero-shot weights"):
        again = tuned.fit(sines(), HORIZON, **BAD)
    assert not again.report.improved and again.config == tuned.config
    assert again.report.best_loss >= again.report.zero_shot_loss
    same(again.parameters, tuned.parameters)


def test_ctrl_c_ends_a_whole_sweep_with_what_there_is(model):
    def press():
        while not isinstance(signal.getsignal(signal.SIGINT), StopRequest):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    many = FitConfig.of(**GOOD | {"epochs": 10_000})
    corpus = packed(sines(), ["2020"] * 8, "h", name="sines")
    finger = threading.Thread(target=press)
    finger.start()
    fitted, tried = sweep(model.parameters, CONFIG, corpus, HORIZON, many)
    finger.join()
    assert len(tried) == 1 and fitted.report.interrupted
    assert str(fitted.report).startswith("interrupted: ")


def test_a_sweep_keeps_the_best_of_what_it_tries(model, tuned):
    corpus = packed(sines())
    options = FitConfig.of(**BAD | {"epochs": 3, "patience": 3})
    best, tried = sweep(
        model.parameters, CONFIG, corpus, HORIZON, options, learning_rates=(0.5, 1e-2)
    )
    assert [one.learning_rate for one, _ in tried] == [0.5, 1e-2]
    losses = [report.best_loss for _, report in tried]
    assert best.report.best_loss == min(losses) == losses[1] == tuned.report.best_loss
    same(best.parameters, tuned.parameters)
    table = sweep_table(tried)
    assert all(f"{loss:.4f}" in table for loss in losses)
    with pytest.raises(ConfigError, match="a sweep needs validation=1"):
        sweep(model.parameters, CONFIG, corpus, HORIZON, FitConfig.of(validation=0))


def test_frozen_parts_stay_and_nothing_guards_without_validation(model):
    options = FitConfig.of(**GOOD | {"epochs": 1}, freeze=("embedding", "head"), validation=0)
    fitted = fit(model.parameters, CONFIG, packed(sines()), HORIZON, options)
    changed = unlike(fitted.parameters, model.parameters)
    still = changed.pop("embedding"), changed.pop("head")
    assert not any(jax.tree.leaves(still)) and all(jax.tree.leaves(changed))
    assert str(fitted.report) == "fine-tuned for 20 steps, without validation"


def test_the_last_share_of_each_training_part_is_used_before_the_same_validation():
    corpus = packed([np.arange(104.0), np.arange(54.0)])
    for share, used in ((100.0, [100, 50]), (50.0, [50, 25]), (10.0, [10, 5])):
        task = make_task(CONFIG, corpus, HORIZON, FitConfig(last_k_percentage=share), None)
        assert task.lengths.tolist() == task.first.tolist() == used
        for i, (last, count) in enumerate(zip((104, 54), used, strict=True)):
            expected = np.arange(last - HORIZON - count, last)
            np.testing.assert_array_equal(task.corpus.series(i), expected)
    separate = make_task(CONFIG, corpus, HORIZON, FitConfig(), packed(sines(2)))
    assert separate.lengths.tolist() == [104, 54] and separate.first.tolist() == [56, 56]


def same_series(one, other):
    for index in range(len(one)):
        np.testing.assert_allclose(one.series(index), other.series(index), atol=1e-6)


def test_fine_series_are_trained_on_as_they_are_forecast():
    config = CONFIG.replace(observed_features=True, one_pass=True)
    rng = np.random.default_rng(0)
    values = [rng.normal(size=points) for points in (1001, 900)]
    make = lambda values, freq: packed(values, ["2024-01-01"] * 2, freq)  # noqa: E731
    fine, hourly = make(values, "15min"), make([last_blocks(one, 4) for one in values], "h")
    one = make_task(config, fine, 48, FitConfig(), None)
    other = make_task(config, hourly, 12, FitConfig(), None)
    assert one.recipe == other.recipe
    same_series(one.corpus, other.corpus)
    apart = make_task(config, fine, 48, FitConfig(), fine)
    same_series(apart.validation, hourly)
    assert apart.first.tolist() == [250 - 12, 225 - 12]
    np.testing.assert_array_equal(one.lengths, other.lengths)
    mixed = packed([*values, values[0][:100]], ["2024-01-01"] * 3, "15min")
    assert make_task(config, mixed, 48, FitConfig(), None).recipe.data.future_length == 48
    with pytest.raises(DataError, match="'2' has 100 points, fewer than coarsen=101"):
        make_task(config, mixed, 48, FitConfig(coarsen=101), None)
    points = make_task(config, fine, 48, FitConfig(coarsen=1), None)
    assert points.recipe.data.future_length == 48 and points.lengths.tolist() == [953, 852]
    paths_only = make_task(CONFIG, fine, 48, FitConfig(), None)
    assert paths_only.recipe.data.future_length == 48


def test_a_longer_context_widens_the_attention_window():
    corpus = packed(sines())
    task = make_task(CONFIG, corpus, HORIZON, FitConfig(context_length=16), None)
    model = task.recipe.model
    assert model.context_length == 16 and model.window == 16 + HORIZON - 1


def test_contexts_are_compared_on_the_same_points_in_the_same_units():
    rng = np.random.default_rng(0)
    walks = packed([rng.normal(size=80).cumsum() for _ in range(3)])
    tasks = [
        make_task(CONFIG, walks, HORIZON, FitConfig(context_length=length), None)
        for length in (None, 4, 32)
    ]
    for task in tasks[1:]:
        np.testing.assert_array_equal(task.unit, tasks[0].unit)
        truth = [t.windows(t.recipe.model).values[..., -HORIZON:] for t in (task, tasks[0])]
        np.testing.assert_array_equal(*truth)


@pytest.mark.parametrize(
    ("series", "options", "error", "said"),
    [
        ([np.arange(8.0)], {}, DataError, "has the 9 points .*: 4 at .*at least 5.*validation=0"),
        ([np.arange(12.0)], {"validation": 2}, DataError, "has the 13 points .*: 8 at its end"),
        (
            sines(1),
            {"validation": [np.ones(1)]},
            DataError,
            "No validation series has the 2 points",
        ),
        ([np.full(50, 3.0)], {}, DataError, "no series of at least .* that is not constant"),
        ([np.full(50, np.nan)], {}, DataError, "'0' has no value at all"),
        ([np.r_[np.arange(40.0), [np.nan] * 4]], {}, DataError, "None of the points that validate"),
        ([np.r_[np.arange(40.0), np.inf]], {}, DataError, "0.*infinite"),
        (
            sines(1),
            {"epoch": 3},
            ConfigError,
            "Unknown field.*epoch for .*known: .*epochs",
        ),
        (sines(1), {"last_k_percentage": 0.0}, ConfigError, "above 0 and at most 100"),
        (sines(1), {"freeze": ("tail",)}, ConfigError, "'tail' is no part of the model"),
    ],
    ids=lambda value: None,
)
def test_what_cannot_be_trained_on_is_refused_with_the_remedy(model, series, options, error, said):
    with warnings.catch_warnings(), pytest.raises(error, match=said):
        model.fit(series, HORIZON, **GOOD | options)


def test_the_length_that_a_refusal_names_is_enough():
    for length, options in ((2 * HORIZON + 1, {}), (3 * HORIZON + 1, {"validation": 2})):
        task = make_task(CONFIG, packed([np.arange(length)]), HORIZON, FitConfig(**options), None)
        source = task.run(init_parameters(CONFIG, jax.random.key(0)), None).source
        assert task.validated and task.lengths.tolist() == [HORIZON + 1]
        windows = jax.jit(source.batch)(source.next(0, 1), np.int32(0), 0, jax.random.key(0))
        assert windows.observed[..., -HORIZON:].any()
    apart = make_task(CONFIG, packed(sines(2)), HORIZON, FitConfig(), packed([np.arange(2.0)]))
    assert apart.validated


def test_numbers_of_numpy_are_numbers(model):
    options = {"epochs": np.int64(1), "steps_per_epoch": np.int32(2), "batch_size": np.uint8(4)}
    options |= {"learning_rate": np.float32(1e-3), "seed": np.int64(0), "validation": np.int64(1)}
    with warnings.catch_warnings(action="ignore"):
        fitted = model.fit(sines(2), np.uint8(HORIZON), **options)
    assert len(fitted.report.history) == 1
    with pytest.raises(ConfigError, match="prediction_length=0 must be .* at least 1"):
        model.fit(sines(2), 0)


def test_weights_whose_forecasts_are_worse_are_not_kept_though_their_loss_is_lower(
    model, monkeypatch
):
    def crps(parameters, *_):
        old = not any(jax.tree.leaves(unlike(parameters, model.parameters)))
        return np.full((8, HORIZON), 1.0 if old else 1.1)

    monkeypatch.setattr("lagllama_jax.training.finetune_task.forecast_crps", crps)
    with pytest.warns(UserWarning, match=r"forecasts of .* did not improve: CRPS 1.0000 zero-shot"):
        kept = model.fit(sines(), HORIZON, **GOOD)
    assert kept.report.best_loss < kept.report.zero_shot_loss - 0.5
    assert not kept.report.improved and kept.report.steps == 0
    assert kept.config == model.config
    same(kept.parameters, model.parameters)


def test_a_model_of_counts_is_not_trained_on_anything_else(model):
    counts = ModelConfig.tiny(head="negative_binomial", lags=(0, 1), context_length=8)
    options = FitConfig(epochs=1, steps_per_epoch=1, batch_size=2)
    parameters = init_parameters(counts, jax.random.key(0))
    good = packed([np.arange(30.0) % 7, np.full(30, np.nan)])
    assert np.isfinite(fit(parameters, counts, good, HORIZON, options).report.zero_shot_loss)
    for value in (-1.0, 0.5):
        series = np.arange(30.0) % 7
        series[29] = value
        bad = packed([np.arange(30.0) % 7, series], name="sales")
        said = f"Series sales/1: {value:g} at point 29 is no count"
        with pytest.raises(DataError, match=said):
            fit(parameters, counts, bad, HORIZON, options)
        with pytest.raises(DataError, match=said):
            fit(parameters, counts, good, HORIZON, options, validation=bad)


def test_options_tell_how_a_frame_is_read(model):
    days = pd.date_range("2023-01-01", periods=12).strftime("%d/%m/%Y")
    frame = pd.DataFrame({"day": days, "load": np.arange(12.0), "other": 1.0})
    with pytest.raises(DataError, match="several ways, all of which give a regular grid"):
        model.fit(frame, 2)
    with pytest.raises(DataError, match="No series has the 101 points") as read:
        model.fit(frame, 50, dayfirst=True, timestamp_column="day")
    assert "several ways" not in str(read.value)
    with pytest.raises(DataError, match="dayfirst: only a data frame"):
        model.fit(sines(), HORIZON, dayfirst=True)


def test_weights_that_are_no_numbers_are_not_returned(model):
    with pytest.raises(TrainingError, match="weights after step 2 are not finite"):
        model.fit(sines(), HORIZON, epochs=1, steps_per_epoch=2, learning_rate=1e30, validation=0)


def test_a_report_before_the_first_validation_claims_nothing():
    report = Report(False, 1.6, None, 0, [], interrupted=True)
    assert str(report) == "interrupted: kept the zero-shot weights, as nothing was validated yet"


def test_one_setting_without_validation_has_a_table(model):
    corpus = packed(sines())
    options = FitConfig(validation=0, epochs=1, steps_per_epoch=1, batch_size=4)
    _, tried = sweep(
        model.parameters, CONFIG, corpus, HORIZON, options, learning_rates=(1e-3,), progress=False
    )
    assert sweep_table(tried).splitlines()[1].split() == ["0.001", "as", "is", "-", "-", "1"]
