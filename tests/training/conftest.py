"""A small corpus, and a small recipe for it."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from lagllama_jax.config import DataConfig, LoopConfig, ModelConfig, TrainConfig
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.model.batch import TARGET, Batch
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.frequency import Frequency
from lagllama_jax.training.recipe import Recipe

RECIPE = Recipe(
    ModelConfig.tiny(lags=(0, 1, 2, 7), context_length=8, attention_window=12),
    DataConfig(future_length=4, min_past=8, augmentation=0.0),
    TrainConfig(steps=40, batch_size=8, learning_rate=3e-3, clip_norm=1.0, ema_decay=0.9),
    LoopConfig(dispatch=10, checkpoint_every=20, validation_windows=16),
)


def packed(series, starts=None, freq="h", name="series"):
    """A corpus of arrays, which may have no observed value; one frequency, or one per series."""
    ids = [str(i) for i in range(len(series))]
    steps = [freq] * len(series) if isinstance(freq, str) else freq
    dates = [] if starts is None else [pd.Timestamp(start) for start in starts]
    grids = [] if starts is None else [Frequency.parse(step) for step in steps]
    targets = [np.asarray(one, np.float64)[None] for one in series]
    return Corpus.pack(SeriesDataset(ids, targets, dates, grids), name)


def waves(lengths, seed=0, name="waves", period=3.0):
    generator = np.random.default_rng(seed)
    noise = [0.1 * generator.normal(size=n) for n in lengths]
    series = [10 * np.sin(np.arange(len(x)) / period) + x for x in noise]
    return packed(series, ["2020-01-01"] * len(series), name=name)


def two_waves():
    """Two data sets of noisy sines."""
    return Corpus.concatenate([waves((90, 200, 150)), waves((120, 80), 1, "other", 7.0)])


def batch_of(values, observed, time_features, start):
    """A batch of single variates in raw units, on the device."""
    count = len(values)
    fields = (
        np.where(observed, values, 0).astype(np.float32)[:, None],
        np.asarray(observed)[:, None],
        np.asarray(time_features, np.float32),
        np.full((count, 1), TARGET, np.int32),
        np.full(count, start, np.int32),
        np.zeros((count, 1), np.float32),
        np.ones((count, 1), np.float32),
        np.zeros(count, np.uint32),
    )
    return Batch(*map(jnp.asarray, fields))


@pytest.fixture(scope="module", autouse=True)
def in_a_hurry(hurry):
    """Steps of a tiny model, a few of each program."""


@pytest.fixture(scope="session")
def corpus():
    return two_waves()


@pytest.fixture(scope="session")
def recipe():
    """Two layers, eight tokens, 40 steps."""
    return RECIPE
