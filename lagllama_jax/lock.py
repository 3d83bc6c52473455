"""A lock on a folder, so that two processes do not write results into it at the same time."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from lagllama_jax.errors import DataError
from lagllama_jax.files import cannot_write, make_folder


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Locks a folder during the block, and creates the folder if it does not exist.

    The operating system releases the lock when the process ends in any way. A folder that was
    created here and is empty at the end of the block is removed.

    Args:
      folder: The folder.

    Raises:
      DataError: If another process holds the lock, or the folder cannot be written.
    """
    made = not folder.exists()
    make_folder(folder)
    path = folder / ".lock"
    descriptor = _acquire(path, folder)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows cannot remove an open file
            path.unlink()
        os.close(descriptor)
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _acquire(path: Path, folder: Path) -> int:
    """Locks the lock file of a folder and returns its file descriptor.

    Raises:
      DataError: If another process holds the lock, or the file cannot be written.
    """
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise cannot_write(path, error) from error
        if not _try_lock(descriptor):
            os.close(descriptor)
            raise DataError(
                f"Another process is writing to {folder}. Wait until it has ended, or give "
                "another folder."
            )
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        os.close(descriptor)  # the process that held the lock has removed the file


def _try_lock(descriptor: int) -> bool:
    """Tries to lock a file, and returns whether it succeeded.

    It fails if another process holds the lock. It always succeeds on a file system without locks.
    """
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES)
    return True
