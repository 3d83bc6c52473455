"""Both sources of batches: one distribution, one precision, one clock, and runs that resume."""

import dataclasses

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare, ks_2samp

from lagllama_jax.config import DataConfig, LoopConfig, ModelConfig
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.inference.batch import prepare
from lagllama_jax.model.batch import rows_of
from lagllama_jax.model.network import init_parameters
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.frequency import Frequency
from lagllama_jax.training.loss import targets_loss
from lagllama_jax.training.metrics import read_metrics
from lagllama_jax.training.pretrain import Placement, pretrain
from lagllama_jax.training.recipe import Recipe
from lagllama_jax.training.sharding import Rules, make_mesh
from lagllama_jax.training.sources import BatchSource
from lagllama_jax.training.sources.corpus_arrays import corpus_arrays, held_back, host_arrays
from lagllama_jax.training.sources.device import DeviceSource
from lagllama_jax.training.sources.grain import GrainSource
from lagllama_jax.training.sources.windows import Draws, gather
from tests.training.conftest import RECIPE, packed

pytest.importorskip("grain", reason="needs the extra grain")
WAYS = ("device", "host")
KEY = jax.random.key(2)
EVERYTHING = DataConfig(
    future_length=4,
    min_context=3,
    min_past=8,
    short_history=0.3,
    drop_calendar=0.2,
    stretch=0.2,
    noise=0.2,
    mixup=0.2,
    flip=0.2,
    synthetic=0.25,
    augmentation=0.3,
)


def source_of(way, corpus, recipe):
    arrays = corpus_arrays(corpus, recipe.model, recipe.data, on_device=way == "device")
    made = DeviceSource if way == "device" else GrainSource
    return made(arrays, corpus.dataset_names, recipe, make_mesh(), Rules())


def first_batch(source):
    assert isinstance(source, BatchSource)
    batch = jax.jit(source.batch)(source.next(0, 1), np.int32(0), 0, KEY)
    source.close()
    return jax.tree.map(np.asarray, batch)


def recipe_with(data, **train):
    return dataclasses.replace(RECIPE, data=data, train=RECIPE.train.replace(**train))


def test_both_give_batches_of_the_same_distribution(corpus):
    recipe = recipe_with(EVERYTHING, batch_size=2048)
    one, other = (first_batch(source_of(way, corpus, recipe)) for way in WAYS)
    for name, ours, theirs in zip(one._fields, one, other, strict=True):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), name
    series = np.union1d(one.level, other.level)
    counts = [np.bincount(np.searchsorted(series, x.level[:, 0])) for x in (one, other)]
    assert len(series) == 2 * 5 + 1  # as they are, upside down, and the synthetic ones
    assert chisquare(counts[0], counts[1]).pvalue > 1e-4
    features = {
        "start": lambda x: x.start,
        "shown": lambda x: x.observed.sum((1, 2)),
        "hour": lambda x: x.time_features[:, 0, 2],
        "size": lambda x: np.log(np.abs(x.values).sum((1, 2)) + 1e-9),
        "rough": lambda x: np.log(np.abs(np.diff(x.values)).mean((1, 2)) + 1e-9),
    }
    for name, feature in features.items():
        assert ks_2samp(feature(one), feature(other)).pvalue > 1e-3, name


@pytest.mark.parametrize("way", WAYS)
def test_a_level_changes_no_value_no_loss_and_no_gradient(way):
    rng = np.random.default_rng(0)
    # Multiples of a power of two are exact in float64 at the level of 1e9, too.
    series = [np.round(rng.uniform(-10, 10, size=n) * 1024) / 1024 for n in (90, 200)]
    series[0][30:35] = np.nan
    model = ModelConfig.tiny(
        lags=(0, 1, 7), context_length=8, scale_features="none", imputation="loc"
    )
    recipe = dataclasses.replace(RECIPE, model=model)
    low, high = (
        first_batch(source_of(way, packed([one + level for one in series]), recipe))
        for level in (0.0, 1e9)
    )
    np.testing.assert_array_equal(low.values, high.values)
    np.testing.assert_array_equal(low.unit, high.unit)
    np.testing.assert_allclose(high.level - low.level, 1e9 / low.unit, rtol=1e-6)
    assert np.abs(low.values).max() > 0.5

    @jax.jit
    def loss_and_gradient(batch):
        parameters = init_parameters(model, jax.random.key(0))
        whole = jax.value_and_grad(targets_loss, has_aux=True)
        return whole(parameters, recipe, batch, None)

    for one, other in zip(*map(jax.tree.leaves, map(loss_and_gradient, (low, high))), strict=True):
        np.testing.assert_array_equal(one, other)


def test_units_beyond_float32_become_numbers_that_it_has():
    huge = np.where(np.arange(60) % 2, 1e300, -1e300)
    arrays = host_arrays(packed([huge, 1e-300 * np.arange(60.0), 1e300 + huge * 1e-290]))
    for field in (arrays.values, arrays.level, arrays.unit):
        assert field.dtype == np.float32 and np.isfinite(field).all()
    assert (arrays.unit > 0).all()


@pytest.mark.parametrize("freq", ["h", "15min", "D"])
@pytest.mark.parametrize("start", ["2024-03-28 05:00", "2024-10-24 05:00"])
def test_training_and_forecasting_share_one_clock_across_clock_changes(freq, start):
    stamp, frequency = pd.Timestamp(start, tz="Europe/Berlin"), Frequency.parse(freq)
    values = np.random.default_rng(0).normal(size=(1, 500))
    dataset = SeriesDataset(["a"], [values], [stamp], [frequency])
    corpus, model, data = Corpus.pack(dataset), RECIPE.model, DataConfig(future_length=4)
    for begin in range(model.past_length, 400, 7):
        fields = (0, begin, model.context_length, model.past_length, 1, True)
        draws = Draws(*(np.array([field]) for field in fields))
        trained = gather(host_arrays(corpus), draws, model, data)
        past = dataset.truncate(np.array([begin]))
        asked = prepare(past, np.array([0]), model, data.future_length).batch
        np.testing.assert_array_equal(trained.time_features, asked.time_features)
        raw = rows_of(trained).raw().values[:, : model.past_length]
        np.testing.assert_allclose(raw, values[:, begin - model.past_length : begin], atol=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_a_resumed_run_is_an_uninterrupted_one_bit_for_bit(way, corpus, tmp_path):
    placement, lengths = Placement(on_device=way == "device"), held_back(corpus, 4, 20)
    loop = LoopConfig(dispatch=4, checkpoint_every=8)

    def run(folder, steps):
        data, train = RECIPE.data.replace(flip=0.5), RECIPE.train.replace(steps=steps)
        recipe = Recipe(RECIPE.model, data, train, loop)
        return pretrain(corpus, tmp_path / folder, recipe, lengths=lengths, placement=placement)

    whole = run("whole", 16)
    run("parts", 8)
    parts = run("parts", 16)
    jax.tree.map(np.testing.assert_array_equal, whole.state, parts.state)
    rows = [read_metrics(tmp_path / name / "metrics.csv") for name in ("whole", "parts")]
    measured = {"tokens_per_second", "utilisation", "seconds"}
    one, other = ([{k: row[k] for k in row.keys() - measured} for row in part] for part in rows)
    assert one == other and [row["step"] for row in one] == [4, 8, 12, 16]
    assert one[-1]["validation_loss"] is not None


def test_both_write_the_same_columns_and_learn(corpus, tmp_path):
    for way in WAYS:
        placement = Placement(on_device=way == "device")
        pretrain(corpus, tmp_path / way, RECIPE, placement=placement)
    rows = [read_metrics(tmp_path / way / "metrics.csv") for way in WAYS]
    names = [[(row["step"], *row) for row in part] for part in rows]
    assert names[0] == names[1] and len(names[0]) == 4
    for part in rows:
        assert part[-1]["scaled_loss"] < part[0]["scaled_loss"]
