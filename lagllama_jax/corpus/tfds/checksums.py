"""Checksums of downloads: the first one is recorded, and later ones are compared with it.

The record is a CSV file with one line per data set. Its checksums are those of
`lagllama_jax.corpus.formats.text.unpacked_sha256`.
"""

import datetime
from pathlib import Path

from lagllama_jax.corpus.catalogue import DataSet
from lagllama_jax.corpus.tfds import NAME
from lagllama_jax.errors import DataError, converting
from lagllama_jax.files import make_folder, read_rows, write_rows

COLUMNS = ("data_set", "sha256", "url", "date")


def checksums_file(data_dir: str | Path) -> Path:
    """The file in a folder of TFDS that records the checksums of downloads."""
    return Path(data_dir).expanduser() / NAME / "checksums.csv"


def recorded_sha256(name: str, data_dir: str | Path) -> str | None:
    """The checksum of the first download of a data set. `None`: there is no record of it.

    Raises:
      DataError: If the record cannot be read.
    """
    return {row["data_set"]: row["sha256"] for row in _rows(data_dir)}.get(name)


def record(data_set: DataSet, sha256: str, data_dir: str | Path) -> Path:
    """Records the checksum of the first download of a data set, and returns the file.

    Raises:
      DataError: If the record cannot be read or written.
    """
    path, date = checksums_file(data_dir), datetime.datetime.now(datetime.UTC).date()
    new = dict(zip(COLUMNS, (data_set.name, sha256, data_set.url, date), strict=True))
    make_folder(path.parent)
    write_rows(path, [*_rows(data_dir), new], COLUMNS)
    return path


def check_download(data_set: DataSet, found: str, download: Path, data_dir: str | Path) -> None:
    """Compares the checksum of a download with that of the first download, if there was one.

    Raises:
      DataError: If they differ, or the record cannot be read.
    """
    expected = recorded_sha256(data_set.name, data_dir)
    if expected in (None, found):
        return
    raise DataError(
        f"{data_set.url} is not what it was when {data_set.name!r} was downloaded first: SHA-256 "
        f"{found}, expected {expected}. If the download was damaged, delete {download}* and "
        f"repeat. If the publisher changed the file and you trust it, delete the line of "
        f"{data_set.name!r} in {checksums_file(data_dir)}, which records the checksums."
    )


def _rows(data_dir: str | Path) -> list[dict[str, str]]:
    path = checksums_file(data_dir)
    if not path.exists():
        return []
    with converting(DataError, f"{path} cannot be read", OSError, ValueError):
        first, rows = path.read_text(encoding="utf-8").partition("\n")[0], read_rows(path)
    if first != ",".join(COLUMNS):
        raise DataError(f"{path}, line 1: {first!r} is not {','.join(COLUMNS)}. Correct it.")
    for number, row in enumerate(rows, start=2):
        if not row.get("data_set") or len(row.get("sha256") or "") != 64:
            raise DataError(
                f"{path}, line {number}: no name of a data set with a SHA-256 of 64 digits. "
                "Correct or delete the line."
            )
    return rows
