"""The base of all configurations: checks of the fields by their types, and conversion to JSON."""

import dataclasses
import functools
import json
import math
import reprlib
import types
from dataclasses import dataclass
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    Self,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np

from lagllama_jax.errors import ConfigError


@dataclass(frozen=True)
class Interval:
    """The bounds of a number, as metadata of its type: `Annotated[int, Interval(least=1)]`."""

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf

    def __contains__(self, number: float) -> bool:
        return self.least <= number <= self.most and self.above < number < self.below

    def __str__(self) -> str:
        words = {"least": "at least", "above": "above", "most": "at most", "below": "below"}
        bounds = {words[name]: getattr(self, name) for name in words}
        return " and ".join(f"{word} {n}" for word, n in bounds.items() if math.isfinite(n))


Count = Annotated[int, Interval(least=1)]
Length = Annotated[int, Interval(least=1, most=2**20)]
"""A number of time steps. It is bounded, since the configuration of a checkpoint is not trusted."""
Aggregation = Count | Literal["auto"]
"""Number of points per step of the model."""
Share = Annotated[float, Interval(least=0, most=1)]
Decay = Annotated[float, Interval(least=0, below=1)]
Positive = Annotated[float, Interval(above=0)]
Seed = Annotated[int, Interval(least=0, most=2**32 - 1)]

_PLAIN: dict[Any, tuple[str, tuple[type, ...]]] = {
    bool: ("True or False", (bool, np.bool_)),
    int: ("a whole number", (int, np.integer)),
    float: ("a number", (int, float, np.integer, np.floating)),
    str: ("a string", (str,)),
    types.NoneType: ("None", (types.NoneType,)),
}
"""The name of a plain type in messages, and the types of the values that it accepts."""


def check(condition: bool, message: str) -> None:
    """Raises `ConfigError` with `message` unless `condition` holds."""
    if not condition:
        raise ConfigError(message)


def checked(name: str, value: Any, hint: Any) -> Any:
    """Returns `value` as a Python object of the type `hint`.

    NumPy scalars become Python's, lists and arrays become tuples, and whole numbers become floats
    where a float is expected. A bool is not a number.

    Args:
      name: Name of the value, for the message.
      value: The value.
      hint: A plain type, a `Literal` of strings, `tuple[X, ...]`, a union, or
        `Annotated[X, Interval(...)]`.

    Raises:
      ConfigError: If the value is of another type or outside the interval.

    Examples:
      >>> checked("num_samples", np.int64(3), Count)
      3
      >>> checked("num_samples", 0, Count)
      Traceback (most recent call last):
      lagllama_jax.errors.ConfigError: num_samples=0 must be a whole number that is at least 1.
    """
    try:
        return _read(value, hint)
    except (ValueError, OverflowError):
        raise ConfigError(f"{name}={_shown(value)} must be {_wanted(hint)}.") from None


def _read(value: Any, hint: Any) -> Any:
    """Converts a value to a type.

    Raises:
      ValueError: If the value does not fit the type.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        number = _read(value, inner[0])
        return _fitting(number, number in inner[1])
    if origin is Literal:
        return str(_fitting(value, isinstance(value, str) and value in inner))
    if origin is tuple:
        items = _fitting(value, isinstance(value, list | tuple | np.ndarray) and np.ndim(value))
        return tuple(_read(item, inner[0]) for item in items)
    if origin in (Union, types.UnionType):
        return _read_first(value, inner)
    bool_or_not = hint is bool or not isinstance(value, bool)
    _fitting(value, bool_or_not and isinstance(value, _PLAIN[hint][1]))
    if value is None:
        return None
    read = hint(value)
    return _fitting(read, hint is not float or math.isfinite(read))


def _fitting(value: Any, fits: Any) -> Any:
    if not fits:
        raise ValueError(value)
    return value


def _read_first(value: Any, hints: tuple[Any, ...]) -> Any:
    """The value as the first of the types that it fits."""
    for hint in hints:
        try:
            return _read(value, hint)
        except (ValueError, OverflowError):
            continue
    raise ValueError(value)


def _wanted(hint: Any) -> str:
    """A type in words."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return f"{_wanted(inner[0])} that is {inner[1]}"
    if origin is Literal:
        return ("one of " if len(inner) > 1 else "") + ", ".join(map(repr, inner))
    if origin is tuple:
        return f"a list in which each item is {_wanted(inner[0])}"
    if origin in (Union, types.UnionType):
        return " or ".join(map(_wanted, inner))
    return _PLAIN[hint][0]


def _shown(value: Any) -> str:
    """A short text of any value."""
    try:
        return reprlib.repr(value)
    except ValueError:  # an int with thousands of digits
        return "a number that is too large"


@dataclass(frozen=True)
class Config:
    """The base of the configurations: frozen dataclasses whose fields are checked by their types.

    A subclass that has a condition on several fields checks this in `__post_init__`, after calling
    `super().__post_init__()`.

    Attributes:
      ADDED: Fields that older files lack.
    """

    ADDED: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
          ConfigError: If a value does not fit its field. The message names the field and the values
            that fit.
        """
        for name, hint in self.hints().items():
            object.__setattr__(self, name, checked(name, getattr(self, name), hint))

    @classmethod
    @functools.cache
    def hints(cls) -> dict[str, Any]:
        """The types of the fields, with their intervals."""
        hints = get_type_hints(cls, include_extras=True)
        return {name: hint for name, hint in hints.items() if get_origin(hint) is not ClassVar}

    @classmethod
    def of(cls, **options: Any) -> Self:
        """Makes a configuration from options by name.

        Raises:
          ConfigError: If there is no field of that name, or a value does not fit.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = ", ".join(sorted(options.keys() - set(known)))
        check(
            not unknown,
            f"Unknown field(s) {unknown} for {cls.__name__}; known: {', '.join(known)}.",
        )
        return cls(**options)

    def replace(self, **changes: Any) -> Self:
        """A copy in which some fields are changed.

        Raises:
          ConfigError: As for `of`.
        """
        return self.of(**vars(self) | changes)

    def to_json(self) -> str:
        """The fields as indented JSON that ends in a newline."""
        return json.dumps(vars(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Makes a configuration from the text that `to_json` wrote.

        Raises:
          ConfigError: If the text is not JSON, or a field is unknown, missing or does not fit. A
            field of `ADDED` may be missing and then has its default.
        """
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"Not valid JSON: {error}.") from error
        check(isinstance(fields, dict), "Expected a JSON object with one entry per field.")
        names = [field.name for field in dataclasses.fields(cls)]
        missing = [name for name in names if name not in fields and name not in cls.ADDED]
        check(not missing, f"Missing field(s) {', '.join(missing)} for {cls.__name__}.")
        return cls.of(**fields)
