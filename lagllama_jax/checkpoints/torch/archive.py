"""PyTorch's zip checkpoints, read and written without PyTorch.

The format: a zip, nothing compressed, with `NAME/data.pkl` and one raw file `NAME/data/KEY` a
storage; the pickle refers to storages by persistent ids `("storage", type, key, device, size)` and
makes tensors of them with `torch._utils._rebuild_tensor_v2`.
"""

import os
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from lagllama_jax.checkpoints.torch.unpickler import Record, is_record_of, unpickle
from lagllama_jax.errors import CheckpointError
from lagllama_jax.files import atomic_path

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
"""NumPy's types of PyTorch's storages."""

_COLLECTIONS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "builtins.set": set,
    "builtins.frozenset": frozenset,
    "torch.Size": tuple,
}

_TENSORS = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")


class Archive(NamedTuple):
    """What `read_archive` found.

    Attributes:
      value: the checkpoint's dictionary: tensors are read-only NumPy arrays, what is neither
        tensor, container nor plain value is an inert `Record`.
      unknown: names in the pickle that are not known as harmless; nothing of them was run.
    """

    value: dict[Any, Any]
    unknown: tuple[str, ...]


def read_archive(path: str | os.PathLike[str], only: Sequence[str] | None = None) -> Archive:
    """Reads a PyTorch checkpoint, running nothing that it holds.

    Args:
      path: the file.
      only: entries of the checkpoint's dictionary to read; storages that only the others use
        (an optimizer's state) are left in the file. `None` reads all.

    Raises:
      CheckpointError: not a zip, truncated, without its pickle or a storage, with a tensor that
        reaches outside its storage, or with a pickle that asks for what no checkpoint needs.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: there is no such file.")
    try:
        with zipfile.ZipFile(path) as archive:
            reader = _Reader(archive, str(path))
            value, unknown = unpickle(reader.pickle, str(path))
            if not isinstance(value, dict):
                raise CheckpointError(f"{path}: holds no dictionary at its top. Not a checkpoint.")
            wanted = {k: v for k, v in value.items() if only is None or k in only}
            return Archive(reader.build(wanted), unknown)
    except CheckpointError:
        raise
    except RecursionError as error:
        raise CheckpointError(f"{path}: nested too deeply to be a checkpoint.") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, TypeError) as error:
        raise CheckpointError(
            f"{path}: not a whole zip file of PyTorch's ({error}). Download it again; if a PyTorch "
            "before 1.6 wrote it, load and save it there with a current version first."
        ) from error


class _Reader:
    """Gives meaning to the records of tensors, storages and containers."""

    def __init__(self, archive: zipfile.ZipFile, source: str) -> None:
        self.archive, self.source = archive, source
        names = [n for n in archive.namelist() if n == "data.pkl" or n.endswith("/data.pkl")]
        if len(names) != 1:
            raise CheckpointError(
                f"{source}: a zip file, but with {len(names)} files data.pkl instead of one. "
                "Give a checkpoint as torch.save writes it."
            )
        self.prefix = names[0].removesuffix("data.pkl")
        self.pickle = archive.read(names[0])
        big = self.prefix + "byteorder" in archive.namelist()
        self.big_endian = big and archive.read(self.prefix + "byteorder").strip() == b"big"
        self.storages: dict[str, np.ndarray] = {}
        self.built: dict[int, tuple[Any, Any]] = {}  # keeps what it knows by id alive

    def build(self, value: Any) -> Any:
        """A tree with tensors and containers in the place of their records."""
        if not isinstance(value, Record | dict | list | tuple):
            return value
        if id(value) not in self.built:
            self.built[id(value)] = value, value  # what refers to itself meets itself here
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
        record.arguments = tuple(self.build(item) for item in record.arguments)
        record.members = [self.build(item) for item in record.members]
        if is_record_of(record, *_TENSORS):
            return self._tensor(record)
        if is_record_of(record, "torch._utils._rebuild_parameter") and record.arguments:
            return record.arguments[0]
        if is_record_of(record, "collections.OrderedDict"):
            return OrderedDict((key, self.build(item)) for key, item in record.entries)
        if record.name in _COLLECTIONS:
            return _COLLECTIONS[record.name]((*chain(*record.arguments), *record.members))
        record.state = self.build(record.state)
        return record

    def _tensor(self, record: Record) -> np.ndarray:
        try:
            reference, offset, shape, strides = record.arguments[:4]
            _, kind, key, _, size = reference.arguments[0]
            dtype, shape, strides = STORAGES[kind.name], tuple(shape), tuple(strides)
            numbers = (offset, size, *shape, *strides)
            if len(shape) != len(strides) or not all(type(n) is int and n >= 0 for n in numbers):
                raise TypeError("its offset, shape or strides are no whole numbers")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{self.source}: holds a tensor of a kind that is not known here ({error})."
            ) from error
        storage = self._storage(str(key), dtype, size)
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        if 0 not in shape and last >= size:
            raise CheckpointError(
                f"{self.source}: a tensor of shape {shape} reaches outside its storage {key}, "
                f"which has {size} elements. The file is damaged; download it again."
            )
        steps = tuple(step * dtype.itemsize for step in strides)
        tensor = np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)
        return tensor

    def _storage(self, key: str, dtype: np.dtype, size: int) -> np.ndarray:
        name = f"{self.prefix}data/{key}"
        if name not in self.storages:
            try:
                self.storages[name] = np.frombuffer(self.archive.read(name), np.uint8)
            except KeyError as error:
                raise CheckpointError(
                    f"{self.source}: lacks the file {name} with a tensor's numbers. "
                    "It was not saved or copied whole; download it again."
                ) from error
        raw = self.storages[name]
        if raw.size != size * dtype.itemsize:
            raise CheckpointError(
                f"{self.source}: {name} has {raw.size} bytes where {size * dtype.itemsize} "
                "belong. The file is damaged; download it again."
            )
        if self.big_endian:
            raw = raw.reshape(-1, dtype.itemsize)[:, ::-1].reshape(-1)
        return np.ascontiguousarray(raw).view(dtype)


def write_archive(path: str | os.PathLike[str], value: dict[str, Any]) -> None:
    """Writes a checkpoint of tensors, containers and plain values, as `torch.save` would.

    The pickle names no class but `collections.OrderedDict` and those that make tensors, so that
    `torch.load(weights_only=True)` reads it.

    Raises:
      CheckpointError: a value that is neither array, container nor plain.
      DataError: the path cannot be written.
    """
    writer = _Writer()
    writer.save(value)
    files = {"data.pkl": b"\x80\x02" + b"".join(writer.parts) + b"."}
    files |= {"byteorder": b"little", "version": b"3\n"}
    files |= {f"data/{key}": raw for key, raw in enumerate(writer.storages)}
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), content)  # dated 1980: same bytes


class _Writer:
    """Writes opcodes of pickle protocol 2, without a memo: every tensor has its own storage."""

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
