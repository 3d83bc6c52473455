"""A CSV of results that grows row by row, so that a killed run goes on where it stopped."""

import datetime
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lagllama_jax.evaluation.provenance import command, processor
from lagllama_jax.files import read_rows, write_rows


class Ledger:
    """Rows told apart by what was asked: the `key` columns, compared as text."""

    def __init__(self, path: Path, key: Sequence[str]):
        self.path, self.key = path, list(key)
        path.parent.mkdir(parents=True, exist_ok=True)

    def table(self) -> pd.DataFrame:
        """Every row, its key as text; empty where there is no file yet."""
        if not self.path.exists():
            return pd.DataFrame(columns=self.key)
        key = dict.fromkeys(self.key, str)  # as it stands there: "NA" is a name like any other
        return pd.read_csv(self.path, converters=key, float_precision="round_trip")

    def select(self, asked: Mapping[str, Any]) -> pd.DataFrame:
        """The rows that agree with `asked`, some columns of the key."""
        table = self.table()
        agree = pd.Series(True, table.index)
        for column, value in asked.items():
            agree &= table[column] == str(value)
        return table[agree]

    def add(self, row: Mapping[str, Any]) -> None:
        """Writes the file anew with one more row, whole or not at all."""
        rows = [*(read_rows(self.path) if self.path.exists() else []), row]
        write_rows(self.path, rows, list(dict.fromkeys(name for one in rows for name in one)))


def stop_if(interrupted: bool) -> None:
    """Ends the script where a training was cut short by a signal: that is not a result."""
    if interrupted:
        raise KeyboardInterrupt


def provenance(hardware: str | None = None) -> dict[str, str]:
    """Command, date and hardware, for the end of a row."""
    import jax

    kinds = sorted({device.device_kind for device in jax.devices()})
    found = f"{len(jax.devices())} x {kinds[0]}, {os.cpu_count()} cores of {processor()}"
    return {
        "command": command(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "hardware": hardware or found,
    }
