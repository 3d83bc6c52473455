"""Turns tables with one row per series and one column per time."""

from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.errors import DataError
from lagllama_jax.series.columns import ITEM_NAMES, is_text, listed
from lagllama_jax.series.header import is_value
from lagllama_jax.series.tables import Table
from lagllama_jax.series.time_text import read_texts

FEWEST = 3  # smallest number of columns that are times


def turned(table: Table) -> Table:
    """A long table, if most columns of a table are named by times; otherwise the same table.

    The first text column with different cells names the series. Other text columns are left out.

    Raises:
      DataError: If no column names the series.
    """
    frame = table.frame
    times = [name for name in frame if _is_time(name)]
    others = [name for name in frame if name not in times]
    if (
        len(times) < FEWEST
        or len(others) > len(times)
        or not all(is_text(frame[n]) for n in others)
    ):
        return table
    if any(is_value(str(frame[name].iloc[0])) for name in others):
        return table
    usual = [name for name in others if str(name).lower() in ITEM_NAMES]
    unique = [name for name in (*usual, *others) if frame[name].is_unique]
    if not unique and (others or len(frame) > 1):
        raise DataError(
            f"The columns of {table.name} are times ({listed(times[:3])}, ...), and none of the "
            "others has a different name in each row. Add a column item_id with their names."
        )
    item = unique[0] if unique else "item_id"
    named = frame if unique else frame.assign(item_id="target")
    kept = named[[item, *times]]
    long = kept.melt(id_vars=[item], var_name="timestamp", value_name="target")
    long = long.rename(columns={item: "item_id"}).sort_values("item_id", kind="stable")
    rows = np.tile(np.arange(len(frame)), len(times))[long.index]
    return table.take(rows).with_frame(long.reset_index(drop=True))


def _is_time(name: Any) -> bool:
    """Whether the name of a column is a date, a month, or a year of the last and next centuries."""
    if isinstance(name, pd.Timestamp | pd.Period):
        return True
    text = str(name).strip()
    if text.isdigit():
        return len(text) == 4 and 1800 <= int(text) <= 2199
    readings = read_texts([text]) if text[:1].isdigit() else []
    return bool(readings) and not readings[0].stamps.hasnans
