"""Reads PyTorch's zip checkpoints without PyTorch.

The format is a zip file without compression that contains `NAME/data.pkl` and one raw file
`NAME/data/KEY` per storage. The pickle refers to storages by persistent ids
`("storage", type, key, device, size)` and creates tensors from them with
`torch._utils._rebuild_tensor_v2`.
"""

import math
import os
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from lagllama_jax.checkpoints.foreign import refuse_foreign
from lagllama_jax.checkpoints.torch.names import listed
from lagllama_jax.checkpoints.torch.unpickler import (
    Record,
    Unpickled,
    check_key,
    is_record_of,
    unpickle,
)
from lagllama_jax.errors import CheckpointError, converting, naming

STORAGES: dict[str, np.dtype] = {
    "torch.FloatStorage": np.dtype(np.float32),
    "torch.DoubleStorage": np.dtype(np.float64),
    "torch.HalfStorage": np.dtype(np.float16),
    "torch.BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "torch.LongStorage": np.dtype(np.int64),
    "torch.IntStorage": np.dtype(np.int32),
    "torch.ShortStorage": np.dtype(np.int16),
    "torch.CharStorage": np.dtype(np.int8),
    "torch.ByteStorage": np.dtype(np.uint8),
    "torch.BoolStorage": np.dtype(np.bool_),
    "torch.ComplexFloatStorage": np.dtype(np.complex64),
    "torch.ComplexDoubleStorage": np.dtype(np.complex128),
}
"""NumPy data type of each storage class of PyTorch."""

_ORDERED = "collections.OrderedDict"
_TENSORS = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
_MOST_AXES, _LARGEST_NUMBER = 64, 2**48
"""NumPy's limit of the number of axes, and a limit of sizes that keeps products within 64 bits."""

_DAMAGED = (zipfile.BadZipFile, struct.error, EOFError, RuntimeError, TypeError, ValueError)
"""Exceptions that reading a damaged zip file raises."""


def read_archive(path: str | os.PathLike[str], only: Sequence[str] | None = None) -> Unpickled:
    """Reads a PyTorch checkpoint without running any code in it.

    Time and memory are bounded by the size of the file, whatever its content. Files with
    compression or overlapping members are refused, and so are files whose tensors together are
    larger than the file.

    Args:
      path: The checkpoint file.
      only: Entries of the checkpoint's dictionary to read, without the storages of the others (such
        as an optimizer's state). `None`: all entries.

    Raises:
      CheckpointError: If the file is not a whole zip file of PyTorch, is made to exhaust memory, or
        has a pickle with names or instructions that no checkpoint needs.
    """
    path = Path(path)
    damaged = "not a whole zip file of PyTorch's. Download it again"
    with (
        naming(path),
        converting(CheckpointError, damaged, *_DAMAGED),
        converting(CheckpointError, "nested too deeply to be a checkpoint", RecursionError),
        converting(CheckpointError, "cannot be read", OSError),
    ):
        if not path.is_file():
            raise CheckpointError("there is no such file.")
        refuse_foreign(path)
        with zipfile.ZipFile(path) as archive:
            reader = _Reader(archive, path.stat().st_size)
            value, unknown = unpickle(reader.pickle, str(path))
            if is_record_of(value, _ORDERED):
                value = {check_key(key): item for key, item in value.entries}
            if not isinstance(value, dict):
                raise CheckpointError("holds no dictionary at its top. Not a checkpoint.")
            wanted = {k: v for k, v in value.items() if only is None or k in only}
            return Unpickled(reader.build(wanted), unknown)


class _Reader:
    """Converts the records of tensors, storages and ordered dictionaries to objects."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self.archive = archive
        self._check_members(size)
        names = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
        if len(names) != 1:
            raise CheckpointError(
                f"a zip file, but with {len(names)} files data.pkl instead of one. Give a "
                "checkpoint as torch.save writes it."
            )
        self.prefix = names[0].removesuffix("data.pkl")
        self.pickle = archive.read(names[0])
        order = self.prefix + "byteorder"
        self.big_endian = order in archive.namelist() and archive.read(order).strip() == b"big"
        self.storages: dict[str, tuple[np.dtype, bytes]] = {}
        self.left = size
        """Number of bytes that further tensors may have."""
        self.built: dict[int, tuple[Any, Any]] = {}  # keeps the objects alive, so ids stay unique

    def _check_members(self, size: int) -> None:
        """Refuses members that are compressed or overlap, which could unpack to any size."""
        members = self.archive.infolist()
        for member in members:
            stored = member.compress_type == zipfile.ZIP_STORED
            if not stored or member.compress_size != member.file_size:
                raise CheckpointError(
                    f"{listed([member.filename])} is compressed, which torch.save never does. "
                    "Refused, since it may unpack to any size. If you trust its source, unpack it "
                    "and pack it again with `zip -0 -r`."
                )
        if sum(member.file_size for member in members) > size:
            raise CheckpointError(
                "its members overlap, or are longer than the file. Refused; download the file "
                "again from a source you trust."
            )

    def build(self, value: Any) -> Any:
        """A tree in which the records of tensors and containers are replaced by these."""
        if not isinstance(value, Record | dict | list | tuple):
            return value
        if id(value) not in self.built:
            self.built[id(value)] = value, value  # ends the recursion if it contains itself
            self.built[id(value)] = value, self._build(value)
        return self.built[id(value)][1]

    def _build(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self.build(item) for item in value)
        if isinstance(value, list):
            value[:] = [self.build(item) for item in value]
            return value
        if isinstance(value, dict):
            value.update({key: self.build(item) for key, item in value.items()})
            return value
        value.arguments = self.build(value.arguments)
        if is_record_of(value, *_TENSORS):
            return self._tensor(value.arguments)
        if is_record_of(value, "torch._utils._rebuild_parameter") and value.arguments:
            return value.arguments[0]
        if is_record_of(value, _ORDERED):
            return OrderedDict((check_key(key), self.build(item)) for key, item in value.entries)
        return value

    def _tensor(self, arguments: Any) -> np.ndarray:
        problem = "holds a tensor of a kind that is not known here"
        with converting(CheckpointError, problem, KeyError, TypeError, ValueError):
            reference, offset, shape, strides = arguments[:4]
            kind, key, size = _storage_reference(reference)
            dtype = STORAGES[kind]
            _check_axes(offset, size, shape, strides)
        self.left -= math.prod(shape) * dtype.itemsize
        if self.left < 0:
            raise CheckpointError(
                f"with the tensor of shape {shape} its tensors are larger than the file, because "
                "they repeat the numbers of a storage. Refused."
            )
        raw = self._storage(key, dtype, size)
        steps = tuple(step * dtype.itemsize for step in strides)
        problem = f"a tensor of shape {shape} reaches outside its storage. Download the file again"
        with converting(CheckpointError, problem, ValueError):
            return np.ndarray(shape, dtype, raw, offset * dtype.itemsize, steps)

    def _storage(self, key: str, dtype: np.dtype, size: int) -> bytes:
        """The bytes of a storage, which are in the order of this machine."""
        if key not in self.storages:
            name = f"{self.prefix}data/{key}"
            problem = f"lacks the file {name} with a tensor's numbers. Download it again"
            with converting(CheckpointError, problem, KeyError):
                raw = self.archive.read(name)
            if self.big_endian:
                raw = np.frombuffer(raw, dtype).byteswap().tobytes()
            self.storages[key] = dtype, raw
        kind, raw = self.storages[key]
        if kind != dtype or len(raw) != size * dtype.itemsize:
            raise CheckpointError(
                f"the storage {key} of {kind} has {len(raw)} bytes where {size * dtype.itemsize} "
                f"of {dtype} belong. The file is damaged; download it again."
            )
        return raw


def _storage_reference(reference: Any) -> tuple[str, str, int]:
    """Type, key and number of elements of the storage that a persistent id refers to."""
    if not is_record_of(reference, "persistent"):
        raise TypeError("its storage is not in the archive")
    _, kind, key, _, size = reference.arguments[0]
    if not isinstance(kind, Record) or not isinstance(key, str):
        raise TypeError("its storage has no type or no name")
    return kind.name, key, size


def _check_axes(offset: Any, size: Any, shape: Any, strides: Any) -> None:
    """Checks the offset, size, shape and strides of a tensor before they are used."""
    if not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise TypeError("its shape or strides are not tuples")
    if len(shape) != len(strides) or len(shape) > _MOST_AXES:
        raise TypeError("its shape has too many axes, or others than its strides")
    numbers = (offset, size, *shape, *strides)
    if not all(type(n) is int and 0 <= n < _LARGEST_NUMBER for n in numbers):
        raise TypeError("its offset, size, shape or strides are not whole numbers from 0 to 2**48")
    if math.prod(n for n in shape if n) >= _LARGEST_NUMBER:
        raise TypeError("its shape is larger than any memory")
