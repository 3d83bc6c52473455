"""What every reader yields."""

from typing import NamedTuple

import numpy as np

from lagllama_jax.typing import Float


class Record(NamedTuple):
    """One series out of a file.

    Attributes:
      item_id: its name, unique in its file.
      start: time of the first value, ISO 8601 without zone; None where the file has no times.
      frequency: pandas alias of its step; None where nobody knows.
      target: values on the regular grid, NaN where missing.
    """

    item_id: str
    start: str | None
    frequency: str | None
    target: Float[np.ndarray, "T"]
