"""Types of command line arguments, for help texts that read well."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

OptionalFile = Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")]
OptionalFolder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="")]
OptionalName = Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")]
OptionalCount = Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")]
Points = Annotated[int | Literal["auto"], tyro.conf.arg(metavar="N|auto")]
Model = Annotated[str | None, tyro.conf.arg(metavar="MODEL", help_behavior_hint="")]
