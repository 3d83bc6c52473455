"""The metrics of a run: a CSV file and, where available, TensorBoard and Weights & Biases."""

import csv
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from lagllama_jax.errors import DataError
from lagllama_jax.files import read_rows, write_rows

COLUMNS = (
    "step",
    "loss",
    "scaled_loss",
    "gradient_norm",
    "validation_loss",
    "tokens_per_second",
    "utilisation",
    "seconds",
)
"""Columns of the metrics. There is one row per dispatch, with means over its steps.

`validation_loss` is empty where there was no validation. `utilisation` is the speed as a share of
that of a large matrix product. `seconds` is the time since the process started to train."""

Row = Mapping[str, float | int | None]


@runtime_checkable
class Sink(Protocol):
    """A receiver of rows of metrics."""

    def write(self, row: Row) -> None:
        """Receives the row of one dispatch."""

    def close(self) -> None:
        """Ends the output."""


class MetricsFile:
    """The file `metrics.csv`. A resumed run first removes the rows after its checkpoint."""

    def __init__(self, path: Path, first_step: int):
        """Opens the file for rows of steps after `first_step`.

        Raises:
          DataError: If the file cannot be read or written.
        """
        self.path = path
        kept = [row for row in read_metrics(path) if row["step"] <= first_step]
        write_rows(path, kept, COLUMNS)
        # Rows are appended, as a long run has too many to rewrite all of them for every new one.
        self._file = open(path, "a", newline="", buffering=1, encoding="utf-8")  # noqa: SIM115
        self._table = csv.DictWriter(self._file, COLUMNS, lineterminator="\n")

    def write(self, row: Row) -> None:
        """Appends a row, which is written to disk at once.

        Raises:
          DataError: If it cannot be written.
        """
        try:
            self._table.writerow({name: row.get(name) for name in COLUMNS})
        except OSError as error:
            raise DataError(f"Cannot write {self.path}: {error.strerror}.") from error

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Reads the rows of a metrics file. An incomplete last row is left out.

    Returns:
      The rows; none if there is no such file.

    Raises:
      DataError: If the file is not a metrics file.
    """
    if not path.exists():
        return []
    try:
        whole = [row for row in read_rows(path) if None not in row.values()]
        return [
            {name: float(text) if text else None for name, text in row.items()}
            | {"step": int(row["step"])}
            for row in whole
        ]
    except (KeyError, ValueError) as error:
        raise DataError(f"{path}: not a metrics file of this package ({error}).") from error


class TensorBoard:
    """Event files for TensorBoard, written by tensorboardX."""

    def __init__(self, folder: Path):
        """Opens the event file in `folder`."""
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def write(self, row: Row) -> None:
        """Receives the row of one dispatch."""
        for name, value in row.items():
            if name != "step" and value is not None:
                self._writer.add_scalar(name, value, int(row["step"] or 0))

    def close(self) -> None:
        """Writes what is left and closes the file."""
        self._writer.close()


class WeightsAndBiases:
    """A run of Weights & Biases."""

    def __init__(self, folder: Path):
        """Starts or resumes the run named after `folder`."""
        import wandb

        self._run = wandb.init(dir=str(folder), id=folder.absolute().name, resume="allow")

    def write(self, row: Row) -> None:
        """Receives the row of one dispatch."""
        values = {name: value for name, value in row.items() if value is not None}
        self._run.log(values, step=int(row["step"] or 0))

    def close(self) -> None:
        """Ends the run."""
        self._run.finish()


def open_sinks(folder: Path, first_step: int) -> list[Sink]:
    """Opens the sinks of a run.

    There is always a CSV file. TensorBoard is used if tensorboardX is installed. Weights & Biases
    is used if wandb is installed and WANDB_API_KEY or WANDB_MODE is set.

    Raises:
      DataError: If the folder cannot be written.
    """
    sinks: list[Sink] = [MetricsFile(folder / "metrics.csv", first_step)]
    if importlib.util.find_spec("tensorboardX"):
        sinks.append(TensorBoard(folder / "tensorboard"))
    asked = "WANDB_API_KEY" in os.environ or "WANDB_MODE" in os.environ
    if asked and importlib.util.find_spec("wandb"):
        sinks.append(WeightsAndBiases(folder))
    return sinks
