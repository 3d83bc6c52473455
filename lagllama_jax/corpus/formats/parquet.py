"""Parquet: one row per series with the columns item_id, start, freq and target."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lagllama_jax.errors import DataError
from lagllama_jax.series.arrays import as_timestamp
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.frequency import Frequency

COLUMNS = ("item_id", "start", "freq", "target")


def find_parquet(source: str | Path) -> list[Path]:
    """The Parquet files of a folder in alphabetical order, or the given file.

    Raises:
      DataError: If the file or folder does not exist, or the folder contains no Parquet file.
    """
    source = Path(source)
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise DataError(f"{source} does not exist.")
    files = sorted(source.glob("*.parquet"))
    if not files:
        raise DataError(f"The folder {source} has no .parquet file.")
    return files


def read_parquet(path: Path) -> SeriesDataset:
    """Reads the series of a file.

    Raises:
      DataError: If the file cannot be read, a column is missing, of another type or has nulls, or a
        start or a frequency cannot be read. The message names the file, and the column or the
        series.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
        missing = [name for name in COLUMNS if name not in names]
        table = None if missing else pq.read_table(path, columns=list(COLUMNS))
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error
    if table is None:
        raise DataError(
            f"{path} has no column {', '.join(missing)}; expected {', '.join(COLUMNS)}."
        )
    for name in COLUMNS:
        if table.column(name).null_count:
            row = table.column(name).is_null().to_pylist().index(True)
            raise DataError(f"{path}: column {name} is empty in row {row}.")
    item_ids, starts, frequencies = (table.column(c).to_pylist() for c in COLUMNS[:3])
    return SeriesDataset(
        item_ids,
        _targets(path, table.column("target")),
        _parsed(as_timestamp, starts, path, item_ids),
        _parsed(Frequency.parse, frequencies, path, item_ids),
    )


def _targets(path: Path, column: Any) -> list[np.ndarray]:
    """One float64 array `[1, T]` per series. All are views of one array."""
    import pyarrow as pa

    lists = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    if not lists:
        raise DataError(f"{path}: column target holds {column.type}, expected lists of numbers.")
    flat = column.combine_chunks()
    flat = flat.chunk(0) if isinstance(flat, pa.ChunkedArray) else flat
    values = flat.flatten().to_numpy(zero_copy_only=False)  # a null becomes NaN
    if values.dtype.kind not in "fiu":
        raise DataError(f"{path}: column target holds {column.type}, expected lists of numbers.")
    bounds = flat.offsets.to_numpy() - flat.offsets[0].as_py()
    wide = values.astype(np.float64)[None]
    return [wide[:, b:e] for b, e in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)]


def _parsed(
    parse: Callable[[str], Any], texts: list[str], path: Path, item_ids: list[str]
) -> list[Any]:
    """Parses every text. Equal texts are parsed only once."""
    known: dict[str, Any] = {}
    for text, item in zip(texts, item_ids, strict=True):
        if text not in known:
            try:
                known[text] = parse(text)
            except DataError as error:
                raise DataError(f"{path}: series {item!r}: {error}") from error
    return [known[text] for text in texts]
