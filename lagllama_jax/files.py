"""Files that are whole or not there: written beside their place, then renamed onto it."""

import contextlib
import csv
import errno
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lagllama_jax.errors import DataError

_DEVICE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
"""Errors of writing that come without the file's name."""


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary sibling of `path` that takes its place when the block ends well.

    The sibling has the same suffix, for writers that go by it. A block that fails, or a process
    that is stopped, leaves `path` as it was.

    Raises:
      DataError: `path` cannot be written; names it and the system's reason.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise DataError(f"Cannot write {path}: it is not a regular file. Give another path.")
    if not target.parent.is_dir():
        raise DataError(
            f"Cannot write {path}: there is no folder {target.parent}. Create it first."
        )
    temporary = target.with_name(f".{target.stem}.{uuid.uuid4().hex[:8]}{target.suffix}")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        full = error.filename is None and error.errno in _DEVICE_ERRORS
        if not full and error.filename not in (str(temporary), os.fspath(path)):
            raise  # it concerns something else that the block does
        raise DataError(
            f"Cannot write {path}: {error.strerror or error}. Give another path."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a whole file, or nothing (see `atomic_path`)."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_rows(
    path: str | os.PathLike[str], rows: Iterable[Mapping[str, Any]], columns: Sequence[str]
) -> None:
    """Writes some columns of the rows as CSV, whole or not at all (see `atomic_path`).

    Args:
      path: The file. Its folder must exist.
      rows: Values by column. Further columns are left out, and a missing value is an empty cell.
      columns: The columns of the file, in order.
    """
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        table = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def read_rows(path: str | os.PathLike[str]) -> list[dict[str, str]]:
    """The rows of a CSV file that `write_rows` wrote, every cell as text."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
