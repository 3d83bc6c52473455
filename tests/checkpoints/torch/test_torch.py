"""Beside PyTorch itself: it reads what is written here, and what it writes is read here."""

import pathlib
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from lagllama_jax.checkpoints.torch.archive import read_archive
from lagllama_jax.checkpoints.torch.converter import from_torch, to_torch
from tests.checkpoints.conftest import CHECKPOINTS, GOLDENS

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="the extra torch is not installed")


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_pytorch_reads_an_export_without_unpickling_any_class(
    name: str, mmap: bool, tmp_path: pathlib.Path
):
    original = read_archive(GOLDENS / f"{name}.ckpt", only=["state_dict"]).value["state_dict"]
    path = tmp_path / "export.ckpt"
    to_torch(path, *from_torch(GOLDENS / f"{name}.ckpt"))
    assert torch.serialization.get_unsafe_globals_in_checkpoint(path) == []
    loaded = torch.load(path, weights_only=True, mmap=mmap)
    assert list(loaded["state_dict"]) == list(original)
    for key, tensor in loaded["state_dict"].items():
        assert tensor.numpy().dtype == original[key].dtype
        np.testing.assert_array_equal(tensor.numpy(), original[key])
    options = loaded["hyper_parameters"]["model_kwargs"]
    assert (options["n_layer"], options["n_head"], options["n_embd_per_head"]) == (2, 2, 8)
    assert len(options["lags_seq"]) == 84


def test_the_recorded_checkpoints_themselves_are_refused_there():
    """What the export is for."""
    with pytest.raises(Exception, match="weights_only|Weights only"):
        torch.load(GOLDENS / "robust.ckpt", weights_only=True)


def odd_tensors() -> dict[str, Any]:
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    types = ["float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]
    types += ["complex64", "complex128"]
    return {
        "base": base,
        "transposed": base.T,
        "every second": base[1:, ::2],
        "expanded": base[:1].expand(3, 6),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(base + 1),
        "integer": torch.arange(3),
    } | {name: torch.tensor([0, 1, 3]).to(getattr(torch, name)) for name in types}


def test_odd_tensors_of_pytorch_are_read(tmp_path: pathlib.Path):
    tensors = odd_tensors()
    torch.save({"state": OrderedDict(tensors), "size": torch.Size([1, 2])}, tmp_path / "odd.pt")
    contents, unknown = read_archive(tmp_path / "odd.pt")
    assert unknown == ()
    assert contents["size"].arguments == ((1, 2),)
    assert list(contents["state"]) == list(tensors)
    for name, tensor in tensors.items():
        found = contents["state"][name]
        assert found.shape == tuple(tensor.shape)
        assert found.dtype.name == str(tensor.dtype).removeprefix("torch.")
        wide = found.astype(np.float32) if name == "bfloat16" else found
        expected = tensor.detach().float() if name == "bfloat16" else tensor.detach()
        np.testing.assert_array_equal(wide, expected.numpy())
    assert np.shares_memory(contents["state"]["base"], contents["state"]["transposed"])


def test_a_whole_module_stays_inert(tmp_path: pathlib.Path):
    torch.save({"module": torch.nn.Linear(2, 2)}, tmp_path / "module.pt")
    contents, unknown = read_archive(tmp_path / "module.pt")
    assert contents["module"].name == "torch.nn.modules.linear.Linear"
    assert "torch.nn.modules.linear.Linear" in unknown


def test_the_old_format_is_refused_with_the_remedy(tmp_path: pathlib.Path):
    path = tmp_path / "old.pt"
    torch.save({"a": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match=r"old\.pt: has the legacy format.*torch\.save"):
        read_archive(path)


def test_a_bare_state_dict_is_told_by_name(tmp_path: pathlib.Path):
    path = tmp_path / "bare.pt"
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(ValueError, match=r"bare\.pt: is a bare state_dict.*model_kwargs"):
        from_torch(path)


def test_wrapped_modules_of_pytorch_are_read(tmp_path: pathlib.Path):
    source, path = GOLDENS / "robust.ckpt", tmp_path / "wrapped.ckpt"
    to_torch(path, *from_torch(source))
    contents = torch.load(path, weights_only=True)
    contents["state_dict"] = OrderedDict(
        (f"module._orig_mod.{name}", tensor) for name, tensor in contents["state_dict"].items()
    )
    torch.save(contents, path)
    assert from_torch(path)[0] == from_torch(source)[0]
