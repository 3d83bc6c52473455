"""Reads the series of one shard, and leaves out those that cannot be read."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.corpus.formats.parquet import COLUMNS, read_parquet
from lagllama_jax.distributed.failures import use_what_can_be
from lagllama_jax.errors import DataError, converting
from lagllama_jax.series.archives import plain_name
from lagllama_jax.series.arrays import read_series
from lagllama_jax.series.columns import find_columns
from lagllama_jax.series.dataframe import read_frame
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.frames import as_table
from lagllama_jax.series.split_times import join_times
from lagllama_jax.series.table_files import ARROW_SUFFIXES, read_table
from lagllama_jax.series.tables import Table
from lagllama_jax.series.turned import turned

EXAMPLE_ROWS = 1000


@dataclass(frozen=True)
class ReadShard:
    """The series of a shard.

    Attributes:
      dataset: The series that can be read. `None`: there is none.
      example: The first rows of the table, whose types the result takes. `None`: the file is text,
        or has one row per series.
      failures: The message for each series that cannot be read, by its name.
    """

    dataset: SeriesDataset | None
    example: pd.DataFrame | None = None
    failures: Mapping[Any, str] = field(default_factory=dict)

    @property
    def step(self) -> Any:
        """The step of the series, as an alias, or as a number if the rows are numbered."""
        assert self.dataset is not None
        if self.dataset.numbering is not None:
            return self.dataset.numbering.step
        return self.dataset.frequency and self.dataset.frequency.alias


def read_shard(path: Path, options: Mapping[str, Any]) -> ReadShard:
    """Reads the series of a file.

    Args:
      path: A Parquet file with one row per series (`item_id, start, freq, target`), or a table that
        `read_table` reads.
      options: Arguments of `read_frame`, and the `encoding` of text.

    Raises:
      DataError: If the file cannot be read.
    """
    if is_nested(path):
        return _read_nested(path)
    table = read_table(path, options.get("encoding"))
    read = read_long(table, {name: options[name] for name in options.keys() - {"encoding"}})
    return read if is_arrow(path) else replace(read, example=None)


def is_arrow(path: Path) -> bool:
    """Whether a file is Parquet or Arrow, by its suffix."""
    return plain_name(path.name).endswith(ARROW_SUFFIXES)


def is_nested(path: Path) -> bool:
    """Whether a file is Parquet with one row per series, as `read_parquet` reads it."""
    import pyarrow as pa
    from pyarrow import parquet, types

    if path.suffix not in (".parquet", ".pq"):
        return False
    with converting(DataError, f"Cannot read {path} as Parquet", OSError, pa.ArrowException):
        schema = parquet.read_schema(path)
    if not set(COLUMNS) <= set(schema.names):
        return False
    kind = schema.field("target").type
    return types.is_list(kind) or types.is_large_list(kind)


def _read_nested(path: Path) -> ReadShard:
    """Reads a file with one row per series, at once if all can be read, otherwise one by one."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return ReadShard(read_parquet(path))
    except DataError:
        pass
    with converting(DataError, f"Cannot read {path} as Parquet", OSError, pa.ArrowException):
        entries = parquet.ParquetFile(path).read(columns=list(COLUMNS)).to_pylist()
    return read_entries(entries)


def read_entries(entries: Sequence[Mapping[str, Any]]) -> ReadShard:
    """Reads series of `item_id, start, freq, target` each, without those that cannot be read."""
    rows = range(len(entries))
    dataset, failed = use_what_can_be(lambda some: read_series([entries[i] for i in some]), rows)
    return ReadShard(dataset, None, {entries[row]["item_id"]: failed[row] for row in failed})


def read_long(data: Any, options: Mapping[str, Any]) -> ReadShard:
    """Reads the series of a table or data frame, and leaves out those that cannot be read.

    Args:
      data: A `Table` or a data frame.
      options: Arguments of `read_frame`.

    Raises:
      DataError: If the table cannot be read, for a reason that is not of single series.
    """
    table = as_table(data)
    example = table.frame.head(EXAMPLE_ROWS)
    try:
        return ReadShard(read_frame(table, **options), example)
    except DataError as error:
        problem = error
    table = turned(join_times(table))
    places = _places(table, options)
    if places is None or len(places) < 2:
        if places:
            return ReadShard(None, example, {next(iter(places)): str(problem)})
        raise problem

    def read(names: list[Any]) -> SeriesDataset:
        rows = np.sort(np.concatenate([places[name] for name in names]))
        return read_frame(
            table.with_frame(table.frame.iloc[rows].reset_index(drop=True), rows), **options
        )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the same warnings as above, for each part
        dataset, failures = use_what_can_be(read, list(places))
    return ReadShard(dataset, example, failures)


def _places(table: Table, options: Mapping[str, Any]) -> dict[Any, np.ndarray] | None:
    """The numbers of the rows of each series of a long table. `None`: it is wide."""
    asked = (options.get(name) for name in ("id_column", "timestamp_column", "target"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        columns = find_columns(table, *asked)
    if columns.item_id is None:
        return None
    groups: Any = table.frame.groupby(columns.item_id, sort=False).indices
    return dict(groups)
