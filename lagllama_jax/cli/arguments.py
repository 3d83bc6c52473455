"""Types of command line arguments."""

from pathlib import Path
from typing import Annotated, Any, TypedDict

import tyro

from lagllama_jax.config.base import Config

OptionalFile = Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")]
OptionalFolder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="")]
OptionalName = Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")]
OptionalCount = Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")]
Model = Annotated[str | None, tyro.conf.arg(metavar="MODEL", help_behavior_hint="")]
Horizon = Annotated[int, tyro.conf.arg(aliases=["-p"], metavar="N")]


def options_of(config: type[Config], **types: Any) -> Any:
    """Makes the fields of a configuration command line options, with the help of its docstring.

    For use in `Annotated[dict[str, Any], options_of(...)]`. An option that is not given and has no
    default is not in the dictionary. `Config.of` checks the values.

    Args:
      config: The configuration.
      **types: Other types of some fields.
    """
    options = TypedDict(config.__name__, config.hints() | types, total=False)  # type: ignore
    options.__doc__ = config.__doc__
    return tyro.conf.arg(constructor=options)
