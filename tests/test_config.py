"""Configurations: validated when made, and the same after JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.config import DataConfig, ForecastConfig, ModelConfig, TrainConfig
from lagllama_jax.errors import ConfigError

CLASSES = [ModelConfig, ForecastConfig, DataConfig, TrainConfig]


@pytest.mark.parametrize("cls", CLASSES)
def test_json_goes_there_and_back(cls):
    assert cls.from_json(cls().to_json()) == cls()


@given(
    st.integers(1, 12),
    st.integers(1, 9).map(lambda n: 2 * n),
    st.sampled_from(["robust", "mean", "std", "none"]),
    st.lists(st.integers(1, 50), unique=True).map(lambda lags: (0, *sorted(lags))),
)
def test_any_model_goes_through_json(layers, width, scaling, lags):
    config = ModelConfig(num_layers=layers, head_dim=width, scaling=scaling, lags=lags)
    assert ModelConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("cls", CLASSES)
def test_unknown_and_missing_fields_are_named(cls):
    fields = json.loads(cls().to_json())
    with pytest.raises(ConfigError, match="Unknown field.*colour"):
        cls.from_json(json.dumps(fields | {"colour": 1}))
    name, _ = fields.popitem()
    with pytest.raises(ConfigError, match=f"Missing field.*{name}"):
        cls.from_json(json.dumps(fields))


@pytest.mark.parametrize("text", ["", "{", "[1]", "3"])
def test_what_is_no_object_is_refused(text):
    with pytest.raises(ConfigError):
        ModelConfig.from_json(text)


@pytest.mark.parametrize(
    ("cls", "changes"),
    [
        (ModelConfig, {"num_layers": 0}),
        (ModelConfig, {"head_dim": 7}),
        (ModelConfig, {"num_heads": 9, "num_kv_heads": 2}),
        (ModelConfig, {"head": "normal"}),
        (ModelConfig, {"lags": (1, 2)}),
        (ModelConfig, {"lags": (0, 3, 2)}),
        (ModelConfig, {"dropout": 1.0}),
        (ModelConfig, {"min_sigma": 0.0}),
        (ForecastConfig, {"num_samples": 0}),
        (ForecastConfig, {"sampling": "even"}),
        (ForecastConfig, {"seed": -1}),
        (ForecastConfig, {"context_length": 0}),
        (ForecastConfig, {"context_length": (4, 8)}),
        (DataConfig, {"synthetic": 1.5}),
        (DataConfig, {"future_length": 0}),
        (TrainConfig, {"learning_rate": 0.0}),
        (TrainConfig, {"batch_size": True}),
        (TrainConfig, {"warmup_steps": 200, "steps": 60, "schedule": "cosine"}),
    ],
)
def test_a_field_that_cannot_be_is_named(cls, changes):
    with pytest.raises(ConfigError, match=next(iter(changes)).removeprefix("num_")):
        cls(**changes)
