"""Values that a series has now and then: told where a forecast or a score leaves them out."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax import LagLlama
from lagllama_jax.inference.rare_values import share_outside, usual_value

HOURS = np.arange(24 * 60)
RNG = np.random.default_rng(1)
DAYLIGHT = np.maximum(np.sin((HOURS % 24 - 6) / 12 * np.pi), 0)
OPEN = (HOURS % 24 >= 9) & (HOURS % 24 < 17) & (HOURS // 24 % 7 < 6)
ORDINARY = {
    "constant": (np.full(400, 3.0), "D"),
    "shifted": (np.r_[np.zeros(300), np.full(100, 5.0)], "D"),
    "weekly": ((np.arange(400) % 7 == 0) * 5.0, "D"),
    "solar": (DAYLIGHT * RNG.uniform(0.3, 1, len(HOURS)), "h"),
    "shop": (np.where(OPEN, RNG.poisson(5, len(HOURS)), 0).astype(float), "h"),
    "every tenth": ((np.arange(400) % 10 == 3) * 5.0, "D"),
    "two of five": ((np.arange(400) % 5 < 2) * 5.0, "D"),
    "every fourth week": ((np.arange(200) % 4 == 0) * 5.0, "W"),
    "counts": (RNG.poisson(2.0, 400).astype(float), "D"),
}


@pytest.fixture(scope="module")
def model():
    return LagLlama.from_pretrained()


def in_runs(count, seed=0):
    """Values that stay at 0, or above it, for some time."""
    rng, values = np.random.default_rng(seed), np.zeros(count)
    for step in range(1, count):
        if rng.random() < (0.8 if values[step - 1] else 0.04):
            values[step] = rng.uniform(5, 9)
    return values


def test_rare_values_in_runs_are_told(model):
    runs = in_runs(600)
    with pytest.warns(UserWarning, match="1 of 2 series, such as 'parts', mostly have one value"):
        model.predict([runs, ORDINARY["counts"][0]], 7, item_ids=["parts", "many"])
    with pytest.warns(UserWarning, match="1 of 1 series, such as 'parts'.*no anomalies"):
        model.score(runs, item_ids=["parts"])


@pytest.mark.parametrize("name", ORDINARY)
@pytest.mark.parametrize("steps", [5, 28])
def test_what_is_foreseen_is_not_told(model, name, steps):
    values, frequency = ORDINARY[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(values, steps, start="2025-01-01", freq=frequency)


@settings(max_examples=50)
@given(st.integers(0, 2**16), st.floats(0.02, 0.35), st.floats(-1e6, 1e6))
def test_the_usual_value_is_that_of_most_points(seed, share, usual):
    rng = np.random.default_rng(seed)
    apart = rng.random(300) < share
    past = np.where(apart, usual + 1 + rng.random(300), usual)
    past[rng.random(300) < 0.1] = np.nan
    leaves = np.diff(apart[np.isfinite(past)][-256:].astype(int)).clip(0).sum()
    assert usual_value(past) == (usual if leaves >= 4 else None)


@settings(max_examples=50)
@given(st.integers(0, 2**16), st.integers(1, 24), st.integers(1, 60))
def test_a_point_is_outside_of_the_bounds_of_its_place_in_the_cycle(seed, cycle, steps):
    rng = np.random.default_rng(seed)
    past = rng.normal(size=600)
    low, high = np.sort(rng.normal(size=(2, steps)), axis=0)
    cycles = min(max(256 // cycle, 14), len(past) // cycle)
    outside = []
    for place in range(min(cycle, steps)):
        values = past[len(past) - cycles * cycle + place :: cycle]
        least, most = low[place::cycle].min(), high[place::cycle].max()
        outside += [*((values < least) | (values > most))]
    assert share_outside(past, low, high, cycle) == pytest.approx(np.mean(outside))
