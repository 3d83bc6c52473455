"""Batch sizes and the memory they are chosen by."""

import jax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import ConfigError
from lagllama_jax.inference.memory import (
    BATCH_BYTES,
    MANY,
    SMALL_BATCH,
    batch_bytes,
    batch_size,
    check_memory,
    round_up,
    series_bytes,
    small_batch_size,
)


@given(
    st.integers(1, 5000), st.integers(1, 2**31), st.none() | st.integers(1, 300), st.integers(1, 8)
)
def test_batches_fit_the_memory_the_request_and_the_devices(count, each, asked, devices):
    size = batch_size(count, each, asked, devices)
    share = size // devices
    assert size % devices == 0 and share >= 1
    assert share <= max(BATCH_BYTES // each, 1) if asked is None else share <= -(-asked // devices)
    assert share == 1 or size < 2 * count + devices


@given(st.integers(1, 10**6))
def test_rounding_up_wastes_at_most_half(count):
    assert count <= round_up(count) <= 1.5 * count + 0.5


def test_few_sizes_serve_all_numbers_of_series():
    assert len({round_up(count) for count in range(1, 1001)}) <= 32


def test_a_long_horizon_needs_hardly_more_memory():
    model = ModelConfig.released()
    assert series_bytes(model, 100, 1024) < 1.1 * series_bytes(model, 100, 64)


def test_one_pass_needs_memory_for_each_step_and_small_batches_on_a_cpu():
    model = ModelConfig.released()
    assert series_bytes(model, 0, 64) < series_bytes(model, 0, 1024) < 2**26
    assert batch_bytes(0, jax.local_devices()[0]) < batch_bytes(1, jax.local_devices()[0])


def test_a_context_beyond_the_memory_is_refused_with_numbers():
    model, device = ModelConfig.tiny(context_length=10**6), jax.local_devices()[0]
    with pytest.raises(ConfigError, match=r"context_length=1000000.*GiB.*Lower one"):
        check_memory(model, 100, 64, device)


@given(st.integers(1, 500), st.integers(0, 300), st.integers(1, 40))
def test_few_series_on_a_cpu_share_two_programs(count, num_samples, most):
    size = small_batch_size(count, num_samples, most)
    assert size == most if count >= MANY else size in (1, SMALL_BATCH)
    assert size <= most and (size == 1 or size <= count)
