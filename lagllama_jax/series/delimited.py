"""Reads delimited text, such as CSV files, to tables of text cells."""

import contextlib
import csv
import io
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from clevercsv import Sniffer
from clevercsv.exceptions import NoDetectionResult
from pyarrow import csv as arrow_csv

from lagllama_jax.errors import DataError
from lagllama_jax.series.header import TextRow, find_header
from lagllama_jax.series.tables import UNNAMED, Table, decimal_mark
from lagllama_jax.typing import Int

SAMPLE_BYTES, SAMPLE_ROWS, SNIFFED = 1 << 20, 200, 1 << 14
"""Sizes of the beginnings of a file in which names and the separator are looked for."""
_NULL = pa.scalar(None, pa.string())
SEPARATORS = [",", ";", "\t", "|", " ", "^", "~"]
_OTHER_FORMAT = re.compile(r'\s*(<[!?a-zA-Z]|[\[{]\s*["\[{])')


class Dialect(NamedTuple):
    """The separator of cells, and the mark around cells that contain it."""

    separator: str
    quote: str

    def rows(self, text: io.StringIO) -> Iterator[TextRow]:
        """The rows of a text, with those of blank lines as rows without cells."""
        blank = self.separator == " "
        reader = csv.reader(
            text, delimiter=self.separator, quotechar=self.quote, skipinitialspace=blank
        )
        return (TextRow(cells, reader.line_num) for cells in reader)


def read_delimited(content: bytes, name: str, *, header: bool = True) -> Table:
    """Reads a table of text cells, with nulls where a cell is empty. Blank rows are left out.

    Args:
      content: The text in UTF-8.
      name: Name of the file for error messages.
      header: Whether there are column names. Otherwise the columns are numbered from 0, and blank
        rows between others are kept, except for blank lines.

    Raises:
      DataError: If there are no column names, a name occurs twice, or a row is too long.
    """
    start = content[:SAMPLE_BYTES].decode(errors="ignore")
    if _OTHER_FORMAT.match(start):
        raise DataError(
            f"{name} is JSON, HTML or XML. Save the table as CSV; the name of JSON ends in .json."
        )
    dialect = _sniff(start[:SNIFFED])
    try:
        rows = list(itertools.islice(dialect.rows(io.StringIO(start, "")), SAMPLE_ROWS))
        skipped, names = 0, [str(number) for number in range(len(rows[0].cells))]
        if header:
            names, skipped = find_header(rows, name)
            if len(names) == 1:
                raise DataError(
                    f"{name} has one column ({names[0]!r}). Time stamps and values are needed, "
                    "separated by commas, semicolons or tabs."
                )
        width = max([len(names), *(len(row.cells) for row in rows if row.lines > skipped)])
        body = memoryview(content)[_offset(content, skipped) :]
        table, lines = _parse(body, name, dialect, names + [""] * (width - len(names)))
    except csv.Error as error:
        raise DataError(f"Cannot read {name}: {error}.") from error
    line = lambda row: lines(row) + skipped  # noqa: E731
    _check_width(table, len(names), name, line)
    return _named(table.select(range(len(names))), names, name, line, header, dialect)


def _sniff(text: str) -> Dialect:
    """The dialect of text: that of clevercsv, or the only one whose rows have equal lengths."""
    complete = text[: text.rfind("\n") + 1] or text
    try:
        found = Sniffer().sniff(complete, delimiters=SEPARATORS)
    except NoDetectionResult:
        found = None
    quote = "'" if found is not None and found.quotechar == "'" else '"'
    dialect = Dialect(found.delimiter or "," if found else ",", quote)
    even = [one for one in SEPARATORS if _is_even(Dialect(one, quote), complete)]
    return Dialect(even[0], quote) if len(even) == 1 and dialect.separator not in even else dialect


def _is_even(dialect: Dialect, text: str) -> bool:
    with contextlib.suppress(csv.Error):
        widths = {len(row.cells) for row in dialect.rows(io.StringIO(text, "")) if row.cells}
        return len(widths) == 1 and widths != {1}
    return False


def _offset(content: bytes, lines: int) -> int:
    place = 0
    for _ in range(lines):
        place = content.find(b"\n", place) + 1 or len(content)
    return place


def _parse(
    body: memoryview, name: str, dialect: Dialect, names: list[str]
) -> tuple[pa.Table, Callable[[int], int]]:
    """The cells of the rows, and a function that returns the line of a row, from 1."""
    columns = [str(number) for number in range(len(names))]
    content: Any = body.obj
    quoted = dialect.quote.encode() in content
    if dialect.separator == " " or len(body) == 0:
        return _parse_ragged(body, name, dialect, columns)
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(pa.py_buffer(body)),
            read_options=arrow_csv.ReadOptions(column_names=columns),
            parse_options=arrow_csv.ParseOptions(
                delimiter=dialect.separator,
                quote_char=dialect.quote,
                newlines_in_values=quoted,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()),
                check_utf8=False,
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:
        return _parse_ragged(body, name, dialect, columns)

    def line(row: int) -> int:
        rows = (one for one in dialect.rows(io.StringIO(str(body, "utf-8"), "")) if one.cells)
        return next(itertools.islice(rows, row, None)).lines

    return table, line


def _parse_ragged(
    body: memoryview, name: str, dialect: Dialect, columns: list[str]
) -> tuple[pa.Table, Callable[[int], int]]:
    """As `_parse`, for rows of several lengths. Empty cells at the ends of rows may be absent."""
    rows = [row for row in dialect.rows(io.StringIO(str(body, "utf-8"), "")) if any(row.cells)]
    for cells, _ in rows:
        while len(cells) > len(columns) and not cells[-1].strip():
            cells.pop()
    filled = itertools.zip_longest(columns, *(row.cells for row in rows), fillvalue="")
    parts = [pa.array(column[1:], pa.string()) for column in filled]
    names = [str(number) for number in range(len(parts))]
    return pa.table(dict(zip(names, parts, strict=True))), lambda row: rows[row].lines


def _check_width(table: pa.Table, width: int, name: str, line: Callable[[int], int]) -> None:
    """Raises `DataError` if cells without a column name are not empty."""
    for column in table.columns[width:]:
        filled = pc.not_equal(pc.utf8_trim_whitespace(column), "").index(True).as_py()
        if filled >= 0:
            raise DataError(
                f"Cannot read {name}: line {line(filled)} has more cells than there are column "
                f"names ({width}). Add the missing name, or put quotation marks around cells that "
                "contain the separator."
            )


def _named(
    table: pa.Table,
    names: list[str],
    name: str,
    line: Callable[[int], int],
    header: bool,
    dialect: Dialect,
) -> Table:
    cells = [_stripped(column) for column in table.columns]
    kept = np.arange(len(table))
    if header and cells:
        kept = _filled_rows(cells)
    named = {
        label or UNNAMED.format(number): _as_series(column, kept)
        for number, (label, column) in enumerate(zip(names, cells, strict=True))
        if label or column.null_count < len(column)
    }
    frame = pd.DataFrame(named)
    marks = dialect.separator, decimal_mark(frame)
    return Table(frame, name, lambda row: line(int(kept[row])), *marks)


def _stripped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The cells without blanks around them, and with nulls for empty ones."""
    blanks = itertools.product((pc.starts_with, pc.ends_with), (" ", "\t", "\xa0"))
    if any(pc.any(test(column, blank)).as_py() for test, blank in blanks):
        column = pc.utf8_trim_whitespace(column)
    empty = pc.equal(column, "")
    return pc.if_else(empty, _NULL, column) if pc.any(empty).as_py() else column


def _filled_rows(cells: list[pa.ChunkedArray]) -> Int[np.ndarray, "n"]:
    filled = np.zeros(len(cells[0]), bool)
    for column in cells:
        if column.null_count == 0:
            return np.arange(len(column))
        filled |= pc.is_valid(column).to_numpy()
    return np.flatnonzero(filled)


def _as_series(column: pa.ChunkedArray, kept: Int[np.ndarray, "n"]) -> pd.Series:
    taken = column if len(kept) == len(column) else column.take(pa.array(kept))
    return pd.Series(pd.arrays.ArrowExtensionArray(taken))
