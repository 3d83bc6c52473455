import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def market():
    """A daily table of a target, of two controls that drive it, and of one that does not."""

    def make(effect=0.0, seed=0, before=80, after=20):
        rng = np.random.default_rng(seed)
        count = before + after
        a, b, c = rng.normal(size=(3, count)).cumsum(axis=1) / 3 + 20
        y = a + 0.5 * b + rng.normal(size=count) * 0.5 + effect * (np.arange(count) >= before)
        days = pd.date_range("2026-01-01", periods=count)
        return pd.DataFrame({"day": days, "y": y, "a": a, "b": b, "c": c})

    return make
