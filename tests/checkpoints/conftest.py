"""Recorded checkpoints, and archives made by hand to be odd or hostile."""

import os
import pathlib
import pickle
import zipfile
from collections.abc import Callable

import numpy as np
import pytest

GOLDENS = pathlib.Path(__file__).resolve().parent.parent / "goldens"
CHECKPOINTS = sorted(path.stem for path in GOLDENS.glob("*.ckpt"))
RECORDED = sorted(path.stem for path in GOLDENS.glob("*.ckpt") if path.with_suffix(".npz").exists())


def global_name(name: str) -> bytes:
    """The opcode that asks for `module.name`."""
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def plain(value: object) -> bytes:
    """Opcodes of a plain value."""
    return pickle.dumps(value, protocol=2)[2:-1]


def tensor_opcodes(
    storage: str, key: str, size: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> bytes:
    """Opcodes of a tensor as torch.save writes them."""
    reference = b"(" + plain("storage") + global_name(storage)
    reference += plain(key) + plain("cpu") + plain(size) + b"tQ"
    rest = plain(offset) + plain(shape) + plain(strides) + b"\x89"
    rest += global_name("collections.OrderedDict") + b")R"
    return global_name("torch._utils._rebuild_tensor_v2") + b"(" + reference + rest + b"tR"


@pytest.fixture
def archive(tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    """Writes a zip with a pickle's opcodes and raw storages."""

    def write(
        opcodes: bytes, storages: dict[str, np.ndarray | bytes] | None = None, **files: bytes
    ) -> pathlib.Path:
        path = tmp_path / "made.ckpt"
        with zipfile.ZipFile(path, "w") as out:
            out.writestr("archive/data.pkl", opcodes)
            for key, content in (storages or {}).items():
                raw = content if isinstance(content, bytes) else content.tobytes()
                out.writestr(f"archive/data/{key}", raw)
            for name, content in files.items():
                out.writestr(f"archive/{name}", content)
        return path

    return write


@pytest.fixture(scope="session", params=[*RECORDED, "released_shape"])
def recorded(request: pytest.FixtureRequest) -> pathlib.Path:
    """Each recorded checkpoint that has results beside it."""
    if request.param in RECORDED:
        return GOLDENS / f"{request.param}.ckpt"
    default = GOLDENS.parent.parent / "../shared"
    folder = pathlib.Path(os.environ.get("LAGLLAMA_SHARED", default)) / "golden"
    path = folder / f"{request.param}.ckpt"
    if not path.is_file():
        pytest.skip(f"{path} is absent: too big for the repository (set LAGLLAMA_SHARED)")
    return path
