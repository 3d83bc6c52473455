"""A CSV file of results that is written row by row, so that an interrupted run can resume."""

import datetime
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lagllama_jax.evaluation.provenance import command, processor
from lagllama_jax.files import read_rows, write_rows


class Ledger:
    """The rows of a CSV file, identified by their `key` columns, which are compared as text."""

    def __init__(self, path: Path, key: Sequence[str]):
        self.path, self.key = path, list(key)
        path.parent.mkdir(parents=True, exist_ok=True)

    def table(self) -> pd.DataFrame:
        """All rows, with the key columns as text. The table is empty if there is no file yet."""
        if not self.path.exists():
            return pd.DataFrame(columns=self.key)
        key = dict.fromkeys(self.key, str)  # unparsed: "NA" is an ordinary name
        return pd.read_csv(self.path, converters=key, float_precision="round_trip")

    def select(self, asked: Mapping[str, Any]) -> pd.DataFrame:
        """The rows whose key columns have the values in `asked`."""
        table = self.table()
        agree = pd.Series(True, table.index)
        for column, value in asked.items():
            agree &= table[column] == str(value)
        return table[agree]

    def add(self, row: Mapping[str, Any]) -> None:
        """Adds a row. The file is replaced atomically."""
        self._write([*self._rows(), row])

    def put(self, row: Mapping[str, Any]) -> None:
        """Adds a row in place of those with the same key. The file is replaced atomically."""
        own = [str(row[name]) for name in self.key]
        self._write([*(old for old in self._rows() if [old[k] for k in self.key] != own), row])

    def _rows(self) -> list[Mapping[str, Any]]:
        return [*read_rows(self.path)] if self.path.exists() else []

    def _write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        write_rows(self.path, rows, list(dict.fromkeys(name for one in rows for name in one)))


def stop_if(interrupted: bool) -> None:
    """Ends the script if a signal interrupted the training, as its result must not be recorded."""
    if interrupted:
        raise KeyboardInterrupt


def provenance(hardware: str | None = None) -> dict[str, str]:
    """Command, date and hardware, as the last columns of a row."""
    import jax

    kinds = sorted({device.device_kind for device in jax.devices()})
    found = f"{len(jax.devices())} x {kinds[0]}, {os.cpu_count()} cores of {processor()}"
    return {
        "command": command(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "hardware": hardware or found,
    }
