"""Command-line options for the fields of a configuration that comes from a preset."""

import dataclasses
from typing import Any, Literal, TypeVar, get_type_hints

Config = TypeVar("Config")

KEEP: Literal["preset"] = "preset"
"""The value of an option that was not given."""


def changes_to(config: type) -> Any:
    """A dataclass with the fields of a configuration, each of which may also be `preset`."""
    hints = get_type_hints(config)
    fields = [
        (f.name, Literal["preset"] | hints[f.name], dataclasses.field(default=KEEP))
        for f in dataclasses.fields(config)
    ]
    changes = dataclasses.make_dataclass(f"{config.__name__}Changes", fields, frozen=True)
    changes.__doc__ = config.__doc__
    return changes


def apply(changes: Any, config: Config) -> Config:
    """The configuration with what was given in place of its own.

    Raises:
      ConfigError: values that cannot be.
    """
    given = {name: value for name, value in vars(changes).items() if value != KEEP}
    return dataclasses.replace(config, **given) if given else config  # type: ignore[type-var]
