"""Opens text files, including gzipped files and files in zip files and folders."""

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from lagllama_jax.errors import DataError, converting
from lagllama_jax.series.archives import BROKEN, decode, matches, text_stream, unpack


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

    def __init__(self, name: str, raw: IO[bytes]):
        self.name, self._raw = name, raw
        self.lines = self._read_lines()
        self._damaged = f"{name} is damaged or truncated; fetch it again"

    def content(self) -> bytes:
        """The whole file, unpacked and decoded to UTF-8."""
        with converting(DataError, self._damaged, *BROKEN):
            return decode(self._raw.read(), self.name)

    def _read_lines(self) -> Iterator[Line]:
        empty = True
        with (
            converting(DataError, self._damaged, *BROKEN),
            text_stream(self._raw) as text,
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
        files = [f for f in sorted(path.rglob("*")) if f.is_file() and matches(f.name, suffixes)]
    for file in files:
        with converting(DataError, f"{file} cannot be opened", OSError):
            raw = file.open("rb")
        with raw:
            for name, content in unpack(str(file), raw, suffixes):
                found = True
                yield TextFile(name, content)
    if not found:
        raise DataError(f"{path} holds no file ending in {', '.join(sorted(suffixes))}.")


def unpacked_sha256(path: str | Path, suffixes: Collection[str] = ()) -> str:
    """Hexadecimal SHA-256 of the unpacked content of the one file that `text_files` opens.

    Raises:
      DataError: If there are several files, or a file cannot be read.
    """
    contents = (file.content() for file in text_files(path, suffixes))
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    if len(digests) != 1:
        raise DataError(f"{path} holds {len(digests)} files, and one was expected.")
    return digests[0]
