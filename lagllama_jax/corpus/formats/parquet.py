"""Parquet: one row a series with the columns item_id, start, freq and target."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lagllama_jax.corpus.formats.record import Record
from lagllama_jax.errors import DataError

COLUMNS = ("item_id", "start", "freq", "target")


def find_parquet(source: str | Path) -> list[Path]:
    """The Parquet files of a folder in alphabetical order, or the one file given.

    Raises:
      DataError: neither exists, or the folder holds none.
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


def read_columns(path: Path) -> tuple[np.ndarray, np.ndarray, list[str], list[str], list[str]]:
    """A whole file at once: all points end to end, lengths, starts, frequencies and item ids.

    Raises:
      DataError: the file cannot be read, or a column is missing, of another type, or has nulls.
    """
    import pyarrow as pa

    file = _open(path)
    try:
        table = file.read(columns=list(COLUMNS))
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error
    return _columns(path, table)


def read_parquet(path: str | Path, batch_size: int = 64) -> Iterator[Record]:
    """The series of a file, a few at a time.

    Raises:
      DataError: as `read_columns`.
    """
    import pyarrow as pa

    path = Path(path)
    batches = _open(path).iter_batches(batch_size, columns=list(COLUMNS))
    while True:
        try:
            batch = next(batches, None)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path} cannot be read as Parquet: {error}") from error
        if batch is None:
            return
        values, lengths, *rest = _columns(path, pa.Table.from_batches([batch]))
        with np.errstate(over="ignore"):
            single = np.asarray(values, np.float32)
        targets = np.split(single, np.cumsum(lengths)[:-1])
        for target, start, frequency, item_id in zip(targets, *rest, strict=True):
            yield Record(item_id, start, frequency, target)


def _open(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error
    missing = [name for name in COLUMNS if name not in file.schema_arrow.names]
    if missing:
        raise DataError(
            f"{path} has no column {', '.join(missing)}; expected {', '.join(COLUMNS)}."
        )
    return file


def _columns(path: Path, table: Any) -> tuple[np.ndarray, np.ndarray, list, list, list]:
    import pyarrow as pa

    for name in COLUMNS:
        if table.column(name).null_count:
            row = table.column(name).is_null().to_pylist().index(True)
            raise DataError(f"{path}: column {name} is empty in row {row}.")
    target = table.column("target")
    if not (pa.types.is_list(target.type) or pa.types.is_large_list(target.type)):
        raise DataError(f"{path}: column target holds {target.type}, expected lists of numbers.")
    flat = target.combine_chunks()
    flat = flat.chunk(0) if isinstance(flat, pa.ChunkedArray) else flat
    values = flat.flatten().to_numpy(zero_copy_only=False)  # a null becomes NaN
    if values.dtype.kind not in "fiu":
        raise DataError(f"{path}: column target holds {target.type}, expected lists of numbers.")
    texts = (table.column(name).to_pylist() for name in ("start", "freq", "item_id"))
    starts, frequencies, item_ids = texts
    return values, np.diff(flat.offsets.to_numpy()), starts, frequencies, item_ids
