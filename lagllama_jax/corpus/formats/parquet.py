"""Parquet: one row per series (item_id, start, freq, target), or a data frame of series."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lagllama_jax.errors import DataError, converting, naming
from lagllama_jax.series.arrays import as_timestamp
from lagllama_jax.series.dataframe import read_frame
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.frequency import Frequency
from lagllama_jax.series.table_files import read_table

COLUMNS = ("item_id", "start", "freq", "target")


def find_parquet(source: str | Path) -> list[Path]:
    """The Parquet files of a folder in alphabetical order, or the given file.

    Raises:
      DataError: If the file or folder does not exist, or the folder contains no Parquet file.
    """
    source = Path(source)
    if not source.exists():
        raise DataError(f"{source} does not exist.")
    files = sorted(source.glob("*.parquet")) if source.is_dir() else [source]
    if not files:
        raise DataError(f"The folder {source} has no .parquet file.")
    return files


def read_parquet(path: Path) -> SeriesDataset:
    """Reads the series of a file, with one row per series, or else as `read_frame` reads it.

    Raises:
      DataError: If the file cannot be read, a column is missing, of another type or has nulls, or a
        start or a frequency cannot be read; or as for `read_frame`. The message names the file,
        and the column or the series.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with converting(DataError, f"{path} cannot be read as Parquet", OSError, pa.ArrowException):
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        listed = "target" in schema.names and pa.types.is_nested(schema.field("target").type)
        if not listed and not {"start", "freq"} & set(schema.names):
            with naming(path):
                return read_frame(read_table(path))
        table = file.read(columns=list(COLUMNS))
    with naming(path):
        missing = [name for name in COLUMNS if name not in table.column_names]
        if missing:
            raise DataError(f"no column {', '.join(missing)}; expected {', '.join(COLUMNS)}.")
        for name in COLUMNS:
            row = table.column(name).is_null().index(True).as_py()
            if row >= 0:
                raise DataError(f"column {name} is empty in row {row}.")
        item_ids, starts, frequencies = (table.column(c).to_pylist() for c in COLUMNS[:3])
        return SeriesDataset(
            item_ids,
            _targets(table.column("target")),
            _parsed(as_timestamp, starts, item_ids),
            _parsed(Frequency.parse, frequencies, item_ids),
        )


def _targets(column: Any) -> list[np.ndarray]:
    """One float64 array `[1, T]` per series. Those of a chunk are views of one array."""
    from pyarrow import types

    kind = column.type
    lists = types.is_list(kind) or types.is_large_list(kind)
    if not lists or not (types.is_integer(kind.value_type) or types.is_floating(kind.value_type)):
        raise DataError(f"column target holds {kind}, expected lists of numbers.")
    targets: list[np.ndarray] = []
    for chunk in column.chunks:
        values = chunk.flatten().to_numpy(zero_copy_only=False)  # a null becomes NaN
        wide = values.astype(np.float64)[None]
        bounds = chunk.offsets.to_numpy() - chunk.offsets[0].as_py()
        targets += [wide[:, begin:end] for begin, end in itertools.pairwise(bounds.tolist())]
    return targets


def _parsed(parse: Callable[[str], Any], texts: list[str], item_ids: list[str]) -> list[Any]:
    """Parses every text. Equal texts are parsed only once."""
    known: dict[str, Any] = {}
    for text, item in zip(texts, item_ids, strict=True):
        if text not in known:
            with naming(f"series {item!r}"):
                known[text] = parse(text)
    return [known[text] for text in texts]
