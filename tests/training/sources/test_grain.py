"""The input path on the host: a batch is its number's, wherever and by whom it is read."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.config import DataConfig, ModelConfig, TrainConfig
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.training.recipe import Recipe
from lagllama_jax.training.sources.corpus_arrays import corpus_arrays
from lagllama_jax.training.sources.grain import WindowSource, batches
from tests.training.conftest import packed

MODEL = ModelConfig.tiny(lags=(0, 1, 5), context_length=8)
DATA = DataConfig(future_length=4, min_past=2, short_history=0.3, stretch=0.3)
BATCH, COUNT = 6, 40


def source_of(arrays, count=COUNT, seed=7):
    train = TrainConfig(steps=count, batch_size=BATCH, seed=seed)
    return WindowSource(arrays, Recipe(MODEL, DATA, train))


def with_rows(source, rows):
    source.rows = rows
    return source


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A corpus as memory maps."""
    folder = tmp_path_factory.mktemp("grain") / "corpus"
    generator = np.random.default_rng(0)
    walks = [generator.normal(size=n).cumsum() for n in (40, 300, 90)]
    packed(walks, ["2020-01-01"] * 3, "h").save(folder)
    return Corpus.load(folder)


@pytest.fixture(scope="module")
def arrays(saved):
    return corpus_arrays(saved, MODEL, DATA, on_device=False)


@pytest.fixture(scope="module")
def source(arrays):
    return source_of(arrays)


def same(one, other):
    for name, a, b in zip(one._fields, one, other, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)


def different(one, other):
    return not np.array_equal(one.values, other.values)


@settings(max_examples=20)
@given(number=st.integers(0, COUNT - 1), seed=st.integers(0, 2**32 - 1))
def test_a_batch_depends_on_the_seed_and_its_number_alone(arrays, number, seed):
    one, other = (source_of(arrays, n, seed) for n in (COUNT, 10**9))
    other[0]
    same(one[number], other[number])
    assert different(one[number], one[number + 1])
    assert different(one[number], source_of(arrays, seed=(seed + 1) % 2**32)[number])


@settings(max_examples=20)
@given(rows=st.sets(st.integers(0, BATCH - 1), min_size=1).map(sorted))
def test_rows_of_a_process_are_those_of_the_whole_batch(arrays, source, rows):
    own = with_rows(source_of(arrays), np.array(rows))[3]
    assert own.values.shape[0] == len(rows)
    same(own, type(own)(*(field[rows] for field in source[3])))


class Counted(np.ndarray):
    """Values that count how many of them are asked for."""

    def __getitem__(self, index):
        self.asked = getattr(self, "asked", 0) + np.size(index)
        return np.asarray(self)[index]


def test_a_process_reads_no_more_than_its_rows(arrays):
    def asked(rows):
        values = np.array(arrays.values).view(Counted)
        counted = arrays._replace(values=values)
        with_rows(source_of(counted), rows)[0]
        return values.asked

    assert asked(np.array([1])) * BATCH == asked(slice(None)) > 0


def test_a_position_is_the_number_of_a_batch(source):
    pytest.importorskip("grain", reason="needs the extra grain")
    early, late = batches(source), batches(source, first=3)
    for _ in range(3):
        next(early)
    state = early.get_state()
    expected = [source[3], source[4]]
    for batch in expected:
        same(next(early), batch)
        same(next(late), batch)
    early.set_state(state)
    same(next(early), expected[0])
    assert len(list(batches(source, first=COUNT - 2))) == 2


def test_a_memory_map_goes_to_another_process_by_its_name(source, saved):
    assert isinstance(source.corpus.values, np.memmap)
    sent = pickle.dumps(source)
    assert saved.values.tobytes() not in sent
    received = pickle.loads(sent)
    assert isinstance(received.corpus.values, np.memmap)
    same(received[5], source[5])


def test_a_part_of_a_memory_map_goes_by_its_contents(source, saved):
    part = source.corpus._replace(values=saved.values[2:])
    whole = source_of(part)
    same(pickle.loads(pickle.dumps(whole))[5], whole[5])


def test_worker_processes_gather_the_same_batches(source):
    pytest.importorskip("grain", reason="needs the extra grain")
    read = batches(source, first=2, workers=2)
    for number in range(2, 7):
        same(next(read), source[number])
    read.close()
