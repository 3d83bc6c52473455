"""Opens text files, including gzipped files and files in zip files and folders."""

import gzip
import hashlib
import io
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from lagllama_jax.errors import DataError, converting

BROKEN = (EOFError, OSError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError)
"""Errors of the standard library for a file that is truncated, damaged or locked."""

Bytes = IO[bytes] | gzip.GzipFile


class Line(NamedTuple):
    """One line that is not blank."""

    number: int
    text: str


class TextFile:
    """An open text file.

    Read either `lines` or `content`, once, before the next file is opened. Both raise `DataError`
    if the file is empty, damaged, truncated or not text.

    Attributes:
      name: Path of the file, followed by `/member` for a file in a zip file.
      lines: Iterator over the lines without line ends. Blank lines are skipped but counted.
    """

    def __init__(self, name: str, raw: Bytes):
        self.name, self._raw = name, raw
        self.lines = self._read_lines()
        self._damaged = f"{name} is damaged or truncated; fetch it again"

    def content(self) -> io.BytesIO:
        """The whole file, unpacked."""
        with converting(DataError, self._damaged, *BROKEN):
            content = self._raw.read()
        if b"\0" in content:
            raise DataError(f"{self.name} is not text. Is this another format?")
        if not content.strip():
            raise DataError(f"{self.name} is empty.")
        return io.BytesIO(content)

    def _read_lines(self) -> Iterator[Line]:
        empty = True
        with (
            converting(DataError, self._damaged, *BROKEN),
            io.TextIOWrapper(self._raw, encoding="utf-8-sig", errors="replace") as text,
        ):
            for number, line in enumerate(text, start=1):
                if "\0" in line:
                    raise DataError(
                        f"{self.name}, line {number}: not text. Is this another format?"
                    )
                if line.strip():
                    empty = False
                    yield Line(number, line.rstrip("\r\n"))
        if empty:
            raise DataError(f"{self.name} is empty.")


def text_files(path: str | Path, suffixes: Collection[str] = ()) -> Iterator[TextFile]:
    """Opens a file, or one after the other the files of a folder or zip file with given suffixes.

    Whether a file is compressed is told from its content. Zip files in zip files are opened, too.

    Raises:
      DataError: If there is no such file or folder, it cannot be opened, or no suffix matches.
    """
    path, files, found = Path(path), [Path(path)], False
    if not path.exists():
        raise DataError(f"{path} does not exist.")
    if path.is_dir():
        files = [f for f in sorted(path.rglob("*")) if f.is_file() and _matches(f.name, suffixes)]
    for file in files:
        with converting(DataError, f"{file} cannot be opened", OSError):
            raw = file.open("rb")
        with raw:
            for name, content in _unpack(str(file), raw, suffixes):
                found = True
                yield TextFile(name, content)
    if not found:
        raise DataError(f"{path} holds no file ending in {', '.join(sorted(suffixes))}.")


def unpacked_sha256(path: str | Path, suffixes: Collection[str] = ()) -> str:
    """Hexadecimal SHA-256 of the unpacked content of the one file that `text_files` opens.

    Raises:
      DataError: If there are several files, or a file cannot be read.
    """
    contents = (file.content().getbuffer() for file in text_files(path, suffixes))
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    if len(digests) != 1:
        raise DataError(f"{path} holds {len(digests)} files, and one was expected.")
    return digests[0]


def _matches(name: str, suffixes: Collection[str]) -> bool:
    name = name.lower().removesuffix(".gz")
    return not suffixes or name.endswith((*suffixes, ".zip"))


def _unpack(name: str, raw: IO[bytes], suffixes: Collection[str]) -> Iterator[tuple[str, Bytes]]:
    magic = raw.read(4)
    raw.seek(0)
    if magic == b"PK\x03\x04":
        with converting(DataError, f"{name} is no whole zip file; fetch it again", *BROKEN):
            archive = zipfile.ZipFile(raw)
            for member in archive.namelist():
                if not member.endswith("/") and _matches(member, suffixes):
                    with archive.open(member) as inner:
                        yield from _unpack(f"{name}/{member}", inner, suffixes)
    elif magic[:2] == b"\x1f\x8b":
        with gzip.open(raw) as unpacked:
            yield name, unpacked
    else:
        yield name, raw
