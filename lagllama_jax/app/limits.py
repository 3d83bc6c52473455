"""`Limits`: what the page accepts."""

from dataclasses import dataclass
from typing import Annotated

from lagllama_jax.config.base import Config, Count, Interval

MEGABYTE = 10**6
UNPACKED = 10
"""A compressed file may unpack to so many times the largest size of a file."""
MOST_VALUES = 20_000_000
"""Largest number of values of a forecast: series, time steps and sample paths multiplied."""
READ_BYTES = 6 * 2**30
"""Address space in bytes of the process that reads tables, where the system can limit it."""


@dataclass(frozen=True)
class Limits(Config):
    """What the page accepts. What is beyond is refused with a message.

    Attributes:
      max_megabytes: Largest size of a file in megabytes (10^6 bytes). A compressed file may unpack
        to ten times as much.
      max_rows: Largest number of rows of a table.
      max_columns: Largest number of columns of a table.
      max_series: Largest number of series, or of series and targets multiplied.
      max_horizon: Largest number of time steps to forecast.
      max_samples: Largest number of sample paths.
      max_seconds: Seconds after which a forecast or an analysis is stopped.
      max_waiting: Largest number of forecasts that wait for their turn.
      max_tables: Number of tables that are kept. The oldest one is dropped for a new one.
    """

    max_megabytes: Annotated[float, Interval(above=0)] = 20.0
    max_rows: Count = 500_000
    max_columns: Count = 500
    max_series: Count = 500
    max_horizon: Count = 1000
    max_samples: Count = 500
    max_seconds: Annotated[float, Interval(above=0)] = 300.0
    max_waiting: Count = 10
    max_tables: Count = 10

    @property
    def bytes(self) -> int:
        """Largest size of a file in bytes."""
        return int(self.max_megabytes * MEGABYTE)

    @property
    def unpacked_bytes(self) -> int:
        """Largest size of the content of a compressed file in bytes."""
        return UNPACKED * self.bytes
