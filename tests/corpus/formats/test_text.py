import gzip
import zipfile

import hypothesis.strategies as st
import pytest
from hypothesis import given

from lagllama_jax.corpus.formats.text import text_files
from lagllama_jax.errors import DataError


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


def test_binary_content_is_told_from_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"PAR1\n\0\0\0\0")
    with pytest.raises(DataError, match="a.txt, line 2: not text"):
        lines(tmp_path / "a.txt")


def test_a_zip_without_such_a_file_says_which_suffix_it_lacks(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "1")
    with pytest.raises(DataError, match=r"a\.zip holds no file ending in \.txt"):
        lines(tmp_path / "a.zip")
