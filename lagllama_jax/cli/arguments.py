"""Types of command line arguments."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import tyro

from lagllama_jax.config.base import Config

if TYPE_CHECKING:
    from lagllama_jax.series.dataset import Item, SeriesDataset

OptionalFile = Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")]
OptionalFolder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="")]
OptionalName = Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")]
OptionalCount = Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")]
Model = Annotated[str | None, tyro.conf.arg(metavar="MODEL", help_behavior_hint="")]
Horizon = Annotated[int, tyro.conf.arg(aliases=["-p"], metavar="N")]
OptionalHorizon = Annotated[
    int | None, tyro.conf.arg(aliases=["-p"], metavar="N", help_behavior_hint="")
]


def options_of(config: type[Config], **types: Any) -> Any:
    """Makes command line options of the fields of a configuration. Their help is its docstring.

    It is used as `Annotated[dict[str, Any], options_of(...)]`. An option that is not given and has
    no default is not in the dictionary. `Config.of` checks the values. `types` replace those of
    some fields, by name.
    """
    options = TypedDict(config.__name__, config.hints() | types, total=False)  # type: ignore
    options.__doc__ = config.__doc__
    return tyro.conf.arg(constructor=options)


@dataclass(frozen=True)
class TableOptions:
    """How a table of series is read.

    Attributes:
      freq: Step of the time stamps as a pandas alias (h, 15min, D, W, ME); inferred if not given.
      id_column: Column of series names.
      timestamp_column: Column of time stamps.
      target: Column of values. Several columns: each is a target of the same series.
      dayfirst: Whether 01/02/2024 is the 1st of February. None: as gives a regular grid.
      date_format: Format of the time stamps, as in Python's strptime, such as %d.%m.%Y.
      decimal: Decimal mark of numbers, . or ,; as all cells are numbers if not given.
      encoding: Encoding of the file, if it is neither UTF-8 nor UTF-16.
    """

    freq: OptionalName = None
    id_column: OptionalName = None
    timestamp_column: OptionalName = None
    target: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = ()
    dayfirst: bool | None = None
    date_format: OptionalName = None
    decimal: OptionalName = None
    encoding: OptionalName = None

    def read(
        self,
        path: Path,
        future: Path | None = None,
        prediction_length: int | None = None,
        known: Sequence[str] = (),
    ) -> "SeriesDataset":
        """Reads the series of a CSV, Parquet, Excel, JSON or .tsf file, or raises `DataError`.

        Args:
          path: The file.
          future: Table of known covariates, as in `read_frame`.
          prediction_length: Number of time steps to forecast, with `future`.
          known: Columns whose future will be known, instead of `future`.
        """
        from lagllama_jax.errors import DataError, listed
        from lagllama_jax.series.archives import plain_name
        from lagllama_jax.series.dataframe import read_frame
        from lagllama_jax.series.table_files import read_table

        if plain_name(path.name).endswith((".json", ".jsonl", ".tsf")):
            from lagllama_jax.corpus.formats import guess_format, read
            from lagllama_jax.series.dataset import SeriesDataset

            if future is not None or known:
                what = future or listed(known)
                raise DataError(f"{what}: covariates of {path} need it to be CSV or Parquet.")
            unused = [name for name, value in vars(self).items() if value not in (None, ())]
            if set(unused) - {"freq"}:
                raise DataError(f"{path.name} is no table: leave out {', '.join(unused)}.")
            items = list(read(path, guess_format(path), frequency=self.freq))
            self._check_steps(items)
            return SeriesDataset.of(items)
        options = {name: value for name, value in vars(self).items() if name != "encoding"}
        options |= {"target": list(self.target) or None, "known": known}
        if future is not None:
            options["future"] = read_table(future, self.encoding)
            options["prediction_length"] = prediction_length
        return read_frame(read_table(path, self.encoding), **options)

    def _check_steps(self, items: "Sequence[Item]") -> None:
        """Checks that items with a start have a step, which is `freq` if that is given.

        Raises:
          DataError: If one has none, or another one.
        """
        from lagllama_jax.errors import DataError
        from lagllama_jax.series.frequency import Frequency

        asked = None if self.freq is None else Frequency.parse(self.freq)
        for item in items:
            if item.start is not None and item.frequency is None:
                raise DataError(
                    f"Series {item.item_id!r} has a start and no step: give freq=, as in freq='D'."
                )
            if asked is not None and item.frequency != asked:
                raise DataError(
                    f"Series {item.item_id!r} has steps of {item.frequency}, and "
                    f"freq={self.freq!r} is given: leave it out, or correct the file."
                )
