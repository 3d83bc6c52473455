"""Reads untrusted pickles without running any code in them.

A pickle is a program for a stack machine that may import and call anything. The stack machine here
imports and calls nothing. A class or function that the pickle names, and each call of it, becomes a
`Record`. `archive` converts the records of tensors and ordered dictionaries.

Time and memory grow linearly with the size of the pickle. A name or container that is repeated is
the same object, not a copy. Keys of dictionaries must be texts, moderate numbers or records,
because hashing nested tuples can take exponential time, and hashes of chosen numbers collide.
"""

import pickletools
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from lagllama_jax.checkpoints.torch.names import is_hostile, is_unknown, listed
from lagllama_jax.errors import CheckpointError, converting, naming

LARGEST_PICKLE = 8 * 2**20
"""Largest accepted size of a pickle in bytes. That of a checkpoint of the published size has
18,000, or more with an optimizer's state."""
LONGEST_NAME = 200
"""Largest accepted number of characters of the dotted name of a class."""


class Record:
    """Stands for a class, a function, an instance or the result of a call, without behaviour.

    Attributes:
      name: Dotted name in the pickle.
      arguments: Positional arguments of the call. `None` if the pickle only mentions the name.
      state: The state that the pickle sets on the instance, or `None`.
      entries: Pairs of key and value that the pickle stores in the instance.
    """

    __slots__ = ("arguments", "entries", "name", "state")

    def __init__(self, name: str, arguments: tuple[Any, ...] | None = None) -> None:
        self.name, self.arguments = name, arguments
        self.state: Any = None
        self.entries: list[tuple[Any, Any]] = []

    def __repr__(self) -> str:
        return f"<{self.name}, not run>"


def is_record_of(value: Any, *names: str) -> bool:
    """Whether `value` is the record of an instance or a call with one of these names."""
    return isinstance(value, Record) and value.arguments is not None and value.name in names


def check_key(key: Any) -> Any:
    """Returns the key of a dictionary, after a check that it is cheap to hash."""
    moderate = isinstance(key, int) and abs(key) < 2**60
    if moderate or key is None or isinstance(key, str | bytes | float | Record):
        return key
    raise CheckpointError(
        f"its pickle has a dictionary or set with a key (of type {type(key).__name__}) that is "
        "neither a text nor a number of at most 60 bits. Refused, since such keys can take forever "
        "to compare."
    )


class Unpickled(NamedTuple):
    """The content of a pickle, or of an archive with one.

    Attributes:
      value: Plain values and containers. Everything else is replaced by records. `read_archive`
        replaces the records of tensors by read-only NumPy arrays.
      unknown: Names that do not occur in ordinary checkpoints, sorted.
    """

    value: Any
    unknown: tuple[str, ...]


def unpickle(data: bytes, source: str) -> Unpickled:
    """Reads a pickle without importing or calling anything.

    Raises:
      CheckpointError: If the pickle is damaged or too large, or names anything in Python's standard
        library that no checkpoint needs (such as `os.system`). The message names `source`.
    """
    with naming(source):
        if len(data) > LARGEST_PICKLE:
            raise CheckpointError(
                f"its pickle has {len(data)} bytes, where that of a Lag-Llama has less than "
                f"{LARGEST_PICKLE}. Give a checkpoint as the reference's training writes it."
            )
        machine = _Machine()
        # A damaged pickle can make the machine fail in any way.
        problem = "its pickle is damaged. Download the file again"
        with converting(CheckpointError, problem, Exception):
            value = machine.run(data)
        unknown = tuple(sorted(filter(is_unknown, machine.names)))
        hostile = [name for name in unknown if is_hostile(name)]
        if hostile:
            raise CheckpointError(
                f"its pickle asks for {listed(hostile)}, which no checkpoint of a model needs. "
                "Nothing was run. Do not load this file with other tools; get the checkpoint from "
                "a source you trust."
            )
        return Unpickled(value, unknown)


class _Machine:
    """The stack machine of the pickle protocols 0 to 5."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.names: set[str] = set()

    def run(self, data: bytes) -> Any:
        """Runs a pickle and returns the value that it leaves on the stack."""
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in _LITERALS:
                self.stack.append(argument)
            elif opcode.name in _FRESH:
                self.stack.append(_FRESH[opcode.name]())
            elif opcode.name in _ACTIONS:
                _ACTIONS[opcode.name](self, argument)
            elif opcode.name not in _WITHOUT_EFFECT:
                raise CheckpointError(
                    f"its pickle uses the instruction {opcode.name}, which no checkpoint needs. "
                    "Nothing was run."
                )
        return self.stack.pop()

    def pop(self, count: int) -> list[Any]:
        """Removes `count` values from the top of the stack and returns them, the lowest first."""
        if count > len(self.stack):
            raise IndexError("it takes more values than there are")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values

    def drop(self) -> None:
        """Removes the top of the stack, which may be a mark."""
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.pop(1)

    def pop_mark(self) -> list[Any]:
        """Removes the values above the last mark from the stack and returns them."""
        return self.pop(max(len(self.stack) - self.marks.pop(), 0))

    def mention(self, module: str, name: str) -> Record:
        """Returns the record of a class or function."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("it names a class by something other than text")
        if len(module) + len(name) > LONGEST_NAME:
            raise CheckpointError("its pickle has a name that is too long for a class. Refused.")
        # torch.save writes protocol 2, which uses the names of Python 2.
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        full = f"{module}.{name}"
        self.names.add(full)
        return Record(full)

    def call(self, function: Any, arguments: Any) -> None:
        """Pushes the record of a call or an instantiation."""
        if not isinstance(function, Record) or not isinstance(arguments, tuple):
            raise TypeError("it calls something that is neither a class nor a function")
        name = function.name if function.arguments is None else "result of a call"
        self.stack.append(Record(name, arguments))

    def call_below(self, function: Any, *arguments: Any) -> None:
        """Pushes the record of a call of a class that is below its arguments on the stack."""
        self.call(function, arguments)

    def store(self, items: list[Any]) -> None:
        """Stores alternating keys and values in the container on top of the stack."""
        target = self.stack[-1]
        pairs = zip(items[::2], items[1::2], strict=True)
        if isinstance(target, Record):
            target.entries.extend(pairs)
        elif isinstance(target, dict):
            target.update((check_key(key), value) for key, value in pairs)
        else:
            raise TypeError(f"it stores by key in a {type(target).__name__}")

    def append(self, items: Iterable[Any]) -> None:
        """Adds values to the container on top of the stack. A record does not keep them."""
        target = self.stack[-1]
        if isinstance(target, set):
            target.update(map(check_key, items))
        elif isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Record):
            raise TypeError(f"it appends to a {type(target).__name__}")

    def build(self) -> None:
        """Removes the top of the stack and stores it as the state of the instance below."""
        (state,) = self.pop(1)
        target = self.stack[-1]
        if not isinstance(target, Record) or target.arguments is None:
            raise TypeError("it sets the state of something that is not an instance")
        target.state = state

    def dictionary(self) -> None:
        """Creates a dictionary from the keys and values above the last mark."""
        items = self.pop_mark()
        self.stack.append({})
        self.store(items)

    def remember(self, place: int) -> None:
        """Stores the top of the stack in the memo."""
        self.memo[place] = self.stack[-1]

    def recall(self, place: int) -> None:
        """Pushes a value of the memo."""
        self.stack.append(self.memo[place])


_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BYTEARRAY8"),
}
_WITHOUT_EFFECT = ("PROTO", "FRAME", "STOP")
_FRESH: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
_ACTIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    "MARK": lambda self, _: self.marks.append(len(self.stack)),
    "POP": lambda self, _: self.drop(),
    "POP_MARK": lambda self, _: self.pop_mark(),
    "DUP": lambda self, _: self.stack.append(self.stack[-1]),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.remember),
    "MEMOIZE": lambda self, _: self.remember(len(self.memo)),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.recall),
    "LIST": lambda self, _: self.stack.append(self.pop_mark()),
    "TUPLE": lambda self, _: self.stack.append(tuple(self.pop_mark())),
    "TUPLE1": lambda self, _: self.stack.append(tuple(self.pop(1))),
    "TUPLE2": lambda self, _: self.stack.append(tuple(self.pop(2))),
    "TUPLE3": lambda self, _: self.stack.append(tuple(self.pop(3))),
    "DICT": lambda self, _: self.dictionary(),
    "FROZENSET": lambda self, _: self.stack.append(frozenset(map(check_key, self.pop_mark()))),
    "APPEND": lambda self, _: self.append(self.pop(1)),
    "APPENDS": lambda self, _: self.append(self.pop_mark()),
    "ADDITEMS": lambda self, _: self.append(self.pop_mark()),
    "SETITEM": lambda self, _: self.store(self.pop(2)),
    "SETITEMS": lambda self, _: self.store(self.pop_mark()),
    "GLOBAL": lambda self, pair: self.stack.append(self.mention(*pair.split(" ", 1))),
    "STACK_GLOBAL": lambda self, _: self.stack.append(self.mention(*self.pop(2))),
    "INST": lambda self, pair: self.call(self.mention(*pair.split(" ", 1)), tuple(self.pop_mark())),
    "OBJ": lambda self, _: self.call_below(*self.pop_mark()),
    "REDUCE": lambda self, _: self.call(*self.pop(2)),
    "NEWOBJ": lambda self, _: self.call(*self.pop(2)),
    "NEWOBJ_EX": lambda self, _: self.call(*self.pop(3)[:2]),
    "BUILD": lambda self, _: self.build(),
    "PERSID": lambda self, name: self.stack.append(Record("persistent", (name,))),
    "BINPERSID": lambda self, _: self.stack.append(Record("persistent", tuple(self.pop(1)))),
}
