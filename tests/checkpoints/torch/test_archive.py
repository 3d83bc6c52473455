"""PyTorch's archives: what is in them comes out, what is wrong with them is said."""

import pathlib
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lagllama_jax.checkpoints.folder import load_folder
from lagllama_jax.checkpoints.torch.archive import STORAGES, read_archive
from lagllama_jax.checkpoints.torch.writer import write_archive
from lagllama_jax.errors import CheckpointError, DataError
from tests.checkpoints.conftest import GOLDENS, global_name, plain, tensor_opcodes

Write = Callable[..., pathlib.Path]


def in_dictionary(**values: bytes) -> bytes:
    items = b"".join(plain(key) + value for key, value in values.items())
    return b"\x80\x02}(" + items + b"u."


PLAIN = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
TENSORS = st.sampled_from(sorted(map(str, STORAGES.values()))).flatmap(
    lambda name: arrays.arrays(
        "uint8", arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    ).map(lambda x: x.astype(np.dtype(name) if name != "bfloat16" else ml_dtypes.bfloat16))
)
TREES = st.recursive(
    PLAIN | st.text() | TENSORS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=3)
        | st.dictionaries(st.text(), inner, max_size=3).map(OrderedDict)
    ),
    max_leaves=8,
)


def assert_same(left: object, right: object) -> None:
    assert type(left) is type(right)
    if isinstance(left, np.ndarray):
        assert left.dtype == right.dtype
        assert left.shape == right.shape
        assert left.tobytes() == right.tobytes()
    elif isinstance(left, dict):
        assert list(left) == list(right)
        for key in left:
            assert_same(left[key], right[key])
    elif isinstance(left, list | tuple):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)
    else:
        assert left == right


@settings(max_examples=100, deadline=None)
@given(value=st.dictionaries(st.text(), TREES, max_size=4))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, value: dict):
    path = tmp_path_factory.mktemp("archive") / "written.ckpt"
    write_archive(path, value)
    assert_same(read_archive(path).value, value)


def test_the_same_content_gives_the_same_bytes(tmp_path: pathlib.Path):
    content = {"a": np.arange(3), "b": {"c": 1.5}}
    write_archive(tmp_path / "one.ckpt", content)
    write_archive(tmp_path / "two.ckpt", content)
    assert (tmp_path / "one.ckpt").read_bytes() == (tmp_path / "two.ckpt").read_bytes()


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_views_see_their_part_of_a_shared_storage(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    storage = np.arange(60, dtype=np.float32)
    shape = tuple(data.draw(st.lists(st.integers(1, 3), max_size=3)))
    strides = tuple(data.draw(st.integers(0, 8)) for _ in shape)
    offset = data.draw(st.integers(0, 10))
    opcodes = in_dictionary(
        view=tensor_opcodes("torch.FloatStorage", "7", 60, offset, shape, strides),
        whole=tensor_opcodes("torch.FloatStorage", "7", 60, 0, (60,), (1,)),
    )
    path = tmp_path_factory.mktemp("archive") / "shared.ckpt"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("some name/data.pkl", opcodes)
        out.writestr("some name/data/7", storage.tobytes())
    found = read_archive(path).value
    assert found["view"].shape == shape
    for place in np.ndindex(shape):
        expected = storage[offset + sum(i * s for i, s in zip(place, strides, strict=True))]
        assert found["view"][place] == expected
    assert np.shares_memory(found["view"], found["whole"])


def test_big_endian_numbers_are_turned(archive: Write):
    values = np.array([1.5, -2.25], ">f4")
    opcodes = in_dictionary(x=tensor_opcodes("torch.FloatStorage", "0", 2, 0, (2,), (1,)))
    path = archive(opcodes, {"0": values}, byteorder=b"big")
    np.testing.assert_array_equal(read_archive(path).value["x"], [1.5, -2.25])


@pytest.mark.parametrize("kind", ["ComplexFloat", "BFloat16", "Short", "Bool"])
def test_numbers_of_other_types_are_turned_too(kind: str, archive: Write):
    dtype = STORAGES[f"torch.{kind}Storage"]
    values = np.array([1, 0, 3]).astype(dtype) * np.array(1 - 2j if kind[0] == "C" else 1, dtype)
    part = 4 if kind == "ComplexFloat" else dtype.itemsize
    turned = values.view(np.uint8).reshape(-1, part)[:, ::-1].tobytes()
    opcodes = in_dictionary(x=tensor_opcodes(f"torch.{kind}Storage", "0", 3, 0, (3,), (1,)))
    found = read_archive(archive(opcodes, {"0": turned}, byteorder=b"big")).value["x"]
    assert found.dtype == dtype
    assert found.tobytes() == values.tobytes()


def test_parameters_come_out_as_what_they_hold(archive: Write):
    tensor = tensor_opcodes("torch.LongStorage", "0", 2, 0, (2,), (1,))
    rebuilt = global_name("torch._utils._rebuild_parameter") + b"(" + tensor + b"\x88Nt" + b"R"
    found = read_archive(archive(in_dictionary(x=rebuilt), {"0": np.array([4, 5])})).value
    np.testing.assert_array_equal(found["x"], [4, 5])


def test_an_ordered_dictionary_at_the_top_is_a_dictionary(archive: Write):
    tensor = tensor_opcodes("torch.LongStorage", "0", 2, 0, (2,), (1,))
    opcodes = b"\x80\x02" + global_name("collections.OrderedDict") + b")R" + plain("x") + tensor
    found = read_archive(archive(opcodes + b"s}b.", {"0": np.array([4, 5])})).value
    np.testing.assert_array_equal(found["x"], [4, 5])


def test_a_storage_has_one_type(archive: Write):
    first = tensor_opcodes("torch.FloatStorage", "0", 4, 0, (4,), (1,))
    for second in (("torch.IntStorage", "0", 4), ("torch.FloatStorage", "0", 3)):
        opcodes = in_dictionary(x=first, y=tensor_opcodes(*second, 0, (1,), (1,)))
        with pytest.raises(CheckpointError, match=r"made\.ckpt: the storage 0 of float32 has"):
            read_archive(archive(opcodes, {"0": np.zeros(4, np.float32)}))


def test_what_is_not_asked_for_is_not_read(archive: Write):
    opcodes = in_dictionary(
        wanted=plain(1), other=tensor_opcodes("torch.FloatStorage", "gone", 2, 0, (2,), (1,))
    )
    assert read_archive(archive(opcodes), only=["wanted"]).value == {"wanted": 1}


def test_a_thing_that_holds_itself_is_read(archive: Write):
    found = read_archive(archive(b"\x80\x02}q\x05" + plain("me") + b"h\x05s.")).value
    assert found["me"]["me"] is found["me"]


FAULTS = {
    "its storage is missing": (("torch.FloatStorage", "9", 4, 0, (4,), (1,)), r"archive/data/9"),
    "its storage is too short": (("torch.FloatStorage", "0", 5, 0, (4,), (1,)), "bytes where"),
    "it reaches outside": (("torch.FloatStorage", "0", 4, 1, (4,), (1,)), "outside"),
    "its strides reach outside": (("torch.FloatStorage", "0", 4, 0, (2,), (4,)), "outside"),
    "it starts before its storage": (("torch.FloatStorage", "0", 4, -1, (2,), (1,)), "whole"),
    "it walks backwards": (("torch.FloatStorage", "0", 4, 3, (2,), (-1,)), "whole numbers"),
    "its axes do not match": (
        ("torch.FloatStorage", "0", 4, 0, (2, 2), (1,)),
        "too many axes, or others",
    ),
    "its type is unknown": (("torch.QInt8Storage", "0", 16, 0, (2,), (1,)), "not known here"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_tensor_is_refused_when(fault: str, archive: Write):
    tensor, message = FAULTS[fault]
    path = archive(in_dictionary(x=tensor_opcodes(*tensor)), {"0": np.zeros(4, np.float32)})
    with pytest.raises(CheckpointError, match=rf"made\.ckpt.*{message}"):
        read_archive(path)


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 0.999))
def test_a_truncated_file_is_refused(tmp_path_factory: pytest.TempPathFactory, share: float):
    content = (GOLDENS / "robust.ckpt").read_bytes()
    path = tmp_path_factory.mktemp("archive") / "cut.ckpt"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"cut\.ckpt.*Download it again"):
        read_archive(path)


def test_a_changed_number_is_noticed(tmp_path: pathlib.Path):
    content = bytearray((GOLDENS / "robust.ckpt").read_bytes())
    with zipfile.ZipFile(GOLDENS / "robust.ckpt") as file:
        place = file.getinfo("archive/data/6").header_offset + 1000
    content[place] ^= 1
    (tmp_path / "flipped.ckpt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"flipped\.ckpt.*CRC"):
        read_archive(tmp_path / "flipped.ckpt")


@pytest.mark.parametrize("content", [b"no zip", b"\x80\x02}."])
def test_what_is_no_zip_is_refused(tmp_path: pathlib.Path, content: bytes):
    (tmp_path / "odd.ckpt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"odd\.ckpt: not a whole zip"):
        read_archive(tmp_path / "odd.ckpt")


FOREIGN = {
    "empty": (b"", "is an empty file. Download it again"),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 29490000\n",
        "is a Git LFS pointer.*git lfs pull",
    ),
    "legacy": (
        pickle.dumps(0x1950A86A20F9469CFC6C, 2) + b"\x80\x02M\xe9\x03.",
        "has the legacy format.*torch.save",
    ),
    "page": (b"<!DOCTYPE html>\n<html><head>", "is a web page.*Download the file itself"),
    "page, indented": (b"\n  <html lang='en'>", "is a web page"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_another_kind_of_file_is_told_by_name_with_the_remedy(kind: str, tmp_path: pathlib.Path):
    content, message = FOREIGN[kind]
    for name, load in (("odd.ckpt", read_archive), ("model.safetensors", load_folder)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=rf"{name}: {message}"):
            load(tmp_path / name if load is read_archive else tmp_path)


def test_a_zip_of_something_else_is_refused(tmp_path: pathlib.Path):
    with zipfile.ZipFile(tmp_path / "odd.ckpt", "w") as out:
        out.writestr("notes.txt", "hello")
    with pytest.raises(CheckpointError, match=r"odd\.ckpt.*data\.pkl"):
        read_archive(tmp_path / "odd.ckpt")


def test_a_pickle_nested_without_end_is_refused(archive: Write):
    depth = 100_000
    path = archive(b"\x80\x02}" + plain("deep") + b"]" * depth + b"a" * (depth - 1) + b"s.")
    with pytest.raises(CheckpointError, match="nested too deeply"):
        read_archive(path)


def test_a_path_without_a_file_is_named(tmp_path: pathlib.Path):
    with pytest.raises(CheckpointError, match=r"gone\.ckpt: there is no such file"):
        read_archive(tmp_path / "gone.ckpt")


def test_a_value_that_has_no_plain_form_is_not_written(tmp_path: pathlib.Path):
    with pytest.raises(CheckpointError, match="cannot hold a object"):
        write_archive(tmp_path / "x.ckpt", {"a": object()})
    with pytest.raises(DataError, match="there is no folder"):
        write_archive(tmp_path / "gone/x.ckpt", {})
    assert list(tmp_path.iterdir()) == []
