"""Tables of what was measured, with the day and the machine."""

import datetime
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def save(table: "pd.DataFrame", output: Path) -> None:
    """Writes a table, dated, as CSV."""
    hardware = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    dated = table.assign(date=datetime.date.today().isoformat(), hardware=hardware)
    output.parent.mkdir(parents=True, exist_ok=True)
    dated.to_csv(output, index=False)
