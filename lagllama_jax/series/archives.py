"""Opens files that may be compressed or in zip files, and decodes text in any usual encoding."""

import bz2
import fnmatch
import gzip
import io
import lzma
import re
import warnings
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow

from lagllama_jax.errors import DataError, converting

BROKEN = (
    *(EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pyarrow.ArrowException),
    *(RuntimeError, NotImplementedError),
)
"""Errors of the standard library and Arrow for a file that is truncated, damaged or locked."""
COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")
"""Suffixes of compressed files."""
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_FOREIGN = re.compile(r"[^\x00-\x7f]{3}|[\x80-\x9f\x00-\x08\x0e-\x1f]")


def unpack(
    name: str, raw: IO[bytes], suffixes: Collection[str], members: str = "*"
) -> Iterator[tuple[str, IO[bytes]]]:
    """Opens a file, or the files with given suffixes in a zip file, and in zip files within it.

    Whether a file is compressed is told from its content. Hidden files, such as those that macOS
    adds to zip files, are ignored, and so are files of a zip file whose own name does not match the
    glob pattern `members`.

    Raises:
      DataError: If a zip file is damaged.
    """
    magic = raw.read(6)
    raw.seek(0)
    if magic[:4] == b"PK\x03\x04":
        with converting(DataError, f"{name} is no whole zip file; fetch it again", *BROKEN):
            archive = zipfile.ZipFile(raw)
            for member in archive.namelist():
                if _is_wanted(member, suffixes, members):
                    with archive.open(member) as inner:
                        yield from unpack(f"{name}/{member}", inner, suffixes, members)
        return
    with _decompressor(magic, raw) as unpacked:
        yield name, unpacked


def _decompressor(magic: bytes, raw: IO[bytes]) -> Any:
    if magic[:2] == b"\x1f\x8b":
        return gzip.open(raw)
    if magic[:3] == b"BZh":
        return bz2.open(raw)
    if magic == b"\xfd7zXZ\0":
        return lzma.open(raw)
    if magic[:4] == b"\x28\xb5\x2f\xfd":
        return pyarrow.CompressedInputStream(raw, "zstd")
    return raw


def plain_name(name: str) -> str:
    """A file name in lower case, without the suffix of its compression."""
    name = name.lower()
    return name.removesuffix(next((end for end in COMPRESSED if name.endswith(end)), ""))


def matches(name: str, suffixes: Collection[str]) -> bool:
    """Whether a file name has one of the suffixes, or is a zip file."""
    whole = name.lower().endswith(".zip")
    return not suffixes or whole or plain_name(name).endswith(tuple(suffixes))


def unread_members(path: Path, suffixes: Collection[str], members: str = "*") -> list[str]:
    """Names of the files in a zip file, and in zip files within it, that `unpack` leaves out.

    Hidden files are not named. A file that is no zip file has none.

    Raises:
      DataError: If a zip file cannot be opened or is damaged.
    """
    with converting(DataError, f"{path} is no whole zip file; fetch it again", *BROKEN):
        return list(_unread(path, suffixes, members)) if zipfile.is_zipfile(path) else []


def _unread(source: Any, suffixes: Collection[str], members: str) -> Iterator[str]:
    with zipfile.ZipFile(source) as archive:
        for member in filter(_is_shown, archive.namelist()):
            if not _is_wanted(member, suffixes, members):
                yield member
            elif member.lower().endswith(".zip"):
                with archive.open(member) as inner:
                    if zipfile.is_zipfile(inner):
                        yield from _unread(inner, suffixes, members)


def _is_shown(member: str) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in member.split("/"))
    return not hidden and not member.endswith("/")


def _is_wanted(member: str, suffixes: Collection[str], members: str) -> bool:
    name = member.rsplit("/", 1)[-1].lower()
    named = name.endswith(".zip") or fnmatch.fnmatchcase(plain_name(name), members.lower())
    return _is_shown(member) and named and matches(member, suffixes)


def read_only_table(path: Path, suffixes: Collection[str], most_bytes: int | None = None) -> bytes:
    """The content of a file, unpacked, or of the only file with a suffix in a zip file.

    Args:
      path: Path of the file.
      suffixes: Suffixes of tables.
      most_bytes: Largest number of bytes that are unpacked. `None`: there is no limit.

    Raises:
      DataError: If the file cannot be opened or unpacked, unpacks to more than `most_bytes`, or is
        a zip file with several tables.
    """
    with converting(DataError, f"Cannot open {path}", OSError):
        raw = path.open("rb")
    found, left = [], most_bytes
    with raw, converting(DataError, f"Cannot read {path}: it is damaged or truncated", *BROKEN):
        for name, stream in unpack(path.name, raw, suffixes):
            content = stream.read() if left is None else stream.read(left + 1)
            if left is not None:
                left -= len(content)
                check_unpacked(path, left >= 0, most_bytes)
            found.append((name, content))
    if len(found) > 1:  # notes beside a table
        filled = [(name, content) for name, content in found if content.strip()]
        tables = [one for one in filled if not plain_name(one[0]).endswith(".txt")]
        if len(tables) == 1 < len(filled):
            other = ", ".join(name for name, _ in filled if name != tables[0][0])
            warnings.warn(f"{tables[0][0]} was read, and {other} left out.", stacklevel=2)
        found = tables if len(tables) == 1 else filled
    if len(found) == 1:
        return found[0][1]
    listed = ", ".join(name.partition("/")[2] for name, _ in found[:5])
    raise DataError(
        f"{path} holds {len(found)} tables ({listed or 'none'}), and one was expected. Unpack it, "
        "and give the file to read."
    )


def check_unpacked(path: Path, fits: bool, most_bytes: int | None) -> None:
    """Raises `DataError` unless the content of a file fits in a number of bytes."""
    if not fits:
        raise DataError(
            f"{path} unpacks to more than {most_bytes:,} bytes, which is the limit here: give "
            "fewer rows."
        )


def encoding_of(content: bytes) -> str:
    """The encoding of text by its mark, or by the NUL bytes of UTF-16. Otherwise UTF-8."""
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return encoding
    even, odd = content[:4096:2], content[1:4096:2]
    for zeros, others, encoding in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if len(zeros) > 3 and zeros.count(0) > 0.5 * len(zeros) and others.count(0) == 0:
            return encoding
    return "utf-8"


def decode(content: bytes, name: str, encoding: str | None = None) -> bytes:
    """Converts text to UTF-8 with line feeds. NUL bytes at its end are left out.

    Text that is neither UTF-8 nor UTF-16 is read as cp1252, with a warning, if it looks like it.

    Raises:
      DataError: If the content is empty, or not text in a known encoding.
    """
    given, guessed, encoding = encoding, False, encoding or encoding_of(content)
    try:
        text = content.decode(encoding)
    except LookupError as error:
        raise DataError(
            f"There is no encoding {given!r}. Write utf-8, cp1252 or the like."
        ) from error
    except UnicodeDecodeError as error:
        if given is not None or encoding != "utf-8":
            raise DataError(f"{name} is not text in {encoding}: {error.reason}.") from error
        text, guessed = _western(content, name, error), True
    if "\0" in text.rstrip("\0"):
        raise DataError(f"{name} is not text. Is this another format?")
    if not text.strip("\0\ufeff \t\r\n"):
        raise DataError(f"{name} is empty: it should have a line of column names.")
    if "\r" in text and "\n" not in text:
        text = text.replace("\r", "\n")
    elif encoding == "utf-8" and not guessed and text[-1] != "\0":
        return content
    return text.rstrip("\0").encode()


def _western(content: bytes, name: str, error: UnicodeDecodeError) -> str:
    if b"\0" in content:
        raise DataError(f"{name} is not text. Is this another format?") from error
    text = content.decode("cp1252", errors="replace")
    line = content.count(b"\n", 0, error.start) + 1
    remedy = "Save the file as UTF-8, or give its encoding (encoding)"
    if "\ufffd" in text or _FOREIGN.search(text):
        raise DataError(
            f"Cannot read {name}: line {line} is not UTF-8, and its encoding is unknown. {remedy}."
        )
    word = re.search(r"\w*[^\x00-\x7f]\w*", text)
    warnings.warn(
        f"{name} is not UTF-8 and was read as cp1252 (line {line}: {word and word[0]!r}). If this "
        f"is wrong: {remedy[0].lower()}{remedy[1:]}.",
        stacklevel=2,
    )
    return text


def text_stream(raw: IO[bytes]) -> io.TextIOWrapper:
    """A stream of the decoded text of a file. Bytes that cannot be decoded are replaced."""
    buffered = io.BufferedReader(raw)  # type: ignore[type-var]
    encoding = encoding_of(buffered.peek(4096))
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    return io.TextIOWrapper(buffered, encoding=encoding, errors="replace")
