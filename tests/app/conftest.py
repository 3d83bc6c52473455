import jax
import numpy as np
import pandas as pd
import pytest

from lagllama_jax.app.limits import Limits
from lagllama_jax.app.server import page
from lagllama_jax.config import ModelConfig
from lagllama_jax.forecaster import LagLlama
from lagllama_jax.model.network import init_parameters

LIMITS = Limits(
    max_megabytes=0.2, max_rows=2000, max_columns=30, max_series=5, max_horizon=50,
    max_samples=20, max_seconds=60, max_waiting=2, max_tables=100,
)  # fmt: skip

HURRY = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "JAX_PLATFORMS": "cpu"}
"""Environment of processes that run programs for a moment, so that compiling takes the time."""


@pytest.fixture(scope="session")
def model():
    """A model of two small layers that forecasts in one pass."""
    config = ModelConfig.tiny(one_pass=True, observed_features=True, context_length=32)
    return LagLlama(init_parameters(config, jax.random.key(0)), config)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("model")
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def guard(model_folder):
    """The page as an application, with its processes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in HURRY.items():
            patch.setenv(name, value)
        with page(str(model_folder), LIMITS) as app:
            yield app


@pytest.fixture(scope="session")
def client(guard):
    """A browser without pictures, scripts and styles, at the page."""
    from starlette.testclient import TestClient

    with TestClient(guard, base_url="http://127.0.0.1:8050") as client:
        yield client


@pytest.fixture(scope="session")
def frame():
    """Two series of 60 days, with a covariate."""
    rng = np.random.default_rng(0)
    days = pd.date_range("2026-01-01", periods=60)
    parts = [
        pd.DataFrame({"item_id": name, "timestamp": days, "target": rng.normal(level, 1, 60)})
        for name, level in (("a", 10), ("b", 50))
    ]
    joined = pd.concat(parts, ignore_index=True).round(3)
    return joined.assign(price=np.tile(np.arange(60) % 5, 2))


@pytest.fixture(scope="session")
def content(frame):
    """The same as a CSV file."""
    return frame.to_csv(index=False).encode()
