"""Reads published CSV tables: data frames, ETT, NAB, PRSA, UCI Air Quality and LSTNet."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from lagllama_jax.corpus.formats.text import TextFile
from lagllama_jax.errors import DataError, naming
from lagllama_jax.series.columns import is_unnamed
from lagllama_jax.series.dataframe import read_frame
from lagllama_jax.series.dataset import Item
from lagllama_jax.series.delimited import read_delimited
from lagllama_jax.series.number_columns import numbers
from lagllama_jax.series.tables import Table

PRSA_TIME = ["year", "month", "day", "hour"]
PRSA_TEXT = ("No", "station", "wd", "cbwd")
"""Columns of a PRSA file that are not series: row number, place and wind direction."""


def read_csv_frame(file: TextFile) -> Iterator[Item]:
    """Reads a long table (item_id, timestamp, target) or a wide one (time stamps, series).

    Raises:
      DataError: As for `lagllama_jax.series.dataframe.read_frame`. The message names the file.
    """
    return _items(_table(file))


def read_nab(file: TextFile) -> Iterator[Item]:
    """Reads the one series of a file of the Numenta Anomaly Benchmark, and names it like the file.

    Raises:
      DataError: If the columns are not timestamp and value, or as for `read_csv_frame`.
    """
    table = _table(file)
    if list(table.frame.columns) != ["timestamp", "value"]:
        raise DataError(f"{file.name}: the first line is not 'timestamp,value'.")
    stem = file.name.rsplit("/", 1)[-1].removesuffix(".gz").rsplit(".", 1)[0]
    return _items(table.with_frame(table.frame.rename(columns={"value": stem})))


def read_prsa(file: TextFile) -> Iterator[Item]:
    """Reads Beijing air quality data (UCI), with the columns year, month, day, hour and series.

    Items are named `station/column`, or by the column alone if there is no station.

    Raises:
      DataError: If a time column is missing, or as for `read_csv_frame`.
    """
    table = _table(file)
    frame = table.frame
    if not set(PRSA_TIME) <= set(frame.columns):
        raise DataError(f"{file.name}: the first line lacks one of {', '.join(PRSA_TIME)}.")
    station = f"{frame['station'].iloc[0]}/" if "station" in frame else ""
    series = frame.drop(columns=[*PRSA_TIME, *PRSA_TEXT], errors="ignore").add_prefix(station)
    return _items(table.with_frame(frame[PRSA_TIME].join(series)))


def read_air_quality(file: TextFile) -> Iterator[Item]:
    """Reads the UCI Air Quality data, with `;` between fields and decimal commas.

    Missing values are -200, and the last rows are empty. In some copies, every line ends in commas.

    Raises:
      DataError: If the columns have other names, or as for `read_csv_frame`.
    """
    table = _table(file)
    if list(table.frame.columns[:2]) != ["Date", "Time"] or table.separator != ";":
        raise DataError(f"{file.name}: the first line does not begin with 'Date;Time;'.")
    named = [name for name in table.frame if str(name).strip(",") and not is_unnamed(name)]
    frame = table.frame[named].replace({f"-200{end}": None for end in ("", ",0", ".0")})
    filled = np.flatnonzero(frame["Date"].notna())
    kept = table.with_frame(frame.iloc[filled].reset_index(drop=True), filled)
    return _items(kept, dayfirst=True, decimal=",")


def read_lstnet(file: TextFile) -> Iterator[Item]:
    """Reads numbers without a header, one row per time step and one column per item (LSTNet).

    The items are named 0, 1, ... The format is that of Lai et al. (2018).

    Raises:
      DataError: If a field is not a finite number, or a row is longer than the first.
    """
    table = read_delimited(file.content(), file.name, header=False)
    for column in table.frame.columns:
        yield Item(column, numbers(table, column, column, decimal=".")[None])


def _table(file: TextFile) -> Table:
    return read_delimited(file.content(), file.name)


def _items(table: Table, **options: Any) -> Iterator[Item]:
    with naming(table.name):
        return iter(read_frame(table, **options))
