"""The shards of an input folder: one file each, of the same columns, and no series in two files."""

import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.distributed.reading import is_nested
from lagllama_jax.errors import DataError, converting, listed, naming
from lagllama_jax.series.archives import plain_name
from lagllama_jax.series.columns import find_columns
from lagllama_jax.series.split_times import join_times
from lagllama_jax.series.table_files import ARROW_SUFFIXES, TEXT_SUFFIXES, read_table
from lagllama_jax.series.tables import Table
from lagllama_jax.series.turned import turned
from lagllama_jax.typing import Int

PARQUET = (".parquet", ".pq")
HEAD_ROWS = 100
THREADS = 4


@dataclass(frozen=True)
class Shard:
    """One file of an input folder.

    Attributes:
      name: Name of the file.
      bytes: Its size.
      modified: Time of its last change, in nanoseconds since 1970.
    """

    name: str
    bytes: int
    modified: int


def find_shards(folder: Path) -> list[Shard]:
    """The files of a folder in alphabetical order. Names that begin with `.` or `_` are left out.

    Raises:
      DataError: If there is no such folder, it has no table, or it has other files or folders.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder.")
    entries = sorted(entry for entry in folder.iterdir() if entry.name[0] not in "._")
    for entry in entries:
        table = plain_name(entry.name).endswith(TEXT_SUFFIXES + ARROW_SUFFIXES)
        if not entry.is_file() or not (table or entry.name.lower().endswith(".zip")):
            raise DataError(
                f"{entry} is neither a Parquet nor a CSV file. The folder of shards holds nothing "
                "else: move it, or give the folder that directly holds the tables."
            )
    if not entries:
        raise DataError(f"The folder {folder} has no Parquet or CSV file.")
    found = [(entry.name, entry.stat()) for entry in entries]
    return [Shard(name, status.st_size, status.st_mtime_ns) for name, status in found]


def check_shards(
    folder: Path, shards: Iterable[Shard], options: Mapping[str, Any]
) -> dict[str, int]:
    """Checks that all shards have the same columns, and that no series is in two of them.

    Args:
      folder: The folder of the shards.
      shards: The shards.
      options: Arguments of `read_shard`.

    Returns:
      Number of series of each shard, by its name.

    Raises:
      DataError: If a file cannot be read, has other columns than the first, or holds a series that
        another file also holds. The message names both files.
    """
    names = [shard.name for shard in shards]

    def names_in(name: str) -> tuple[list[str], Int[np.ndarray, "n"]]:
        with naming(name), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            columns, items = _columns_and_items(folder / name, options)
            return columns, hashes(items)

    seen: dict[str, Int[np.ndarray, n]] = {}
    first: list[str] = []
    with ThreadPoolExecutor(THREADS) as pool:
        for name, (columns, items) in zip(names, pool.map(names_in, names), strict=True):
            first = first or columns
            _check_columns(names[0], first, name, columns)
            seen[name] = items
    _check_unique(folder, seen, options)
    return {name: len(items) for name, items in seen.items()}


def hashes(items: Iterable[Any]) -> Int[np.ndarray, "n"]:
    """A 64-bit hash of each name, as whole numbers and their text are the same name."""
    texts = np.array([str(item) for item in items], dtype=object)
    return pd.util.hash_array(texts, categorize=False).view(np.int64)


def _check_columns(first: str, expected: list[str], name: str, found: list[str]) -> None:
    if sorted(found) == sorted(expected):
        return
    differing = sorted(set(found) ^ set(expected))
    raise DataError(
        f"{name} has other columns than {first}: {listed(differing)}. Give all shards the same "
        "columns of the same kind, or forecast them as two folders."
    )


def _check_unique(
    folder: Path, seen: dict[str, Int[np.ndarray, "n"]], options: Mapping[str, Any]
) -> None:
    values, counts = np.unique(np.concatenate(list(seen.values())), return_counts=True)
    twice = values[counts > 1]
    if not len(twice):
        return
    holders = [name for name, items in seen.items() if np.isin(items, twice).any()]
    owner: dict[str, str] = {}
    for name in holders:  # by their names, because two of them may have the same hash
        for item in _columns_and_items(folder / name, options)[1]:
            other = owner.setdefault(str(item), name)
            if other != name:
                raise DataError(
                    f"Series {str(item)!r} is in {other} and in {name}. Put all rows of a series "
                    "in one file, or give the series different names (id_column)."
                )


def _columns_and_items(path: Path, options: Mapping[str, Any]) -> tuple[list[str], list[Any]]:
    """The columns of a file, with their kinds, and the names of its series."""
    if is_nested(path):
        from pyarrow import parquet

        columns = [f"{name} (one row per series)" for name in parquet.read_schema(path).names]
        items = parquet.ParquetFile(path).read(columns=["item_id"]).column(0).to_pylist()
        return columns, _once(path, items)
    asked = [options.get(name) for name in ("id_column", "timestamp_column", "target")]
    if path.suffix in PARQUET:
        return _of_parquet(path, asked)
    return _of_table(read_table(path, options.get("encoding")), asked)


def _of_parquet(path: Path, asked: list[Any]) -> tuple[list[str], list[Any]]:
    """As `_columns_and_items`, by reading the column of names only, if there is one."""
    import pyarrow as pa
    from pyarrow import compute, parquet

    with converting(DataError, f"Cannot read {path} as Parquet", OSError, pa.ArrowException):
        file = parquet.ParquetFile(path)
        head = next(file.iter_batches(HEAD_ROWS), None)
        kinds = [f"{field.name} ({field.type})" for field in file.schema_arrow]
        nested = any(pa.types.is_nested(field.type) for field in file.schema_arrow)
        if head is None or nested:
            return kinds, _of_table(read_table(path), asked)[1]
        columns = find_columns(turned(join_times(Table(head.to_pandas()))), *asked)
        if columns.item_id not in file.schema_arrow.names:
            return kinds, _of_table(read_table(path), asked)[1]
        names = file.read(columns=[columns.item_id]).column(0)
        return kinds, compute.unique(names).to_pylist()


def _of_table(table: Table, asked: list[Any]) -> tuple[list[str], list[Any]]:
    names = [str(name) for name in table.frame.columns]
    table = turned(join_times(table))
    columns = find_columns(table, *asked)
    if columns.item_id is not None:
        return names, table.frame[columns.item_id].unique().tolist()
    if columns.target is not None:
        return names, [str(columns.target[0])]
    return names, [name for name in table.frame.columns if name != columns.timestamp]


def _once(path: Path, items: list[Any]) -> list[Any]:
    counts: dict[Any, int] = defaultdict(int)
    for item in items:
        counts[item] += 1
        if counts[item] > 1:
            raise DataError(f"{path.name}: series {item!r} has two rows. Join or rename them.")
    return items
