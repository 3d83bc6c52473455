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


def text_files(
    path: str | Path, suffixes: Collection[str] = (), members: str = "*"
) -> Iterator[TextFile]:
    """Opens a file, or one after the other the files of a folder or zip file with given suffixes.

    Args:
      path: The file or folder. Whether a file is compressed is told from its content. Zip files in
        zip files are opened, too.
      suffixes: Suffixes of the files to open in a folder or zip file.
      members: Glob pattern of the names of the files to open in a zip file, without their folders.

    Raises:
      DataError: If there is no such file or folder, it cannot be opened, or no name matches.
    """
    for name, content in _unpacked(path, suffixes, members):
        yield TextFile(name, content)


def _unpacked(
    path: str | Path, suffixes: Collection[str], members: str
) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and content of each file that `text_files` opens."""
    path, files, found = Path(path), [Path(path)], False
    if not path.exists():
        raise DataError(f"{path} does not exist.")
    if path.is_dir():
        files = [f for f in sorted(path.rglob("*")) if f.is_file() and matches(f.name, suffixes)]
    for file in files:
        with converting(DataError, f"{file} cannot be opened", OSError):
            raw = file.open("rb")
        with raw:
            for name, content in unpack(str(file), raw, suffixes, members):
                found = True
                yield name, content
    if not found:
        ending = f"ending in {', '.join(sorted(suffixes))}"
        called = "" if members == "*" else f" named {members}"
        raise DataError(f"{path} holds no file{called} {ending}.")


def unpacked_sha256(path: str | Path, suffixes: Collection[str] = (), members: str = "*") -> str:
    """Hexadecimal SHA-256 of the unpacked content of the file that `text_files` opens.

    If there are several files, it is that of their checksums in ascending order, one per line. So
    it depends neither on the names of the files nor on how they are packed.

    Raises:
      DataError: If a file cannot be read.
    """
    digests = []
    with converting(DataError, f"{path} is damaged or truncated; fetch it again", *BROKEN):
        for _, content in _unpacked(path, suffixes, members):
            digests.append(hashlib.file_digest(content, "sha256").hexdigest())  # type: ignore
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()
