"""Writes PyTorch's zip checkpoints without PyTorch. The module `archive` describes the format."""

import os
import struct
import zipfile
from collections import OrderedDict
from typing import Any

import numpy as np

from lagllama_jax.checkpoints.torch.archive import STORAGES
from lagllama_jax.errors import CheckpointError
from lagllama_jax.files import atomic_path


def write_archive(path: str | os.PathLike[str], value: dict[str, Any]) -> None:
    """Writes a checkpoint of tensors, containers and plain values, as `torch.save` does.

    The pickle names only `collections.OrderedDict` and the classes and functions that create
    tensors, so that `torch.load(weights_only=True)` reads it.

    Args:
      path: The file to write.
      value: The content. Tensors are NumPy arrays.

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
        if value is None or isinstance(value, bool):
            self.parts.append({None: b"N", True: b"\x88", False: b"\x89"}[value])
        elif isinstance(value, int):
            self._save_int(value)
        elif isinstance(value, float):
            self.parts.append(b"G" + struct.pack(">d", value))
        elif isinstance(value, str):
            text = value.encode()
            self.parts.append(b"X" + struct.pack("<I", len(text)) + text)
        elif isinstance(value, dict):
            ordered = isinstance(value, OrderedDict)
            self.parts.append(b"ccollections\nOrderedDict\n)R(" if ordered else b"}(")
            self._save_all(part for item in value.items() for part in item)
            self.parts.append(b"u")
        elif isinstance(value, list | tuple):
            self.parts.append(b"](" if isinstance(value, list) else b"(")
            self._save_all(value)
            self.parts.append(b"e" if isinstance(value, list) else b"t")
        elif isinstance(value, np.ndarray):
            self._save_tensor(value)
        else:
            raise CheckpointError(f"A checkpoint cannot hold a {type(value).__name__}.")

    def _save_all(self, values: Any) -> None:
        for value in values:
            self.save(value)

    def _save_int(self, value: int) -> None:
        if -(2**31) <= value < 2**31:
            self.parts.append(b"J" + struct.pack("<i", value))
        else:
            raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            self.parts.append(b"\x8a" + bytes([len(raw)]) + raw)

    def _save_tensor(self, tensor: np.ndarray) -> None:
        kinds = {dtype: name for name, dtype in STORAGES.items()}
        if tensor.dtype not in kinds:
            raise CheckpointError(f"A checkpoint cannot hold a tensor of {tensor.dtype}.")
        strides = [int(np.prod(tensor.shape[axis + 1 :])) for axis in range(tensor.ndim)]
        self.parts.append(b"ctorch._utils\n_rebuild_tensor_v2\n((")
        self.save("storage")
        self.parts.append(f"ctorch\n{kinds[tensor.dtype].removeprefix('torch.')}\n".encode())
        self._save_all([str(len(self.storages)), "cpu", tensor.size])
        self.parts.append(b"tQ")
        self._save_all([0, tensor.shape, tuple(strides), False, OrderedDict()])
        self.parts.append(b"tR")
        self.storages.append(tensor.tobytes())
