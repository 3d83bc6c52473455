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
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from lagllama_jax.checkpoints.foreign import refuse_foreign
from lagllama_jax.checkpoints.torch.names import listed
from lagllama_jax.checkpoints.torch.unpickler import Record, check_key, is_record_of, unpickle
from lagllama_jax.errors import CheckpointError

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


class Archive(NamedTuple):
    """The content of a checkpoint.

    Attributes:
      value: The dictionary of the checkpoint. Tensors are read-only NumPy arrays. Anything that is
        not a tensor, a container or a plain value is an inert `Record`.
      unknown: Names in the pickle that are not known to be harmless. None of them was run.
    """

    value: dict[Any, Any]
    unknown: tuple[str, ...]


def read_archive(path: str | os.PathLike[str], only: Sequence[str] | None = None) -> Archive:
    """Reads a PyTorch checkpoint without running any code in it.

    Time and memory are bounded by the size of the file, whatever its content. Files with
    compression or overlapping members are refused, and so are files whose tensors together are
    larger than the file.

    Args:
      path: The checkpoint file.
      only: Entries of the checkpoint's dictionary to read. Storages that only other entries use
        (such as an optimizer's state) are not read. `None`: all entries.

    Raises:
      CheckpointError: If the file is not a zip file of PyTorch, is truncated, or is made to exhaust
        memory, if a storage is missing, if a tensor exceeds its storage, or if the pickle uses
        names or instructions that no checkpoint needs.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file.")
    try:
        refuse_foreign(path)
        with zipfile.ZipFile(path) as archive:
            reader = _Reader(archive, path.stat().st_size, str(path))
            value, unknown = unpickle(reader.pickle, str(path))
            wanted = {k: v for k, v in _top(value, path) if only is None or k in only}
            return Archive(reader.build(wanted), unknown)
    except CheckpointError:
        raise
    except RecursionError as error:
        raise CheckpointError(f"{path}: nested too deeply to be a checkpoint.") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (
        zipfile.BadZipFile,
        EOFError,
        RuntimeError,
        TypeError,
        ValueError,
        struct.error,
    ) as error:
        raise CheckpointError(
            f"{path}: not a whole zip file of PyTorch's ({error}). Download it again."
        ) from error


def _top(value: Any, path: Path) -> Iterable[tuple[Any, Any]]:
    if is_record_of(value, _ORDERED):
        return [(check_key(key), item) for key, item in value.entries]
    if isinstance(value, dict):
        return value.items()
    raise CheckpointError(f"{path}: holds no dictionary at its top. Not a checkpoint.")


def _check_members(archive: zipfile.ZipFile, size: int, source: str) -> None:
    """Refuses members that are compressed or overlap, which could unpack to any size."""
    members = archive.infolist()
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise CheckpointError(
                f"{source}: {listed([member.filename])} is compressed, which torch.save never "
                "does. Refused, since it may unpack to any size. If you trust its source, unpack "
                "it and pack it again with `zip -0 -r`."
            )
    if sum(member.file_size for member in members) > size:
        raise CheckpointError(
            f"{source}: its members overlap, or are longer than the file. Refused; download the "
            "file again from a source you trust."
        )


class _Reader:
    """Converts the records of tensors, storages and ordered dictionaries to objects."""

    def __init__(self, archive: zipfile.ZipFile, size: int, source: str) -> None:
        self.archive, self.source = archive, source
        _check_members(archive, size, source)
        found = archive.namelist()
        names = [name for name in found if name == "data.pkl" or name.endswith("/data.pkl")]
        if len(names) != 1:
            raise CheckpointError(
                f"{source}: a zip file, but with {len(names)} files data.pkl instead of one. "
                "Give a checkpoint as torch.save writes it."
            )
        self.prefix = names[0].removesuffix("data.pkl")
        self.pickle = archive.read(names[0])
        order = self.prefix + "byteorder"
        self.big_endian = order in found and archive.read(order).strip() == b"big"
        self.storages: dict[str, np.ndarray] = {}
        self.left = size
        """Number of bytes that further tensors may have."""
        self.built: dict[int, tuple[Any, Any]] = {}  # keeps the objects alive, so ids stay unique

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
        return self._build_record(value)

    def _build_record(self, record: Record) -> Any:
        record.arguments = self.build(record.arguments)
        if is_record_of(record, *_TENSORS):
            return self._tensor(record.arguments)
        if is_record_of(record, "torch._utils._rebuild_parameter") and record.arguments:
            return record.arguments[0]
        if is_record_of(record, _ORDERED):
            return OrderedDict((check_key(key), self.build(item)) for key, item in record.entries)
        record.members = [self.build(item) for item in record.members]
        record.state = self.build(record.state)
        return record

    def _tensor(self, arguments: Any) -> np.ndarray:
        try:
            reference, offset, shape, strides = arguments[:4]
            kind, key, size = _storage_reference(reference)
            dtype = STORAGES[kind]
            _check_axes(offset, size, shape, strides)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{self.source}: holds a tensor of a kind that is not known here ({error})."
            ) from error
        elements = math.prod(shape)
        self.left -= elements * dtype.itemsize
        if self.left < 0:
            raise CheckpointError(
                f"{self.source}: with the tensor of shape {shape} its tensors are larger than the "
                "file, because they repeat the numbers of a storage. Refused."
            )
        storage = self._storage(key, dtype, size)
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        if elements and last >= size:
            raise CheckpointError(
                f"{self.source}: a tensor of shape {shape} reaches outside its storage {key}, "
                f"which has {size} elements. The file is damaged; download it again."
            )
        steps = tuple(step * dtype.itemsize for step in strides)
        return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)

    def _storage(self, key: str, dtype: np.dtype, size: int) -> np.ndarray:
        if key not in self.storages:
            self.storages[key] = self._read_storage(key, dtype, size)
        storage = self.storages[key]
        if storage.dtype != dtype or storage.size != size:
            raise CheckpointError(
                f"{self.source}: the storage {key} is used with two types or sizes, which "
                "torch.save refuses to write. The file is damaged; download it again."
            )
        return storage

    def _read_storage(self, key: str, dtype: np.dtype, size: int) -> np.ndarray:
        name = f"{self.prefix}data/{key}"
        try:
            raw = self.archive.read(name)
        except KeyError as error:
            raise CheckpointError(
                f"{self.source}: lacks the file {name} with a tensor's numbers. "
                "It was not saved or copied whole; download it again."
            ) from error
        if len(raw) != size * dtype.itemsize:
            raise CheckpointError(
                f"{self.source}: {name} has {len(raw)} bytes where {size * dtype.itemsize} "
                "belong. The file is damaged; download it again."
            )
        numbers = np.frombuffer(raw, dtype)
        return numbers.byteswap() if self.big_endian else numbers


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
