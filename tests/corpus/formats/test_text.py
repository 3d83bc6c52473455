import bz2
import gzip
import hashlib
import io
import lzma
import re
import zipfile

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import given

from lagllama_jax.corpus.formats.text import text_files, unpacked_sha256
from lagllama_jax.errors import DataError
from lagllama_jax.series.archives import unread_members


def lines(path, suffixes=(".txt",)):
    return [(line.number, line.text) for file in text_files(path, suffixes) for line in file.lines]


@given(st.lists(st.text("ab \t,", max_size=5)), st.sampled_from(["\n", "\r\n"]))
def test_lines_keep_their_numbers_whatever_is_blank(tmp_path_factory, written, end):
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(end.join(written).encode())
    expected = [(n, line) for n, line in enumerate(written, 1) if line.strip()]
    if expected:
        assert lines(path) == expected
    else:
        with pytest.raises(DataError, match="a.txt is empty"):
            lines(path)


def test_a_byte_order_mark_and_bytes_that_are_not_utf8_do_no_harm(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfx\nM\x96N\n")
    assert [text for _, text in lines(tmp_path / "a.txt")] == ["x", "M\N{REPLACEMENT CHARACTER}N"]


@given(st.data())
def test_a_truncated_gzip_names_the_file_and_never_passes_for_a_whole_one(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("text") / "a.txt.gz"
    whole = gzip.compress(b"".join(b"%d,%d\n" % (i, i * i) for i in range(200)), mtime=0)
    path.write_bytes(whole[: data.draw(st.integers(2, len(whole) - 1))])
    with pytest.raises(DataError, match=r"a\.txt\.gz is damaged or truncated"):
        lines(path)


def test_a_damaged_zip_names_the_file(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "1,2\n" * 5000)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="a.zip is no whole zip"):
        lines(path)
    path.write_bytes(whole[:60] + b"\0\1\2\3" + whole[64:])
    with pytest.raises(DataError, match="a.zip"):
        lines(path)


MEMBERS = ("a.csv", "folder/A.CSV", "b.csv", "notes.xlsx", "in.zip/a.csv", "in.zip/c.csv")


@given(st.sampled_from(["*", "a.csv", "[ab].csv", "?.csv"]), st.permutations(MEMBERS))
def test_of_a_zip_file_what_matches_is_read_and_all_else_is_named(tmp_path_factory, glob, members):
    path, inner = tmp_path_factory.mktemp("text") / "outer.zip", io.BytesIO()
    with zipfile.ZipFile(path, "w") as outer, zipfile.ZipFile(inner, "w") as archive:
        for member in (*members, "__MACOSX/a.csv"):
            inside = member.startswith("in.zip/")
            (archive if inside else outer).writestr(member.removeprefix("in.zip/"), "x\n")
        archive.close()
        outer.writestr("in.zip", inner.getvalue())
    read = {file.name.removeprefix(f"{path}/") for file in text_files(path, (".csv",), glob)}
    pattern = {"*": "[abc]", "?.csv": "[abc]", "a.csv": "a", "[ab].csv": "[ab]"}[glob]
    assert read == {m for m in members if re.search(rf"(^|/){pattern}\.csv$", m, re.IGNORECASE)}
    assert sorted(unread_members(path, (".csv",), glob)) == sorted(
        member.removeprefix("in.zip/") for member in set(members) - read
    )


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=3, unique=True))
def test_a_checksum_does_not_depend_on_how_the_files_are_packed(tmp_path_factory, contents):
    folder = tmp_path_factory.mktemp("text")
    contents = [b"1," + content for content in contents]  # not the mark of a packed file
    for number, content in enumerate(contents):
        (folder / f"{number}.csv").write_bytes(content)
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for number, content in enumerate(reversed(contents)):
            archive.writestr(f"x/{number}.csv", content)
    plain = unpacked_sha256(folder / "0.csv")
    assert plain == hashlib.sha256(contents[0]).hexdigest()
    for packed in (gzip.compress, bz2.compress, lzma.compress, pa.Codec("zstd").compress):
        (folder / "packed").write_bytes(bytes(memoryview(packed(contents[0]))))
        assert unpacked_sha256(folder / "packed") == plain
    whole = unpacked_sha256(folder / "all.zip", (".csv",))
    assert (whole == plain) == (len(contents) == 1)
    (folder / "all.zip").unlink()
    (folder / "packed").unlink()
    assert unpacked_sha256(folder, (".csv",)) == whole


def test_binary_content_is_told_from_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"PAR1\n\0\0\0\0")
    with pytest.raises(DataError, match="a.txt, line 2: not text"):
        lines(tmp_path / "a.txt")


def test_a_zip_without_such_a_file_says_which_suffix_it_lacks(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "1")
    with pytest.raises(DataError, match=r"a\.zip holds no file ending in \.txt"):
        lines(tmp_path / "a.zip")
