"""Forecasts the series of a part of a distributed data frame, with errors in a column."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lagllama_jax.config import Count, ForecastConfig, checked, level_names
from lagllama_jax.corpus.formats.parquet import COLUMNS
from lagllama_jax.distributed.job import Job, forecast_parts
from lagllama_jax.distributed.reading import ReadShard, read_entries, read_long
from lagllama_jax.errors import DataError, listed
from lagllama_jax.series.columns import ITEM_NAMES, TARGET_NAMES, TIMESTAMP_NAMES

ERROR = "error"
"""Column of the message of a series without a forecast; its other columns are null."""
ROWS = 500_000
"""Number of rows of whole series that are forecast at once."""


@dataclass(frozen=True)
class LongColumns:
    """The columns of a long data frame.

    Attributes:
      item_id: Column of the names of the series.
      timestamp: Column of the time stamps.
      target: Column of the values.
    """

    item_id: str
    timestamp: str
    target: str

    @classmethod
    def of(cls, columns: Sequence[str], given: Sequence[str | None]) -> "LongColumns":
        """The columns of the given names, or of the usual ones.

        Raises:
          DataError: If one is not there.
        """
        usual = {"id_column": ITEM_NAMES, "timestamp_column": TIMESTAMP_NAMES}
        usual["target"] = TARGET_NAMES
        found = []
        for name, (role, names) in zip(given, usual.items(), strict=True):
            there = [one for one in (names if name is None else (name,)) if one in columns]
            if len(there) != 1:
                raise DataError(
                    f"The data frame has the columns {listed(columns)}. Tell {role}; "
                    f"{' or '.join(names)} needs not be told."
                )
            found.append(there[0])
        return cls(*found)

    def job(self, model: Any, prediction_length: int, freq: Any, options: dict[str, Any]) -> Job:
        """The job for parts of the data frame."""
        steps = int(checked("prediction_length", prediction_length, Count))
        reading = {
            "freq": freq,
            "id_column": self.item_id,
            "timestamp_column": self.timestamp,
            "target": self.target,
        }
        return Job(model, steps, ForecastConfig.of(**options), reading)


def number_names(job: Job) -> list[str]:
    """Names of the columns of numbers of the result of a job."""
    return ["predictions", *level_names(job.config.quantile_levels)]


def forecast_table(job: Job, frame: pd.DataFrame) -> pd.DataFrame:
    """Forecasts the series of a part of a data frame.

    Args:
      job: The job. Its `reading` names the columns and gives the step.
      frame: All rows of some series, or one row per series (`item_id, start, freq, target`).

    Returns:
      The table of `predict_df` with a column `error`, which is null. A series without a forecast
      has one row, with its name and the message.
    """
    reading = dict(job.reading)
    if is_nested_frame(frame.columns):
        entries: Any = frame[list(COLUMNS)].to_dict("records")
        read, names = read_entries(entries), ("item_id", "timestamp")
    else:
        names = reading["id_column"], reading["timestamp_column"]
        kept = [*names, reading["target"]]
        read = read_long(frame[kept].reset_index(drop=True), reading)
    return with_errors(job, read, names)


def is_nested_frame(columns: Iterable[Hashable]) -> bool:
    """Whether a data frame has one row per series."""
    return set(COLUMNS) <= set(columns)


def with_errors(job: Job, read: ReadShard, names: tuple[str, str]) -> pd.DataFrame:
    """The forecasts of the series that were read, and one row for each of the others."""
    parts, failures = [], dict(read.failures)
    for part, failed in forecast_parts(job, read):
        failures |= failed
        parts.append(part)
    forecasts = pd.concat([part for part in parts if len(part)] or [pd.DataFrame()])
    columns = [*names, *number_names(job)]
    forecasts = forecasts.reindex(columns=columns).assign(**{ERROR: None})
    if not failures:
        return forecasts
    wrong = pd.DataFrame({names[0]: list(failures), ERROR: list(failures.values())})
    if not len(forecasts):
        return wrong.reindex(columns=[*columns, ERROR])
    return pd.concat([forecasts, wrong], ignore_index=True)


def whole_series(batches: Iterable[pd.DataFrame], item_id: str) -> Iterator[pd.DataFrame]:
    """Joins batches of rows, sorted by series, to tables that hold all rows of their series."""
    held: list[pd.DataFrame] = []
    for batch in batches:
        held.append(batch)
        if sum(map(len, held)) < ROWS:
            continue
        frame = pd.concat(held, ignore_index=True)
        whole = frame[item_id] != frame[item_id].iloc[-1]
        if whole.any():
            yield frame[whole]
            frame = frame[~whole]
        held = [frame]
    if held:
        yield pd.concat(held, ignore_index=True)
