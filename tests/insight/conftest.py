import jax
import numpy as np
import pytest

from lagllama_jax import LagLlama, ModelConfig
from lagllama_jax.model.network import init_parameters

ONE_PASS = ModelConfig.tiny(
    lags=(0, 1, 2, 7),
    context_length=8,
    attention_window=12,
    imputation="loc",
    scale_features="relative",
    observed_features=True,
    squash="arcsinh",
    one_pass=True,
)
AUTHORS = ModelConfig.tiny(lags=(0, 1, 2, 7), context_length=8)
"""As published: raw loc and scale are features, and missing values are a raw 0."""


def drawn(config):
    return LagLlama(init_parameters(config, jax.random.key(0)), config)


@pytest.fixture(scope="session")
def with_head():
    """Makes a small model with some head."""
    return lambda head: drawn(AUTHORS.replace(head=head))


@pytest.fixture(scope="session")
def one_pass():
    """A small model like the bundled weights."""
    return drawn(ONE_PASS)


@pytest.fixture(scope="session")
def authors():
    """A small model like the authors' checkpoints."""
    return drawn(AUTHORS)


@pytest.fixture(scope="session", params=["one_pass", "authors"])
def model(request):
    """Each of the two models."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def walk():
    """A series of 120 steps."""
    return np.random.default_rng(0).normal(size=120).cumsum() + 50
