"""Reads published CSV tables: data frames, ETT, NAB, PRSA, UCI Air Quality and LSTNet."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from lagllama_jax.corpus.formats.text import TextFile
from lagllama_jax.errors import DataError, naming
from lagllama_jax.series.columns import numbers
from lagllama_jax.series.dataframe import read_frame
from lagllama_jax.series.dataset import Item
from lagllama_jax.series.table_files import read_csv
from lagllama_jax.series.tables import Table

if TYPE_CHECKING:
    import pandas as pd

AIR_QUALITY_MISSING = -200
PRSA_TIME = ["year", "month", "day", "hour"]
PRSA_TEXT = ("No", "station", "wd", "cbwd")
"""Columns of a PRSA file that are not series: row number, place and wind direction."""


def read_csv_frame(file: TextFile) -> Iterator[Item]:
    """Reads a long table (item_id, timestamp, target) or a wide one (time stamps, series).

    Raises:
      DataError: As for `lagllama_jax.series.dataframe.read_frame`. The message names the file.
    """
    import pandas as pd

    table = _table(file)
    if not pd.isna(pd.to_datetime(table.frame.columns[0], errors="coerce")):
        raise DataError(f"{file.name}: the first line is no header, but begins with a time.")
    return _items(table, table.frame)


def read_nab(file: TextFile) -> Iterator[Item]:
    """Reads the one series of a file of the Numenta Anomaly Benchmark, and names it like the file.

    Raises:
      DataError: If the columns are not timestamp and value, or as for `read_csv_frame`.
    """
    table = _table(file)
    if list(table.frame.columns) != ["timestamp", "value"]:
        raise DataError(f"{file.name}: the first line is not 'timestamp,value'.")
    stem = file.name.rsplit("/", 1)[-1].removesuffix(".gz").rsplit(".", 1)[0]
    return _items(table, table.frame.rename(columns={"value": stem}))


def read_prsa(file: TextFile) -> Iterator[Item]:
    """Reads Beijing air quality data (UCI), with the columns year, month, day, hour and series.

    Items are named `station/column`, or by the column alone if there is no station.

    Raises:
      DataError: If a time column is missing, or as for `read_csv_frame`.
    """
    table = _table(file, dtype=dict.fromkeys(PRSA_TIME, str))
    frame = table.frame
    if not set(PRSA_TIME) <= set(frame.columns):
        raise DataError(f"{file.name}: the first line lacks one of {', '.join(PRSA_TIME)}.")
    stamps = _times(table, PRSA_TIME, "%Y %m %d %H")
    station = f"{frame['station'].iloc[0]}/" if "station" in frame else ""
    series = frame.drop(columns=[*PRSA_TIME, *PRSA_TEXT], errors="ignore").add_prefix(station)
    return _items(table, series.assign(timestamp=stamps))


def read_air_quality(file: TextFile) -> Iterator[Item]:
    """Reads the UCI Air Quality data, with `;` between fields and decimal commas.

    Missing values are -200, and the last rows are empty. In some copies, every line ends in commas.

    Raises:
      DataError: If the columns have other names, or as for `read_csv_frame`.
    """
    table = _table(file, sep=";", decimal=",")
    frame = table.frame
    if list(frame.columns[:2]) != ["Date", "Time"]:
        raise DataError(f"{file.name}: the first line does not begin with 'Date;Time;'.")
    named = [c for c in frame.columns[2:] if c.strip(",") and not c.startswith("Unnamed:")]
    rows = np.flatnonzero(frame["Date"].notna())
    dated = Table(frame.iloc[rows].reset_index(), table.name, np.asarray(table.lines)[rows])
    series = dated.frame[named].replace(AIR_QUALITY_MISSING, np.nan)
    stamps = _times(dated, ["Date", "Time"], "%d/%m/%Y %H.%M.%S")
    return _items(dated, series.assign(timestamp=stamps))


def read_lstnet(file: TextFile) -> Iterator[Item]:
    """Reads numbers without a header, one row per time step and one column per item (LSTNet).

    The items are named 0, 1, ... The format is that of Lai et al. (2018).

    Raises:
      DataError: If a field is not a finite number, or a row is longer than the first.
    """
    content = file.content()
    frame = read_csv(content, file.name, na_values=["?"], header=None, skip_blank_lines=True).frame
    numbered = enumerate(content.getvalue().splitlines(), start=1)
    table = Table(frame, file.name, np.array([number for number, line in numbered if line.strip()]))
    for column in table.frame.columns:
        yield Item(str(column), numbers(table, column, str(column))[None])


def _table(file: TextFile, **options: Any) -> Table:
    return read_csv(file.content(), file.name, na_values=["?"], **options)


def _times(table: Table, columns: list[str], layout: str) -> "pd.Series":
    """Joins several columns to time stamps."""
    import pandas as pd

    texts = table.frame[columns].map(str)
    text = texts[columns[0]].str.cat(texts[columns[1:]], sep=" ")
    stamps = pd.to_datetime(text, format=layout, errors="coerce")
    if stamps.isna().any():
        row = int(np.argmax(stamps.isna()))
        raise DataError(f"{table.row(row)}: {text[row]!r} is no time.")
    return stamps


def _items(table: Table, frame: "pd.DataFrame") -> Iterator[Item]:
    with naming(table.name):
        return iter(read_frame(Table(frame, table.name, table.lines)))
