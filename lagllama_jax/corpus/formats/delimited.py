"""Delimited text with a column a series: ETT, LSTNet, UCI Air Quality, PRSA and NAB."""

import csv
from collections.abc import Iterator

import numpy as np

from lagllama_jax.corpus.formats.record import Record
from lagllama_jax.corpus.formats.table import NO_TIMES, Table
from lagllama_jax.corpus.formats.text import TextFile
from lagllama_jax.errors import DataError

AIR_QUALITY_MISSING = -200
PRSA_TIME = ("year", "month", "day", "hour")
PRSA_TEXT = ("No", "station", "wd", "cbwd")
"""Columns of a PRSA file that hold no series: row number, place, wind direction."""


def read_wide(file: TextFile) -> Iterator[Record]:
    """A header, a first column of times (ETT: `date`), and a column a series.

    Raises:
      DataError: as `Table`, or a header without series.
    """
    rows = _rows(file)
    _, header = next(rows)
    if len(header) < 2 or _is_number(header[1]):
        raise DataError(f"{file.name}: the first line is no header of a time and its series.")
    table = Table(file.name, header[1:])
    for line, (time, *fields) in rows:
        table.add(line, time, fields)
    return table.records()


def read_nab(file: TextFile) -> Iterator[Record]:
    """Numenta Anomaly Benchmark: `timestamp,value`, one series a file, named as the file.

    Raises:
      DataError: another header, or as `Table`.
    """
    rows = _rows(file)
    _, header = next(rows)
    if header != ["timestamp", "value"]:
        raise DataError(f"{file.name}: the first line is not 'timestamp,value'.")
    table = Table(file.name, [_stem(file.name)])
    for line, (time, *fields) in rows:
        table.add(line, time, fields)
    return table.records()


def read_lstnet(file: TextFile) -> Iterator[Record]:
    """Numbers only, a row a time, without header or times (Lai et al. 2018); items 0, 1, ...

    Raises:
      DataError: a row of another length than the first, or a field that is no number.
    """
    rows = _rows(file)
    line, fields = next(rows)
    table = Table(file.name, [str(item) for item in range(len(fields))], NO_TIMES)
    table.add(line, "", fields)
    for line, fields in rows:
        table.add(line, "", fields)
    return table.records()


def read_air_quality(file: TextFile) -> Iterator[Record]:
    """UCI Air Quality: `;` between fields, decimal commas, -200 for missing, empty last rows.

    Some copies also end every line in commas.

    Raises:
      DataError: another header, or as `Table`.
    """
    lines = ((line.number, line.text.rstrip(",").split(";")) for line in file.lines)
    _, header = next(lines)
    if header[:2] != ["Date", "Time"]:
        raise DataError(f"{file.name}: the first line does not begin with 'Date;Time;'.")
    columns = [name for name in header[2:] if name]
    table = Table(file.name, columns, "%d/%m/%Y %H.%M.%S")
    for line, fields in lines:
        while len(fields) > len(columns) + 2 and not fields[-1]:
            fields.pop()  # every copy ends its lines in two empty fields
        if any(fields):
            numbers = [field.replace(",", ".") for field in fields[2:]]
            table.add(line, " ".join(fields[:2]), numbers)
    for record in table.records():
        record.target[record.target == AIR_QUALITY_MISSING] = np.nan
        yield record


def read_prsa(file: TextFile) -> Iterator[Record]:
    """Beijing air quality (UCI): columns year, month, day, hour, then series and text columns.

    Items are named `station/column`, or by the column alone where there is no station.

    Raises:
      DataError: no such time columns, or as `Table`.
    """
    rows = _rows(file)
    _, header = next(rows)
    if not set(PRSA_TIME) <= set(header):
        raise DataError(f"{file.name}: the first line lacks one of {', '.join(PRSA_TIME)}.")
    kept = [i for i, name in enumerate(header) if name not in (*PRSA_TIME, *PRSA_TEXT)]
    time = [header.index(name) for name in PRSA_TIME]
    table = Table(file.name, [header[i] for i in kept], "%Y %m %d %H")
    station = ""
    for line, fields in rows:
        if len(fields) != len(header):
            place = f"{file.name}, line {line}"
            raise DataError(f"{place}: {len(fields)} fields, expected {len(header)}.")
        if "station" in header:
            station = f"{fields[header.index('station')]}/"
        table.add(line, " ".join(fields[i] for i in time), [fields[i] for i in kept])
    return table.records(station)


def _rows(file: TextFile) -> Iterator[tuple[int, list[str]]]:
    number = 0

    def texts() -> Iterator[str]:
        nonlocal number
        for line in file.lines:
            number = line.number
            yield line.text

    try:
        for fields in csv.reader(texts()):
            yield number, fields
    except csv.Error as error:
        raise DataError(f"{file.name}, line {number}: {error}.") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _stem(name: str) -> str:
    return name.rsplit("/", 1)[-1].removesuffix(".gz").rsplit(".", 1)[0]
