"""The splits of a series in the paper: training, validation and test.

A series is cut from its end, as in the reference. The last `horizon` points are the test. Of the
rest, the last 14 windows are for validation; each begins one point after the one before, so that
the training part is 14 points shorter. Every split holds a series from its beginning, as history:
`test` the whole series, `validation` all but the test, and `train` all but both.

The reference uses the split of GluonTS if there is one, which has several rolling test windows for
`exchange_rate` and `traffic`. Here the last window is the test of every data set.
"""

from typing import Literal, get_args

import numpy as np

from lagllama_jax.typing import Float

VALIDATION_WINDOWS = 14
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


def cut(target: Float[np.ndarray, "T"], split: str, horizon: int) -> Float[np.ndarray, "t"] | None:
    """The part of a series that belongs to a split; `None` if nothing is left.

    A series that is too short to train on is only in `test`; one that is too short for any history
    before the test is in no split.
    """
    after_train = {"train": horizon + VALIDATION_WINDOWS, "validation": horizon, "test": 0}[split]
    needed = {"train": 1, "validation": VALIDATION_WINDOWS + 1, "test": horizon + 1}[split]
    length = len(target) - after_train
    return target[:length] if length >= needed else None
