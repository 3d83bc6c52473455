"""Classifies the names in a checkpoint's pickle as harmless, unknown or hostile.

None of them is ever imported or called (see `unpickler`). Unknown names lead to a warning, and
hostile names to an error.
"""

import sys

_HARMLESS: dict[str, str] = {
    "builtins": (
        "Ellipsis NotImplemented bool bytearray bytes complex dict float frozenset getattr int "
        "list object range set slice str tuple type"
    ),
    "collections": "ChainMap Counter OrderedDict UserDict UserList defaultdict deque",
    "collections.abc": (
        "Callable Collection Hashable Iterable Iterator Mapping MutableMapping MutableSequence "
        "Sequence Set Sized"
    ),
    "_functools": "partial reduce",
    "functools": "partial reduce",
    "_operator": "add and_ getitem mul neg or_ sub truediv",
    "operator": "add and_ getitem mul neg or_ sub truediv",
    "copyreg": "_reconstructor",
    "_codecs": "encode",
    "argparse": "Namespace",
    "datetime": "date datetime time timedelta timezone",
    "decimal": "Decimal",
    "enum": "Enum EnumMeta EnumType Flag IntEnum IntFlag StrEnum auto",
    "fractions": "Fraction",
    "inspect": "_empty",
    "numbers": "Complex Integral Number Rational Real",
    "pathlib": "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath",
    "types": "EllipsisType GenericAlias MappingProxyType NoneType SimpleNamespace UnionType",
    "typing": (
        "Any Callable ClassVar Dict Final FrozenSet Generic Iterable Iterator List Literal Mapping "
        "NamedTuple Optional Sequence Set Tuple Type TypeVar Union"
    ),
    "uuid": "UUID",
    "zoneinfo": "ZoneInfo ZoneInfo._unpickle",
    "numpy": "dtype ndarray",
    "numpy.core.multiarray": "_reconstruct scalar",
    "numpy._core.multiarray": "_reconstruct scalar",
    "torch": "Size device",
    "torch._utils": "_rebuild_parameter _rebuild_tensor _rebuild_tensor_v2",
    "torch.serialization": "_get_layout",
    "torch.storage": "UntypedStorage",
}
_HARMLESS["pathlib._local"] = _HARMLESS["pathlib"]  # where Python 3.13 keeps them

HARMLESS = frozenset(
    f"{module}.{name}" for module in _HARMLESS for name in _HARMLESS[module].split()
)
"""Names that occur in ordinary checkpoints."""

HARMLESS_PACKAGES = (
    "gluonts.torch.",
    "gluon_utils.gluon_ts_distributions.",
    "lightning.pytorch.",
    "lightning.fabric.",
    "lightning_fabric.",
    "pytorch_lightning.",
)
"""Packages of the classes in the checkpoints of the reference, in all versions."""


def is_unknown(name: str) -> bool:
    """Whether this name does not occur in ordinary checkpoints."""
    storage = name.startswith("torch.") and name.endswith("Storage") and name.count(".") == 1
    return not (storage or name in HARMLESS or name.startswith(HARMLESS_PACKAGES))


def is_hostile(name: str) -> bool:
    """Whether the name is one of Python's standard library that no model needs."""
    return is_unknown(name) and name.partition(".")[0] in sys.stdlib_module_names


def listed(names: tuple[str, ...] | list[str], most: int = 5) -> str:
    """The first `most` names for a message, each shortened, and the number of the other names."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(name if len(name) < 100 else f"{name[:97]}..." for name in names[:most]) + more
