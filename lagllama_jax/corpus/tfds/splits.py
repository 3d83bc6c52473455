"""The splits of a series in the paper: training, validation and test.

The splits are taken from the end of a series, as in the reference implementation. The last
`horizon` points are the test window. The last 14 windows before it, each of which begins one point
after the previous one, are for validation. In every split, a series begins with its first point:
`test` has the whole series, `validation` has all points but the test window, and `train` has all
points but the test window and the last 14 points before it.

The reference uses the split of GluonTS if there is one. That has several rolling test windows for
`exchange_rate` and `traffic`. Here, only the last window of each series is the test window.
"""

from typing import Literal, get_args

import numpy as np

from lagllama_jax.typing import Float

VALIDATION_WINDOWS = 14
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


def cut(target: Float[np.ndarray, "T"], split: str, horizon: int) -> Float[np.ndarray, "t"] | None:
    """The part of a series that belongs to a split; `None` if the series is too short for it.

    The test window has `horizon` points. A series without a training point is only in `test`. A
    series without any history before the test window is in no split.
    """
    after_train = {"train": horizon + VALIDATION_WINDOWS, "validation": horizon, "test": 0}[split]
    needed = {"train": 1, "validation": VALIDATION_WINDOWS + 1, "test": horizon + 1}[split]
    length = len(target) - after_train
    return target[:length] if length >= needed else None
