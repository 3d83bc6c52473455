"""Runs that compute the same thing share a compiled program, and each is what it is alone."""

import dataclasses
import gc
import weakref

import jax
import numpy as np
import pytest

from lagllama_jax.config import DataConfig
from lagllama_jax.model.network import init_parameters
from lagllama_jax.training.loop import Run
from lagllama_jax.training.optimizer import learning_rates
from lagllama_jax.training.sharding import Rules, make_mesh, shard_state
from lagllama_jax.training.sources.corpus_arrays import corpus_arrays
from lagllama_jax.training.sources.device import DeviceSource
from lagllama_jax.training.state import init_state
from lagllama_jax.training.step import KEPT, compiled_steps, make_steps, shapes_of
from lagllama_jax.training.validation import compiled_totals, make_evaluate
from lagllama_jax.training.watch import Watch
from tests.training.conftest import RECIPE, packed, waves

COUNT = 4
CHANGES = {
    "seed, rate and length": {"seed": 5, "learning_rate": 1e-2, "steps": 17, "residual_gain": 0.5},
    "cosine": {"schedule": "cosine", "warmup_steps": 2},
    "trapezoid": {"schedule": "trapezoid", "decay_steps": 38, "warmup_steps": 1},
    "what enters the program": {"b2": 0.9, "clip_norm": None, "ema_decay": 0.0},
}


def run_of(corpus, recipe):
    arrays = corpus_arrays(corpus, recipe.model, recipe.data)
    source = DeviceSource(arrays, corpus.dataset_names, recipe, make_mesh(), Rules())
    return Run(recipe, source, Watch([], 1, 1, 1.0))


def program(run, count=COUNT):
    given = run.source.next(0, count), learning_rates(run.recipe.train, 0, count)
    return compiled_steps(run.source.batch, run.recipe.program, shapes_of(given))


def start(recipe):
    key = jax.random.key(recipe.train.seed)
    parameters = init_parameters(recipe.model, key, recipe.train.residual_gain)
    return shard_state(make_mesh(), Rules(), init_state(parameters, recipe.train))


@pytest.mark.parametrize("change", CHANGES)
def test_a_run_after_another_is_what_it_is_alone(corpus, change):
    """The program of the recipe itself, compiled for this run only, gives the same numbers."""
    recipe = dataclasses.replace(RECIPE, train=RECIPE.train.replace(**CHANGES[change]))
    first, run = run_of(corpus, RECIPE), run_of(corpus, recipe)
    first.advance(start(RECIPE), 0, COUNT)
    known = program(first)
    programs = known._cache_size()
    after, metrics = run.advance(start(recipe), 0, COUNT)
    shared = program(run) is known
    assert shared == (change != "what enters the program")
    assert known._cache_size() == programs

    alone = jax.jit(make_steps(run.source.batch, recipe))
    rates = learning_rates(recipe.train, 0, COUNT)
    theirs, losses = alone(start(recipe), run.source.next(0, COUNT), run.run_key, rates)
    np.testing.assert_allclose(metrics["loss"], losses["loss"], rtol=1e-6)
    for one, other in zip(jax.tree.leaves(after), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_step_is_taken_with_the_rate_of_its_schedule(corpus):
    """A rate of 0 leaves the weights as they are, until the schedule rises."""
    train = RECIPE.train.replace(schedule="cosine", warmup_steps=2, ema_decay=0.0)
    recipe = dataclasses.replace(RECIPE, train=train)
    run, state = run_of(corpus, recipe), start(recipe)
    before = jax.tree.map(np.array, state.parameters)
    state, _ = run.advance(state, 0, 1)
    still = jax.tree.map(np.array, state.parameters)
    state, _ = run.advance(state, 1, 1)
    same = lambda one, other: jax.tree.map(lambda a, b: (a == b).all(), one, other)  # noqa: E731
    assert all(jax.tree.leaves(same(before, still)))
    assert not any(jax.tree.leaves(same(still, state.parameters)))


def test_a_corpus_that_has_grown_a_little_needs_no_new_program(corpus):
    recipe = dataclasses.replace(RECIPE, data=DataConfig(future_length=4, min_past=9))
    runs = [run_of(waves(lengths), recipe) for lengths in ((300, 310), (340, 330))]
    for run in runs:
        run.advance(start(recipe), 0, COUNT)
    assert program(runs[0]) is program(runs[1]) and program(runs[0])._cache_size() == 1
    assert all(len(run.source.corpus.values) == 1024 for run in runs)


def test_no_window_has_points_of_the_padding():
    """Of a corpus without a missing value, every value of a whole window is observed."""
    corpus = packed([np.arange(1.0, n) % 17 for n in (40, 70, 23)])
    run = run_of(corpus, RECIPE)
    arrays = run.source.corpus
    assert len(arrays.values) == 256 and np.isnan(arrays.values[corpus.points :]).all()
    short = arrays._replace(values=arrays.values[: corpus.points])
    make = jax.jit(run.source.batch)
    for seed in range(5):
        ours, theirs = (make(one, 0, 0, jax.random.key(seed)) for one in (arrays, short))
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)


def test_validations_share_a_program(corpus):
    run = run_of(corpus, RECIPE)
    batch = jax.tree.map(np.asarray, jax.jit(run.source.batch)(*_turn(run)))
    parameters = init_parameters(RECIPE.model, jax.random.key(0))
    compiled_totals.cache_clear()
    make_evaluate(batch, RECIPE.model, RECIPE.train)(parameters)
    again = make_evaluate(batch, RECIPE.model, RECIPE.train.replace(seed=3, learning_rate=0.1))
    again(parameters)
    assert compiled_totals.cache_info().misses == 1
    assert compiled_totals.cache_info().hits == 1


def test_a_process_that_trains_on_ever_other_corpora_keeps_few_programs():
    programs = [weakref.ref(program(run_of(waves([60] * n), RECIPE))) for n in range(2, 8)]
    gc.collect()
    assert sum(one() is not None for one in programs) <= KEPT < len(programs)


def _turn(run):
    return run.source.next(0, 1), 0, 0, run.run_key
