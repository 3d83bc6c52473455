"""Opens text files, including gzipped files and files in zip files and folders."""

import gzip
import hashlib
import io
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from lagllama_jax.errors import DataError

BROKEN = (EOFError, OSError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError)
"""Errors of the standard library for a file that is truncated, damaged or locked."""

Bytes = IO[bytes] | gzip.GzipFile


class Line(NamedTuple):
    """One line that is not blank."""

    number: int
    text: str


class TextFile:
    """An open text file.

    Read either `lines` or `content`, once, before the next file is opened.

    Attributes:
      name: Path of the file, followed by `/member` for a file in a zip file.
      lines: Iterator over the lines without line ends. Blank lines are skipped but counted.
    """

    def __init__(self, name: str, raw: Bytes):
        self.name = name
        self.lines = _lines(name, raw)
        self._raw = raw

    def content(self) -> io.BytesIO:
        """The whole file, unpacked.

        Raises:
          DataError: If it is empty, damaged, truncated or not text.
        """
        try:
            content = self._raw.read()
        except BROKEN as error:
            raise DataError(
                f"{self.name} is damaged or truncated: {error}. Fetch it again."
            ) from error
        if b"\0" in content:
            raise DataError(f"{self.name} is not text. Is this another format?")
        if not content.strip():
            raise DataError(f"{self.name} is empty.")
        return io.BytesIO(content)


def text_files(path: str | Path, suffixes: Collection[str] = ()) -> Iterator[TextFile]:
    """Opens a file, or one after the other the files of a folder or zip file with given suffixes.

    Whether a file is compressed is decided by its content, not by its name. Zip files in zip files
    are opened, too.

    Raises:
      DataError: If there is no such file or folder, or no file has one of the suffixes. It is also
        raised while a file is read, if the file is empty, damaged, truncated or not text.
    """
    for name, content in _contents(Path(path), suffixes):
        yield TextFile(name, content)


def unpacked_sha256(path: str | Path, suffixes: Collection[str] = ()) -> str:
    """Hexadecimal SHA-256 of the unpacked content of the one file that `text_files` opens.

    Raises:
      DataError: As for `text_files`, or if there are several files.
    """
    contents = (file.content().getbuffer() for file in text_files(path, suffixes))
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    if len(digests) != 1:
        raise DataError(f"{path} holds {len(digests)} files, and one was expected.")
    return digests[0]


def _contents(path: Path, suffixes: Collection[str]) -> Iterator[tuple[str, Bytes]]:
    found = False
    for member in _members(path, suffixes):
        with _opened(member) as raw:
            for named in _unpack(str(member), raw, suffixes):
                found = True
                yield named
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


def _unpack(name: str, raw: IO[bytes], suffixes: Collection[str]) -> Iterator[tuple[str, Bytes]]:
    magic = raw.read(4)
    raw.seek(0)
    if magic == b"PK\x03\x04":
        yield from _unzip(name, raw, suffixes)
    elif magic[:2] == b"\x1f\x8b":
        with gzip.open(raw) as unpacked:
            yield name, unpacked
    else:
        yield name, raw


def _unzip(name: str, raw: IO[bytes], suffixes: Collection[str]) -> Iterator[tuple[str, Bytes]]:
    try:
        archive = zipfile.ZipFile(raw)
        for member in archive.namelist():
            if not member.endswith("/") and _matches(member, suffixes):
                with archive.open(member) as inner:
                    yield from _unpack(f"{name}/{member}", inner, suffixes)
    except BROKEN as error:
        raise DataError(f"{name} is no whole zip file: {error}. Fetch it again.") from error


def _lines(name: str, raw: Bytes) -> Iterator[Line]:
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
