"""The division of a forecast into batches that are computed beside one another."""

import threading

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.config import ForecastConfig, ModelConfig
from lagllama_jax.inference import lanes as module
from lagllama_jax.inference.lanes import FEWEST_PATHS, Lanes, call
from lagllama_jax.inference.memory import BATCH_BYTES
from lagllama_jax.inference.predictor import ModelPredictor
from lagllama_jax.model.network import init_parameters
from lagllama_jax.series.arrays import read_arrays


@pytest.fixture
def with_cores(monkeypatch):
    """Sets the number of cores."""
    return lambda number: monkeypatch.setattr(module, "cores", lambda: number)


@given(
    st.integers(0, 3000),
    st.integers(0, 300),
    st.integers(1, 2**33),
    st.none() | st.integers(1, 300),
    st.integers(1, 64),
)
def test_all_items_are_in_one_batch_each_and_fit_the_memory(items, samples, each, asked, number):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "cores", lambda: number)
        lanes = Lanes.of(items, samples, each, asked)
    batches = lanes.batches()
    assert [item for batch in batches for item in range(items)[batch]] == list(range(items))
    assert all(len(lanes.filled(batch)) == lanes.size for batch in batches)
    assert 1 <= lanes.beside <= number and lanes.size <= (asked or lanes.size)
    together = min(lanes.beside, len(batches)) * lanes.size
    assert together * each <= max(2 * BATCH_BYTES, lanes.size * each)


@given(st.integers(1, 40), st.integers(1, 400), st.integers(1, 64))
def test_the_parts_of_the_paths_hold_each_path(items, samples, beside):
    parts = Lanes((), beside, 1, items).parts(samples)
    assert set().union(*(range(samples)[part] for part in parts)) == set(range(samples))
    assert len({part.stop - part.start for part in parts}) == 1
    assert len(parts) * items <= max(beside, items)
    assert len(parts) == 1 or samples >= len(parts) * FEWEST_PATHS


def test_jobs_run_at_once_and_give_their_results_in_order():
    met = threading.Barrier(3)
    lanes = Lanes((), 3, 1, 9)

    def wait(job: int) -> int:
        met.wait(timeout=60)  # until three jobs are here
        return -job

    assert list(lanes.run(wait, range(9))) == [-job for job in range(9)]


def test_an_error_in_a_job_is_raised_and_the_jobs_in_line_are_not_begun():
    begun = []

    def fail(job: int) -> None:
        begun.append(job)
        if job == 0:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(Lanes((), 2, 1, 100).run(fail, range(100)))
    assert len(begun) <= 4


def test_threads_compile_a_program_once():
    traced = []

    @jax.jit
    def program(x):
        traced.append(x)
        return x + 1

    lanes = Lanes((), 8, 1, 8)
    assert list(lanes.run(lambda job: int(call(program, job)), range(8))) == list(range(1, 9))
    assert len(traced) == 1


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize(
    ("head", "sampling", "variates"),
    [
        ("student_t", "stratified", 1),
        ("student_t", "random", 3),
        ("implicit_quantile", "stratified", 1),
        ("negative_binomial", "random", 1),
    ],
)
def test_a_path_does_not_depend_on_the_number_of_cores(with_cores, head, sampling, variates):
    config = ModelConfig.tiny(head=head, variate_attention=variates > 1)
    model = ModelPredictor(init_parameters(config, jax.random.key(0)), config)
    random = np.random.default_rng(0)
    walks = np.abs(random.normal(size=(variates, 60)).cumsum(1)).round()
    series = read_arrays([walks], "2026-01-01", "D", ["a"])
    asked = ForecastConfig(
        num_samples=90,
        sampling=sampling,
        method="paths",
        covariates="network" if variates > 1 else "none",
    )
    found = []
    for number in (1, 2, 4):
        with_cores(number)
        found.append(model.predict(series, 5, asked).samples)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-4, atol=1e-4)
    assert len(np.unique(found[0][0, :, 0])) > (45 if head != "negative_binomial" else 1)
