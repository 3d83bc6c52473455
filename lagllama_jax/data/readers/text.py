"""Lines of text files that lie plain, gzipped, in a zip or in a folder, with their numbers."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from lagllama_jax.errors import DataError

BROKEN = (EOFError, OSError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError)
"""What the standard library raises on a file that is truncated, damaged or locked."""


class Line(NamedTuple):
    """One line that is not blank."""

    number: int
    text: str


class TextFile(NamedTuple):
    """One text file; iterate over `lines` once, before the next file is asked for.

    Attributes:
      name: its path, with `/member` for a file in a zip.
      lines: without line ends; blank ones are left out but counted.
    """

    name: str
    lines: Iterator[Line]


def text_files(path: str | Path, suffixes: Collection[str] = ()) -> Iterator[TextFile]:
    """Opens one file, or in turn those of a folder or a zip that end in one of `suffixes`.

    Compression is told by content, not by name. Zips in zips are opened too.

    Raises:
      DataError: nothing there, no file of these suffixes, or (while reading) a file that is
        empty, damaged, truncated or not text.
    """
    path = Path(path)
    found = False
    for member in _members(path, suffixes):
        with _opened(member) as raw:
            for file in _unpack(str(member), raw, suffixes):
                found = True
                yield file
    if not found:
        raise DataError(f"{path} holds no file ending in {', '.join(sorted(suffixes))}.")


def _members(path: Path, suffixes: Collection[str]) -> list[Path]:
    if path.is_dir():
        files = (file for file in sorted(path.rglob("*")) if file.is_file())
        return [file for file in files if _matches(file.name, suffixes)]
    if not path.exists():
        raise DataError(f"{path} does not exist.")
    return [path]


def _matches(name: str, suffixes: Collection[str]) -> bool:
    name = name.lower().removesuffix(".gz")
    return not suffixes or name.endswith((*suffixes, ".zip"))


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror}.") from error


def _unpack(name: str, raw: IO[bytes], suffixes: Collection[str]) -> Iterator[TextFile]:
    magic = raw.read(4)
    raw.seek(0)
    if magic == b"PK\x03\x04":
        yield from _unzip(name, raw, suffixes)
    elif magic[:2] == b"\x1f\x8b":
        with gzip.open(raw) as unpacked:
            yield TextFile(name, _lines(name, unpacked))
    else:
        yield TextFile(name, _lines(name, raw))


def _unzip(name: str, raw: IO[bytes], suffixes: Collection[str]) -> Iterator[TextFile]:
    try:
        archive = zipfile.ZipFile(raw)
        for member in archive.namelist():
            if not member.endswith("/") and _matches(member, suffixes):
                with archive.open(member) as inner:
                    yield from _unpack(f"{name}/{member}", inner, suffixes)
    except BROKEN as error:
        raise DataError(f"{name} is no whole zip file: {error}. Fetch it again.") from error


def _lines(name: str, raw: IO[bytes] | gzip.GzipFile) -> Iterator[Line]:
    number, empty = 0, True
    try:
        with io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace") as text:
            for number, line in enumerate(text, start=1):  # noqa: B007
                if "\0" in line:
                    raise DataError(f"{name}, line {number}: not text. Is this another format?")
                if line.strip():
                    empty = False
                    yield Line(number, line.rstrip("\r\n"))
    except BROKEN as error:
        raise DataError(
            f"{name} is damaged or truncated after line {number}: {error}. Fetch it again."
        ) from error
    if empty:
        raise DataError(f"{name} is empty.")
