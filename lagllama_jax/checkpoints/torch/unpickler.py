"""Pickles of strangers, read without running anything that they ask for.

A pickle is a program that may import and call anything. Here every class and function that it
names is a `Record` type of our own making: calling, instantiating or filling one only notes the
arguments. What comes out is a tree of plain values, containers and records; giving some records a
meaning (tensors, ordered dictionaries) is left to the reader of that tree.
"""

import io
import pickle
import pickletools
import sys
from typing import Any, NamedTuple

from lagllama_jax.errors import CheckpointError

_HARMLESS: dict[str, str] = {
    "builtins": "bytearray complex dict frozenset getattr list object set slice tuple",
    "collections": "Counter OrderedDict defaultdict deque",
    "functools": "partial",
    "copyreg": "_reconstructor",
    "_codecs": "encode",
    "argparse": "Namespace",
    "datetime": "date datetime timedelta timezone",
    "decimal": "Decimal",
    "pathlib": "Path PosixPath PurePosixPath WindowsPath",
    "uuid": "UUID",
    "numpy": "dtype ndarray",
    "numpy.core.multiarray": "_reconstruct scalar",
    "numpy._core.multiarray": "_reconstruct scalar",
    "torch": "Size device",
    "torch._utils": "_rebuild_parameter _rebuild_tensor _rebuild_tensor_v2",
    "torch.serialization": "_get_layout",
    "torch.storage": "UntypedStorage",
}
HARMLESS = frozenset(
    f"{module}.{name}" for module in _HARMLESS for name in _HARMLESS[module].split()
)
"""Names that checkpoints carry for good reasons: not run either, but not remarked on."""

HARMLESS_PACKAGES = (
    "gluonts.torch.",
    "gluon_utils.gluon_ts_distributions.",
    "lightning.pytorch.",
    "lightning.fabric.",
    "lightning_fabric.",
    "pytorch_lightning.",
)
"""Where the classes that a checkpoint of the reference names come from, under old and new roofs."""

_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}


class Record:
    """Stands for a class, a function, an instance or a call's result; has no behaviour.

    Attributes:
      name: dotted name that the pickle gave.
      arguments: positional arguments of the call or instantiation.
      keywords: its keyword arguments.
      state: what the pickle wanted to be set on the instance, or `None`.
      entries: pairs that the pickle stored by key.
      members: values that the pickle appended or added.
    """

    name = ""
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    state: Any
    entries: list[tuple[Any, Any]]
    members: list[Any]
    __slots__ = ("arguments", "entries", "keywords", "members", "state")

    def __new__(cls, *arguments: Any, **keywords: Any) -> "Record":
        """Notes the arguments."""
        self = super().__new__(cls)
        self.arguments, self.keywords, self.state = arguments, keywords, None
        self.entries, self.members = [], []
        return self

    def __call__(self, *arguments: Any, **keywords: Any) -> "Record":
        """The record of calling a result, as `getattr(a, b)(c)` does."""
        return record_type(f"{self.name}()")(*arguments, **keywords)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.entries.append((key, value))

    def append(self, value: Any) -> None:
        """Notes what the pickle appends."""
        self.members.append(value)

    def add(self, value: Any) -> None:
        """Notes what the pickle adds to a set."""
        self.members.append(value)

    def extend(self, values: Any) -> None:
        """Notes what the pickle appends, several at once."""
        self.members.extend(values)

    def __repr__(self) -> str:
        return f"<{self.name}, not run>"


def record_type(name: str) -> type[Record]:
    """A new record type: one for every mention, so that nothing is shared between pickles."""
    return type("Record", (Record,), {"name": name, "__slots__": ()})


def is_record_of(value: Any, *names: str) -> bool:
    """Whether `value` is an instance's or call's record, of one of these names."""
    return isinstance(value, Record) and value.name in names


class Unpickled(NamedTuple):
    """What a pickle held.

    Attributes:
      value: plain values and containers, with records in the place of all else.
      unknown: names not known as harmless, sorted; none of them was imported or called.
    """

    value: Any
    unknown: tuple[str, ...]


class _InertUnpickler(pickle.Unpickler):
    """Looks nothing up: the names that it is asked for become record types."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.names: set[str] = set()

    def find_class(self, module: str, name: str) -> type[Record]:
        """A record type for the name."""
        full = f"{_PYTHON_2.get(module, module)}.{name}"
        self.names.add(full)
        return record_type(full)

    def persistent_load(self, pid: Any) -> Record:
        """A record of a reference to something outside the pickle (a tensor's storage)."""
        return record_type("persistent")(pid)


def unpickle(data: bytes, source: str) -> Unpickled:
    """Reads a pickle without importing or calling anything.

    Args:
      data: the pickle.
      source: file name, for the messages.

    Raises:
      CheckpointError: damaged, or it asks for something of Python's standard library that no
        checkpoint needs (`os.system`, `builtins.eval`): nothing of it was run.
    """
    try:
        _check_opcodes(data)
        unpickler = _InertUnpickler(data)
        value = unpickler.load()
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from error
    except Exception as error:  # a damaged pickle makes the machine fail in any way whatever
        raise CheckpointError(
            f"{source}: its pickle is damaged ({error}). Download the file again."
        ) from error
    unknown = tuple(sorted(filter(_is_unknown, unpickler.names)))
    hostile = [name for name in unknown if _is_standard_library(name)]
    if hostile:
        raise CheckpointError(
            f"{source}: its pickle asks for {', '.join(hostile)}, which no checkpoint of a model "
            "needs. Nothing was run. Do not load this file with other tools; get the checkpoint "
            "from a source you trust."
        )
    return Unpickled(value, unknown)


def _check_opcodes(data: bytes) -> None:
    """Refuses the two kinds of opcode that act before any name is asked for."""
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name.startswith("EXT"):
            raise CheckpointError("its pickle uses the process' extension registry. Refused.")
        if opcode.name in ("LONG_BINPUT", "PUT") and int(argument or 0) > len(data):
            raise CheckpointError("its pickle claims more objects than it has bytes. Refused.")


def _is_unknown(name: str) -> bool:
    storage = name.startswith("torch.") and name.endswith("Storage") and name.count(".") == 1
    return not (storage or name in HARMLESS or name.startswith(HARMLESS_PACKAGES))


def _is_standard_library(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names
