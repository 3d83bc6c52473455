"""A small model that forecasts in one pass."""

import jax
import pytest

from lagllama_jax import LagLlama
from lagllama_jax.model.network import init_parameters
from tests.model.test_one_pass import CONFIG


@pytest.fixture(scope="session")
def one_pass() -> LagLlama:
    return LagLlama(init_parameters(CONFIG, jax.random.key(1)), CONFIG)
