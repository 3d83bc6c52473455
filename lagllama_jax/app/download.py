"""Writes tables for download, in which a spreadsheet finds no formulas."""

import re

import pandas as pd

_FORMULA = re.compile(r"\s*([=@]|[+\-](?!\d+([.,]\d+)?\Z))|\t")


def plain_csv(frame: pd.DataFrame) -> tuple[bytes, bool]:
    """A table as CSV in UTF-8, and whether names in it were changed.

    An apostrophe precedes names that a spreadsheet would take for a formula, which might read or
    send other cells when the file is opened. A carriage return, which is not quoted and would begin
    a row, becomes a line feed.

    Args:
      frame: The table. It is not changed.
    """
    texts = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name].dtype)]
    texts = [name for name in texts if not pd.api.types.is_datetime64_any_dtype(frame[name].dtype)]
    safe = frame.assign(**{str(name): frame[name].map(_plain) for name in texts})
    safe = safe.set_axis([_plain(name) for name in frame.columns], axis=1)
    changed = list(safe.columns) != list(frame.columns)
    changed |= any(not safe.iloc[:, n].equals(frame.iloc[:, n]) for n in range(frame.shape[1]))
    return safe.to_csv(index=False).encode(), changed


def _plain(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if _FORMULA.match(text) else text
