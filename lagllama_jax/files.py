"""Writes files completely or not at all, and checks outputs before the work begins."""

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
"""Error codes of writing for which Python does not give the name of the file."""


@contextlib.contextmanager
def atomic_path(path: AnyPath) -> Iterator[Path]:
    """Yields a temporary path in the same folder, and renames it to `path` if the block succeeds.

    The temporary path has the suffix of `path`, because some writers choose the format by it. If
    the block fails or the process is stopped, `path` is unchanged.

    Args:
      path: The file to write. Its folder must exist.

    Raises:
      DataError: If `path` cannot be written. The message names the path and the reason.
    """
    target = _check_place(path)
    temporary = target.with_name(f".{target.stem}.{uuid.uuid4().hex[:8]}{target.suffix}")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        full = error.filename is None and error.errno in _DEVICE_ERRORS
        if not full and error.filename not in (str(temporary), os.fspath(path)):
            raise  # the error has another cause inside the block
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: AnyPath, content: bytes) -> None:
    """Writes a file completely or not at all (see `atomic_path`).

    Raises:
      DataError: If the file cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_rows(path: AnyPath, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Writes rows to a CSV file, completely or not at all (see `atomic_path`).

    Args:
      path: The file. Its folder must exist.
      rows: The values of each row by column. Other columns than `columns` are left out, and missing
        values become empty cells.
      columns: Names of the columns of the file, in order.

    Raises:
      DataError: If the file cannot be written.
    """
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        table = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def read_rows(path: AnyPath) -> list[dict[str, str]]:
    """Reads the rows of a CSV file that `write_rows` wrote, with each cell as text."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def make_folder(folder: Path) -> None:
    """Creates a folder and its parents if they do not exist.

    Raises:
      DataError: If the folder cannot be created.
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
      files: Files to write. Their folders must exist. `None` entries are ignored.
      folders: Folders to write into. They need not exist, and are not created here. `None` entries
        are ignored.
      inputs: Files and folders to read. An output must not be one of them.

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
    """An object that is equal for two paths if they lead to the same file, also through links."""
    try:
        found = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def _check_place(path: AnyPath) -> Path:
    """Returns the file that a path leads to, after a check that it can be replaced.

    Raises:
      DataError: If the path is not a regular file, or its folder does not exist.
    """
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
    """Converts an error of the operating system to a `DataError` that names the path."""
    return DataError(f"Cannot write {path}: {error.strerror or error}. Give another path.")
