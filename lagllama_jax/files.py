"""Files that are whole or not there, and outputs that are checked before the work."""

import contextlib
import csv
import errno
import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lagllama_jax.errors import DataError

AnyPath = str | os.PathLike[str]

_DEVICE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
"""Errors of writing that come without the name of the file."""


@contextlib.contextmanager
def atomic_path(path: AnyPath) -> Iterator[Path]:
    """Yields a temporary sibling of `path`, which takes its place when the block ends well.

    The sibling has the same suffix, for writers that go by it. If the block fails or the process is
    stopped, `path` stays as it was.

    Raises:
      DataError: If `path` cannot be written; names it and the reason.
    """
    target = _check_place(path)
    temporary = target.with_name(f".{target.stem}.{uuid.uuid4().hex[:8]}{target.suffix}")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        full = error.filename is None and error.errno in _DEVICE_ERRORS
        if not full and error.filename not in (str(temporary), os.fspath(path)):
            raise  # it concerns something else that the block does
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: AnyPath, content: bytes) -> None:
    """Writes a whole file, or nothing (see `atomic_path`)."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_rows(path: AnyPath, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
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


def read_rows(path: AnyPath) -> list[dict[str, str]]:
    """The rows of a CSV file that `write_rows` wrote, every cell as text."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def make_folder(folder: Path) -> None:
    """Makes a folder, with its parents, if it does not exist.

    Raises:
      DataError: If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"Cannot create the folder {folder}: {error.strerror}.") from error


def check_outputs(
    *,
    files: Iterable[AnyPath | None] = (),
    folders: Iterable[AnyPath | None] = (),
    inputs: Iterable[AnyPath | None] = (),
) -> None:
    """Checks that all outputs of a command can be written, before its work begins.

    Args:
      files: Files to write; their folders must exist. `None` stands for one that is not wanted.
      folders: Folders to write into; those that do not exist are made later, with their parents.
      inputs: Files and folders to read, which no output may replace.

    Raises:
      DataError: If an output cannot be written, is also an input, or is given twice.
    """
    used = {_identity(path): f"input {path}" for path in inputs if path is not None}
    wanted = [(path, _check_file) for path in files] + [(path, _check_folder) for path in folders]
    for path, check in wanted:
        if path is None:
            continue
        other = used.get(_identity(path))
        if other is not None:
            raise DataError(
                f"The output {path} is the same as the {other}, which it would replace. "
                "Give another path."
            )
        used[_identity(path)] = f"output {path}"
        try:
            check(path)
        except OSError as error:
            raise cannot_write(path, error) from error


def _identity(path: AnyPath) -> object:
    """Equal for paths that lead to the same file, through links as well."""
    try:
        found = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def _check_place(path: AnyPath) -> Path:
    """The file that a path leads to."""
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise DataError(f"Cannot write {path}: it is not a regular file. Give another path.")
    if not target.parent.is_dir():
        raise DataError(
            f"Cannot write {path}: there is no folder {target.parent}. Create it first."
        )
    return target


def _check_file(path: AnyPath) -> None:
    target = _check_place(path)
    with tempfile.NamedTemporaryFile(
        dir=target.parent, prefix=f".{target.stem}.", suffix=target.suffix
    ):
        pass


def _check_folder(path: AnyPath) -> None:
    place = Path(os.path.realpath(path))
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise DataError(f"Cannot create the folder {path}: {place} is a file. Give another path.")
    with tempfile.NamedTemporaryFile(dir=place):
        pass


def cannot_write(path: AnyPath, error: OSError) -> DataError:
    """The error of the package for one of the system."""
    return DataError(f"Cannot write {path}: {error.strerror or error}. Give another path.")
