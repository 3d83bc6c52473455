"""Writes PyTorch's zip checkpoints without PyTorch. The module `archive` describes the format."""

import math
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np

from lagllama_jax.checkpoints.torch.archive import STORAGES
from lagllama_jax.errors import CheckpointError
from lagllama_jax.files import atomic_path

_KINDS = {dtype: name for name, dtype in STORAGES.items()}


def write_archive(path: str | os.PathLike[str], value: dict[str, Any]) -> None:
    """Writes a checkpoint of tensors, containers and plain values, as `torch.save` does.

    The pickle names only `collections.OrderedDict` and the classes and functions that create
    tensors, so that `torch.load(weights_only=True)` reads it. Tensors are NumPy arrays in `value`.

    Raises:
      CheckpointError: If a value is not an array, a container or a plain value.
      DataError: If the path cannot be written.
    """
    writer = _Writer()
    writer.save(value)
    files = {"data.pkl": b"\x80\x02" + b"".join(writer.parts) + b"."}
    files |= {"byteorder": b"little", "version": b"3\n"}
    files |= {f"data/{key}": raw for key, raw in enumerate(writer.storages)}
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in files.items():
            # ZipInfo dates members 1980, so that the same content gives the same bytes.
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), content)


class _Writer:
    """Writes opcodes of pickle protocol 2, without a memo. Each tensor has its own storage."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.storages: list[bytes] = []

    def save(self, value: Any) -> None:
        """Appends the opcodes that put `value` on the stack."""
        if value is None or type(value) in (bool, int, float, str):
            self.parts.append(pickle.dumps(value, protocol=2)[2:-1])  # without PROTO and STOP
        elif isinstance(value, OrderedDict):
            self._save_all(b"ccollections\nOrderedDict\n)R(", chain(*value.items()), b"u")
        elif isinstance(value, dict):
            self._save_all(b"}(", chain(*value.items()), b"u")
        elif isinstance(value, list):
            self._save_all(b"](", value, b"e")
        elif isinstance(value, tuple):
            self._save_all(b"(", value, b"t")
        elif isinstance(value, np.ndarray) and value.dtype in _KINDS:
            self._save_tensor(value)
        else:
            kind = getattr(value, "dtype", type(value).__name__)
            raise CheckpointError(f"A checkpoint cannot hold a {kind}.")

    def _save_all(self, begin: bytes, values: Iterable[Any], end: bytes) -> None:
        self.parts.append(begin)
        for value in values:
            self.save(value)
        self.parts.append(end)

    def _save_tensor(self, tensor: np.ndarray) -> None:
        strides = tuple(math.prod(tensor.shape[axis + 1 :]) for axis in range(tensor.ndim))
        self.parts.append(b"ctorch._utils\n_rebuild_tensor_v2\n((")
        self.save("storage")
        kind = _KINDS[tensor.dtype].removeprefix("torch.")
        self._save_all(
            f"ctorch\n{kind}\n".encode(), [str(len(self.storages)), "cpu", tensor.size], b"tQ"
        )
        self._save_all(b"", [0, tensor.shape, strides, False, OrderedDict()], b"tR")
        self.storages.append(tensor.tobytes())
