"""Configurations: every field is checked when they are made, and they are the same after JSON."""

import json
import math
import types
from typing import Annotated, Literal, Union, get_args, get_origin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.config import (
    DataConfig,
    FitConfig,
    ForecastConfig,
    LoopConfig,
    ModelConfig,
    TrainConfig,
)
from lagllama_jax.config.base import checked
from lagllama_jax.errors import ConfigError

CLASSES = [ModelConfig, ForecastConfig, DataConfig, TrainConfig, LoopConfig, FitConfig]
FIELDS = [(cls, name) for cls in CLASSES for name in cls.hints()]
JUNK = st.sampled_from([b"1", {}, object(), 1j, "nonsense", np.zeros(2), np.array(1), math.nan])
every_field = pytest.mark.parametrize(("cls", "name"), FIELDS, ids=lambda part: str(part)[-40:])


def members(hint) -> tuple:
    """The types of a union, or the type alone."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def fitting(hint) -> st.SearchStrategy:
    """Values that a field of this type takes, by its type alone."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        least, most = inner[1].least, inner[1].most
        if inner[0] is int:
            return st.integers(int(least), int(min(most, 10**9)))
        low = max(least, inner[1].above, -1e9)
        high = min(most, inner[1].below, 1e9)
        return st.floats(low, high).filter(lambda x: inner[1].above < x < inner[1].below)
    if origin is Literal:
        return st.sampled_from(inner)
    if origin is tuple:
        return st.lists(fitting(inner[0]), min_size=1, max_size=4).map(tuple)
    if len(members(hint)) > 1:
        return st.one_of(*map(fitting, members(hint)))
    plain = {bool: st.booleans(), float: st.floats(-1e9, 1e9), str: st.text("abc_/0é", max_size=5)}
    return st.none() if hint in (None, type(None)) else plain[hint]


def wrong(hint) -> st.SearchStrategy:
    """Values of another type, outside the bounds, or that are no choice."""
    options = [JUNK.filter(lambda junk: str not in members(hint) or not isinstance(junk, str))]
    if type(None) not in members(hint):
        options.append(st.none())
    for member in members(hint):
        origin, inner = get_origin(member), get_args(member)
        if origin is tuple:
            options += [wrong(inner[0]).map(lambda item: (item,)), st.just("ab")]
        if member is str:
            options.append(st.integers())
        if origin is not Annotated:
            continue
        options += [st.booleans(), *([st.just(1.5)] if inner[0] is int else [])]
        bounds = inner[1]
        for number in (bounds.least - 1, bounds.most + 1, bounds.above, bounds.below):
            options.append(st.just(int(number) if math.isfinite(number) else number))
    return st.one_of(*options)


def numpy_form(value):
    """The value as NumPy has it."""
    if isinstance(value, tuple):
        return [numpy_form(item) for item in value]
    forms = {bool: np.bool_, int: np.int64, float: np.float64, str: np.str_}
    return value if value is None else forms[type(value)](value)


@every_field
@given(data=st.data())
@settings(max_examples=20)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(cls, name, data):
    named = f"^{name}=|^Quantile level" if name == "quantile_levels" else f"^{name}="
    with pytest.raises(ConfigError, match=named):
        cls(**{name: data.draw(wrong(cls.hints()[name]))})


@every_field
@given(data=st.data())
@settings(max_examples=20)
def test_a_value_is_the_same_after_json_and_as_a_scalar_of_numpy(cls, name, data):
    hint = cls.hints()[name]
    value = data.draw(fitting(hint))
    kept, of_numpy = checked(name, value, hint), checked(name, numpy_form(value), hint)
    assert kept == of_numpy == value
    assert json.dumps(kept) == json.dumps(of_numpy)
    try:
        config = cls(**{name: numpy_form(value)})
    except ConfigError:  # as it does not go with the other fields
        return
    assert cls.from_json(config.to_json()) == config == cls().replace(**{name: value})


@every_field
def test_every_number_has_bounds_and_every_field_a_description(cls, name):
    assert int not in members(cls.hints()[name])  # such as a count, which starts at 1
    assert f"\n      {name}: " in cls.__doc__


@pytest.mark.parametrize("cls", CLASSES)
def test_unknown_and_missing_fields_are_named(cls):
    fields = json.loads(cls().to_json())
    with pytest.raises(ConfigError, match="Unknown field.*colour"):
        cls.from_json(json.dumps(fields | {"colour": 1}))
    with pytest.raises(ConfigError, match="Unknown field.*colour"):
        cls().replace(colour=1)
    name, _ = fields.popitem()
    with pytest.raises(ConfigError, match=f"Missing field.*{name}"):
        cls.from_json(json.dumps(fields))


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "3", "[" * 100_000, '{"num_layers": ' + "1" * 5000 + "}"]
)
def test_what_is_no_object_is_refused(text):
    with pytest.raises(ConfigError):
        ModelConfig.from_json(text)


@pytest.mark.parametrize(
    ("cls", "changes", "message"),
    [
        (DataConfig, {"mixture": "nonsense"}, "mixture='nonsense' must be one of 'series', 'ser"),
        (ModelConfig, {"num_layers": 10**9}, "num_layers=1000000000 .* at most 1024"),
        (ModelConfig, {"num_layers": 10**5000}, "num_layers=a number that is too large"),
        (ModelConfig, {"context_length": 2**20 + 1}, "context_length=1048577"),
        (ModelConfig, {"lags": (0, 2**21)}, "lags="),
        (ModelConfig, {"head_dim": 7}, "head_dim=7 must be even"),
        (ModelConfig, {"num_heads": 9, "num_kv_heads": 2}, "num_heads=9 .* num_kv_heads=2"),
        (ModelConfig, {"lags": (1, 2)}, "lags must be ascending"),
        (ModelConfig, {"lags": (0, 3, 2)}, "lags must be ascending"),
        (ModelConfig, {"lags": ()}, "lags must be ascending"),
        (ForecastConfig, {"context_length": ()}, "context_length"),
        (FitConfig, {"freeze": "head"}, "freeze='head' must be a list"),
        (LoopConfig, {"dispatch": 3}, "checkpoint_every=1000 must be a multiple of dispatch=3"),
        (TrainConfig, {"warmup_steps": 200, "steps": 60, "schedule": "cosine"}, "warmup_steps"),
        (TrainConfig, {"schedule": "trapezoid"}, "decay_steps=0"),
    ],
)
def test_what_is_wrong_is_said(cls, changes, message):
    with pytest.raises(ConfigError, match=message):
        cls(**changes)
