"""Tables of measurements, with the date and the machine."""

import datetime
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lagllama_jax.evaluation.provenance import processor
from lagllama_jax.files import make_folder, write_rows


def save(rows: Sequence[Mapping[str, Any]], output: Path, digits: int = 3) -> None:
    """Writes the rows as CSV, with a date and the hardware.

    Args:
      rows: Values by column. A value that is missing or NaN is an empty cell.
      output: The file.
      digits: Number of decimals.
    """
    ending = {
        "date": datetime.date.today().isoformat(),
        "hardware": f"{processor()}, {os.cpu_count()} cores",
    }
    shown = [{name: _cell(value, digits) for name, value in row.items()} | ending for row in rows]
    make_folder(output.parent)
    write_rows(output, shown, list(dict.fromkeys([*(n for row in rows for n in row), *ending])))


def _cell(value: Any, digits: int) -> Any:
    if not isinstance(value, float):
        return value
    return "" if math.isnan(value) else round(value, digits)
