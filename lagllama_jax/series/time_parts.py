"""`Parts`: the parts of times that are written as text, such as years and months."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lagllama_jax.typing import Bool, Int


class Parts(dict[str, Any]):
    """The cells of each part of a layout, as Arrow arrays of text of the same length."""

    def numbers(self, name: str, default: int = 0) -> Int[np.ndarray, "n"]:
        """The whole numbers of a part, and the default where it is absent."""
        if name not in self:
            return np.full(len(next(iter(self.values()))), default)
        whole = pc.fill_null(self[name], str(default)).cast(pa.int64())
        return whole.to_numpy(zero_copy_only=False)

    def present(self, name: str) -> Bool[np.ndarray, "n"]:
        """Whether each cell has a part."""
        return np.asarray(pc.is_valid(self[name]))
