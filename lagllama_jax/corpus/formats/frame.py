"""CSV files read as data frames are: in any order, long or wide, under the usual column names."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lagllama_jax.corpus.formats.record import Record
from lagllama_jax.errors import DataError


def read_csv_frame(path: str | Path) -> Iterator[Record]:
    """The series of a CSV file with the columns item_id, timestamp, target, or a column a series.

    Raises:
      DataError: as `lagllama_jax.series.dataframe.read_frame`; names the file.
    """
    from lagllama_jax.series.dataframe import read_frame
    from lagllama_jax.series.table_files import read_table

    path = Path(path)
    if not path.exists():
        raise DataError(f"{path} does not exist.")
    if path.is_dir():
        raise DataError(f"{path} is a folder; give one file.")
    try:
        series = read_frame(read_table(path))
    except DataError as error:
        raise DataError(str(error) if path.name in str(error) else f"{path}: {error}") from error
    for index, item_id in enumerate(series.item_ids):
        with np.errstate(over="ignore"):
            target = series.targets[index][0].astype(np.float32)
        yield Record(
            item_id=item_id,
            start=series.starts[index].isoformat(),
            frequency=series.frequencies[index].alias,
            target=target,
        )
