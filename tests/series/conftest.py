import pathlib

import numpy as np
import pytest


@pytest.fixture(scope="session")
def golden_numbers():
    """Time stamps and calendar features that the reference computed, by frequency."""
    file = pathlib.Path(__file__).parents[1] / "goldens" / "time_features.npz"
    with np.load(file) as numbers:
        return dict(numbers)
