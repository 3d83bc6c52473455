import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from lagllama_jax.corpus.tfds.splits import SPLITS, VALIDATION_WINDOWS, cut


@given(st.integers(1, 200), st.integers(1, 90))
def test_train_validation_and_test_never_share_a_target(length, horizon):
    parts = {split: cut(np.arange(length), split, horizon) for split in SPLITS}
    ends = [0 if parts[split] is None else len(parts[split]) for split in SPLITS]
    if parts["train"] is not None:
        assert ends == [length - horizon - VALIDATION_WINDOWS, length - horizon, length]
    assert (parts["train"] is None) == (length <= horizon + VALIDATION_WINDOWS)
    assert (parts["validation"] is None) == (parts["train"] is None)
    assert (parts["test"] is None) == (length <= horizon)
    for part in parts.values():
        if part is not None:
            np.testing.assert_array_equal(part, np.arange(len(part)))
