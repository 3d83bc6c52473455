"""The paper's splits of a series: its test, its validation windows, and what is left to train on.

A series is cut from its end, as in the reference: the last `horizon` points are the test; of the
rest, the training series, the last 14 windows validate. Windows follow each other by one point,
so they cost the training part 14 points whatever the length of a window. Every split holds a
series from its beginning, as history: `test` the whole of it, `validation` all but the test,
`train` all but both.

The reference takes GluonTS' own split where there is one (several rolling test windows for
`exchange_rate` and `traffic`); here the last window is the test of every data set.
"""

from typing import Literal, get_args

import numpy as np

from lagllama_jax.typing import Float

VALIDATION_WINDOWS = 14
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


def cut(target: Float[np.ndarray, "T"], split: str, horizon: int) -> Float[np.ndarray, "t"] | None:
    """The part of a series that belongs to a split, or None where nothing of it is left.

    A series too short to train on is in no split but `test`, one too short to leave any history
    before the test in none.
    """
    after_train = {"train": horizon + VALIDATION_WINDOWS, "validation": horizon, "test": 0}[split]
    needed = {"train": 1, "validation": VALIDATION_WINDOWS + 1, "test": horizon + 1}[split]
    length = len(target) - after_train
    return target[:length] if length >= needed else None
