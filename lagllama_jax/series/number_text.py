"""Reads numbers that are written as text, by one convention for a whole column."""

import contextlib
import re
import warnings
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lagllama_jax.errors import DataError
from lagllama_jax.typing import Bool, Float

MISSING = frozenset((
    "", "?", ".", "..", "...", "-", "-nan", "--", "---", "*", ":", "na", "n/a", "n.a.", "nd", "n/d",
    "n.d.", "nan", "<na>", "null", "(null)", "none", "nil", "nat", "missing", "unknown", "#n/a",
    "#nv", "#value!", "#ref!", "#div/0!", "#num!", "#null!", "#name?", r"\n", "\u2026",
    "\u2013", "\u2014",
))  # fmt: skip
"""Spellings of a missing value, in lower case."""
SAMPLE = 1000  # number of cells that are looked at before all of them are
_GROUPED = r"^[-+]?[1-9]\d{{0,2}}(\{0}\d{{3}})+$"
_NUMBER = (
    r"(?i)^[-+]?(inf(inity)?|[1-9]\d{{0,2}}([{0}']\d{{2,3}})*[{0}']\d{{3}}|\d*)"
    r"({1}\d*)?([eE][-+]?\d+)?$"
)
_OTHER = {".": ",", ",": "."}
_CURRENCY = r"[A-Z]{0,2}[$\x{A3}\x{A5}\x{20A0}-\x{20C0}]|EUR|USD|GBP|CHF|JPY|CNY|INR|BRL|CAD|AUD"
_UNIT = (
    rf"(?:{_CURRENCY}|[%\x{{2030}}]|\s[A-Za-z]|\x{{B0}}[A-Za-z]?|"
    r"\s?[A-Za-z]{2,6}(?:/[A-Za-z]{1,6})?)"
)
_BEFORE, _AFTER = rf"^([-+(]*)\s*(?:{_CURRENCY})\s*", rf"\s*{_UNIT}\s*(\)?-?)$"
_NO_UNIT = r"[-+()\d.,'\s\x{2019}\x{2212}]"
_CLEANING = (
    (r"^'|\s*$", ""),
    (r"^[\x{2212}\x{2010}\x{2011}\x{2013}]\s*|^-\s+", "-"),
    (r"^\(\s*(.*?)\s*\)$", r"-\1"),
    (r"^(\d.*?)\s*[-\x{2212}]$", r"-\1"),
    (r"(\d)[ \x{2019}](\d{3})", r"\1'\2"),
    (r"(\d)[ \x{2019}](\d{3})", r"\1'\2"),
)


class Writing(NamedTuple):
    """How the numbers of a column are written.

    Attributes:
      place: The column, for messages.
      decimal: The decimal mark, `.` or `,`. `None`: the one by which all cells are numbers.
      separator: The separator of cells in a file. `None`: the column is not from delimited text.
      elsewhere: The decimal mark of other columns of the file. `None`: unknown.
    """

    place: str = "The text"
    decimal: str | None = None
    separator: str | None = None
    elsewhere: str | None = None


def missing_to_null(cells: Any) -> Any:
    """Trims text cells, and makes those that say that a value is missing null."""
    trimmed = pc.utf8_trim_whitespace(cells)
    absent = pc.is_in(pc.utf8_lower(trimmed), value_set=pa.array(sorted(MISSING), trimmed.type))
    return pc.if_else(absent, pa.scalar(None, trimmed.type), trimmed)


def read_numbers(
    cells: Any, writing: Writing
) -> tuple[Float[np.ndarray, "n"], Bool[np.ndarray, "n"]]:
    """Converts text cells to numbers. Returns them, NaN if missing, and which are no numbers.

    Thousands separators, decimal commas, brackets for negative numbers, and a currency, unit or
    percent sign that all cells have are understood. The number before a percent sign is returned.

    Args:
      cells: An Arrow array of strings.
      writing: How the numbers are written.

    Raises:
      DataError: If all cells are numbers, but other ones with the other decimal mark.
    """
    decimal = writing.decimal
    if decimal not in (None, ".", ","):
        raise DataError(f"The decimal mark should be '.' or ',', not {decimal!r}.")
    for clean in (lambda same: same, missing_to_null):
        cells = clean(cells)
        with contextlib.suppress(pa.ArrowInvalid):
            values = cells.cast(pa.float64())
            if decimal != "," and not _could_be_grouped(cells):
                return _floats(values), np.zeros(len(cells), bool)
    cells = _without_signs(cells)
    if decimal is None:
        decimal = _decimal_mark(cells, writing)
    good = _fits(cells, decimal)
    plain = pc.replace_substring(pc.replace_substring(cells, _OTHER[decimal], ""), "'", "")
    plain = pc.replace_substring_regex(pc.replace_substring(plain, decimal, "."), r"^\+", "")
    values = _as_booleans(cells)
    if values is None:
        values = pc.if_else(good, plain, pa.scalar(None, plain.type)).cast(pa.float64())
    values = _floats(values)
    return values, np.isnan(values) & _bools(pc.is_valid(cells))


def _floats(values: Any) -> Float[np.ndarray, "n"]:
    return np.array(values.to_numpy(zero_copy_only=False), np.float64)


def _bools(values: Any) -> Bool[np.ndarray, "n"]:
    return np.array(pc.fill_null(values, False).to_numpy(zero_copy_only=False), bool)


def _could_be_grouped(cells: Any) -> bool:
    """Whether all cells with a point could be whole numbers with points between thousands."""
    for part in (cells[:SAMPLE], cells):
        dotted = part.filter(pc.fill_null(pc.match_substring(part, "."), False))
        grouped = pc.match_substring_regex(dotted, _GROUPED.format("."))
        if len(dotted) == 0 and len(part) == len(cells):
            return False
        if len(dotted) and not pc.all(grouped).as_py():
            return False
    return True


def _without_signs(cells: Any) -> Any:
    """Removes a currency or unit that all cells have, and rewrites signs, brackets and blanks."""
    if pc.any(pc.invert(pc.string_is_ascii(cells))).as_py():
        cells = pc.utf8_normalize(cells, "NFKC")
    for pattern in (_BEFORE, _AFTER):
        known = cells.drop_null()
        with_unit = pc.match_substring_regex(known, pattern)
        bare = pc.replace_substring_regex(known, pattern, r"\1")
        found = pc.unique(pc.replace_substring_regex(known, _NO_UNIT, ""))
        same = len(found) == 1 and pc.all(with_unit).as_py()
        if same and pc.all(pc.match_substring_regex(bare, r"\d")).as_py():
            cells = pc.replace_substring_regex(cells, pattern, r"\1")
    for pattern, replacement in _CLEANING:
        cells = pc.replace_substring_regex(cells, pattern, replacement)
    return cells


def units(cells: Any) -> list[str]:
    """The units and currencies of the cells that are a number with one, sorted.

    Args:
      cells: An Arrow array of strings.
    """
    found = set()
    for pattern in (_BEFORE, _AFTER):
        bare = pc.replace_substring_regex(cells, pattern, r"\1")
        number = pc.match_substring_regex(bare, r"^[-+(]?\d[\d.,' ]*\)?-?$")
        marked = pc.and_(number, pc.not_equal(bare, cells))
        texts = cells.filter(pc.fill_null(marked, False))
        found |= set(pc.unique(pc.replace_substring_regex(texts, _NO_UNIT, "")).to_pylist())
    return sorted(found)


def _fits(cells: Any, decimal: str) -> Any:
    number = pc.match_substring_regex(cells, _NUMBER.format(_OTHER[decimal], f"\\{decimal}"))
    return pc.and_(number, pc.match_substring_regex(cells, r"\d|[fF]$|[yY]$"))


def _decimal_mark(cells: Any, writing: Writing) -> str:
    """The decimal mark of a column.

    Raises:
      DataError: If both marks are possible and give different numbers.
    """
    fits = {mark: pc.sum(_fits(cells, mark)).as_py() or 0 for mark in ".,"}
    if fits["."] != fits[","] or fits["."] < len(cells) - cells.null_count:
        return max(fits, key=lambda mark: fits[mark])
    marked = pc.match_substring_regex(cells, "[.,]")
    with_mark = cells.filter(pc.fill_null(marked, False))
    if len(with_mark) == 0:
        return "."
    plain = cells.filter(pc.fill_null(pc.invert(marked), False))
    first = with_mark[0].as_py()
    mark = re.search("[.,]", first)[0]  # type: ignore[index]
    if writing.elsewhere is not None:
        _tell(first, writing.elsewhere, writing)
        return writing.elsewhere
    both = not pc.all(pc.match_substring(with_mark, mark)).as_py()
    long = pc.any(pc.match_substring_regex(plain, r"\d{4}")).as_py()
    alone = len(plain) == 0 and (mark == "." or writing.separator in (";", "\t"))
    if not both and (long or alone):
        if len(plain) == 0 and writing.separator not in (None, ","):
            _tell(first, mark, writing)
        return mark
    if not both and len(plain) > 2:
        _tell(first, _OTHER[mark], writing)
        return _OTHER[mark]
    raise DataError(
        f"{writing.place}: {first!r} is {_meaning(first, '.')} with a decimal point, and "
        f"{_meaning(first, ',')} with a decimal comma, and the other cells do not tell which. Give "
        "decimal='.' or decimal=','."
    )


def _meaning(text: str, decimal: str) -> str:
    return text.replace(_OTHER[decimal], "").replace(decimal, ".")


def _tell(text: str, decimal: str, writing: Writing) -> None:
    other = _OTHER[decimal]
    warnings.warn(
        f"{writing.place}: {text!r} was read as {_meaning(text, decimal)}. If it is "
        f"{_meaning(text, other)}, give decimal={other!r}.",
        stacklevel=2,
    )


def _as_booleans(cells: Any) -> Any:
    """The numbers 1 and 0 if all cells are `true`, `false`, 1 or 0, otherwise `None`."""
    words = pc.utf8_lower(cells)
    known = pc.all(pc.is_in(words.drop_null(), value_set=pa.array(["true", "false", "1", "0"])))
    if cells.null_count == len(cells) or not known.as_py():
        return None
    yes = pc.is_in(words, value_set=pa.array(["true", "1"])).cast(pa.float64())
    return pc.if_else(pc.is_valid(words), yes, pa.scalar(None, pa.float64()))
