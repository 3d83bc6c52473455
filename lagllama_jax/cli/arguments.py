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
    """Makes command line options of the fields of a configuration. Their help is its docstring.

    It is used as `Annotated[dict[str, Any], options_of(...)]`. An option that is not given and has
    no default is not in the dictionary. `Config.of` checks the values.

    Args:
      config: The class of the configuration.
      **types: Types that replace those of some fields, by name.
    """
    options = TypedDict(config.__name__, config.hints() | types, total=False)  # type: ignore
    options.__doc__ = config.__doc__
    return tyro.conf.arg(constructor=options)
