"""Files made to exhaust memory or time are refused at once, within bounds of their own size."""

import json
import pathlib
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from lagllama_jax.checkpoints.folder import save_pretrained
from lagllama_jax.checkpoints.layout import rows
from lagllama_jax.checkpoints.torch.archive import read_archive
from lagllama_jax.checkpoints.torch.writer import write_archive
from lagllama_jax.config import LAGS, ModelConfig
from tests.checkpoints.conftest import GOLDENS, global_name, plain, tensor_opcodes
from tests.checkpoints.torch.test_converter import random_parameters

CONFIG = ModelConfig.tiny(num_layers=1)
OPTIONS = {"n_layer": 2, "n_head": 2, "n_embd_per_head": 8, "context_length": 32}
OPTIONS |= {"lags_seq": list(LAGS), "scaling": "robust", "time_feat": True}

MEMORY, ALLOWANCE = 100, 24 * 2**20
"""Bytes of memory per byte of a file, and beside it."""
SECONDS, PER_MEGABYTE = 2.0, 10.0
"""Time of the processor for a file, and for every megabyte of it."""

LOADING = """
import json, pathlib, resource, sys, time, tracemalloc
from lagllama_jax.checkpoints.hub import from_pretrained
import jax, safetensors.numpy
from_pretrained()
pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + 2**30
resource.setrlimit(resource.RLIMIT_AS, (most, most))
for path in sys.argv[1:]:
    begun = time.process_time()
    used = int(begun) + 100
    resource.setrlimit(resource.RLIMIT_CPU, (used, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    tracemalloc.start(1)
    try:
        from_pretrained(path)
        outcome = "loaded", ""
    except BaseException as error:
        outcome = type(error).__name__, str(error)[:2000]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(json.dumps([path, *outcome, peak, time.process_time() - begun]), flush=True)
"""


def entry(key: str, value: bytes) -> bytes:
    return plain(key) + value


def dictionary(*entries: bytes) -> bytes:
    return b"}(" + b"".join(entries) + b"u"


def checkpoint(state: bytes, options: bytes) -> bytes:
    inner = dictionary(entry("model_kwargs", options))
    outer = dictionary(entry("state_dict", state), entry("hyper_parameters", inner))
    return b"\x80\x02" + outer + b"."


def pickle_archive(opcodes: bytes, **storages: bytes) -> Callable[[pathlib.Path], None]:
    def write(path: pathlib.Path) -> None:
        with zipfile.ZipFile(path, "w") as out:
            out.writestr("archive/data.pkl", opcodes)
            for key, content in storages.items():
                out.writestr(f"archive/data/{key.removeprefix('_')}", content)

    return write


def keyed(key: bytes) -> Callable[[pathlib.Path], None]:
    """A checkpoint that uses a value as the key of a dictionary."""
    return pickle_archive(b"\x80\x02}" + key + b"Ns.")


def view(shape: tuple[int, ...], strides: tuple[int, ...], size: int = 1) -> bytes:
    return tensor_opcodes("torch.FloatStorage", "0", size, 0, shape, strides)


def repeated_numbers(path: pathlib.Path) -> None:
    """A whole model of 3 GiB, every tensor of which shows one number with stride 0."""
    config = ModelConfig(num_layers=1, num_heads=2, head_dim=4096)
    tensors = (
        entry(row.torch, view(row.torch_shape, (0,) * len(row.shape))) for row in rows(config)
    )
    options = plain(OPTIONS | {"n_layer": 1, "n_head": 2, "n_embd_per_head": 4096})
    pickle_archive(checkpoint(dictionary(*tensors), options), _0=b"\0" * 4)(path)


def repeated_views(path: pathlib.Path) -> None:
    """Layers of a model that all show the same storage."""
    config = ModelConfig(num_layers=150, num_heads=2, head_dim=64)
    size = max(int(np.prod(row.shape)) for row in rows(config))
    tensors = (
        entry(row.torch, view(shape, (shape[-1], 1)[-len(shape) :], size))
        for row in rows(config)
        for shape in [row.torch_shape]
    )
    options = plain(OPTIONS | {"n_layer": 150, "n_head": 2, "n_embd_per_head": 64})
    pickle_archive(checkpoint(dictionary(*tensors), options), _0=bytes(4 * size))(path)


def squeezed(member: str, opcodes: bytes = b"\x80\x02}.") -> Callable[[pathlib.Path], None]:
    def write(path: pathlib.Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            if member != "data.pkl":
                out.writestr(zipfile.ZipInfo("archive/data.pkl"), opcodes)
            with out.open(f"archive/{member}", "w") as file:
                if member == "data.pkl":
                    file.write(b"\x80\x02}" + b"K\x010" * 2**23 + b".")
                else:
                    file.write(bytes(50 * 2**20))

    return write


def overlapping(path: pathlib.Path) -> None:
    """Two thousand members that are all the same megabyte."""
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("archive/data.pkl", b"\x80\x02}.")
        out.writestr("archive/data/0", bytes(2**20))
        out.filelist.extend([out.getinfo("archive/data/0")] * 2_000)


def options_archive(**changes: Any) -> Callable[[pathlib.Path], None]:
    def write(path: pathlib.Path) -> None:
        contents = read_archive(GOLDENS / "robust.ckpt", only=["state_dict"]).value
        contents["hyper_parameters"] = {"model_kwargs": OPTIONS | changes}
        write_archive(path, contents)

    return write


def lists(levels: int) -> bytes:
    """Opcodes of a list that holds the same list twice, which holds the same list twice..."""
    return b"]" + b"q\x000]h\x00ah\x00a" * levels


def bomb_in_options(path: pathlib.Path) -> None:
    """Printing the option, as a message would, takes 2**60 steps."""
    options = plain(OPTIONS)[:-1] + b"X\x06\0\0\0n_head" + lists(60) + b"u"
    state = read_archive(GOLDENS / "robust.ckpt", only=["state_dict"]).value
    write_archive(path, state | {"hyper_parameters": {}})
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    inner = b"}" + plain("model_kwargs") + options + b"s"
    content = members["archive/data.pkl"]
    place = content.rindex(b"}(u")
    members["archive/data.pkl"] = content[:place] + inner + content[place + 3 :]
    with zipfile.ZipFile(path, "w") as new:
        for name, member in members.items():
            new.writestr(name, member)


def folder(
    config: dict[str, Any] | bytes | None = None, weights: bytes | None = None
) -> Callable[[pathlib.Path], None]:
    """A saved model with another configuration or weights file."""

    def write(path: pathlib.Path) -> None:
        save_pretrained(path, CONFIG, random_parameters(CONFIG))
        if isinstance(config, dict):
            fields = json.loads((path / "config.json").read_text()) | config
            (path / "config.json").write_text(json.dumps(fields))
        elif config is not None:
            (path / "config.json").write_bytes(config)
        if weights is not None:
            (path / "model.safetensors").write_bytes(weights)

    return write


def large_config(path: pathlib.Path) -> None:
    folder()(path)
    with (path / "config.json").open("ab") as file:
        file.truncate(100 * 2**20)


def header(**tensors: Any) -> bytes:
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text


def note(text: str) -> bytes:
    return save({"x": np.zeros(1, np.float32)}, metadata={"lagllama_jax": text})


def colliding() -> Iterable[bytes]:
    """Whole numbers whose hashes are all 0."""
    return (plain((2**61 - 1) * k) + b"N" for k in range(1, 30_000))


NAMES = plain("x" * 50_000) + b"q\x08" + plain("y" * 50_000) + b"q\x09"
LONG = b"(" + b"N" * 20_000 + b"tq\x080"
CALLED = global_name("torch.Size")

HOSTILE: dict[str, Callable[[pathlib.Path], None]] = {
    "a number repeated by stride 0": repeated_numbers,
    "many views of one storage": repeated_views,
    "a deflated pickle": squeezed("data.pkl"),
    "a deflated storage": squeezed(
        "data/0", checkpoint(dictionary(entry("x", view((1,), (1,), 50 * 2**18))), b"}")
    ),
    "a deflated byte order": squeezed("byteorder"),
    "members that overlap": overlapping,
    "tuples nested by reference as a key": keyed(b")" + b"2\x86" * 60),
    "tuples nested 200,000 deep as a key": keyed(b")" + b"\x85" * 200_000),
    "a frozen set of nested tuples": keyed(b"()" + b"2\x86" * 60 + b"\x91"),
    "a set of nested tuples": pickle_archive(
        b"\x80\x02}" + plain("a") + b"\x8f(" + b")" + b"2\x86" * 60 + b"\x90s."
    ),
    "a call of set with nested tuples": pickle_archive(
        b"\x80\x02}"
        + plain("state_dict")
        + global_name("builtins.set")
        + b"]("
        + b")"
        + b"2\x86" * 60
        + b"e\x85Rs."
    ),
    "an ordered dictionary of nested tuples": pickle_archive(
        b"\x80\x02"
        + dictionary(
            entry(
                "state_dict",
                global_name("collections.OrderedDict") + b")R)" + b"2\x86" * 60 + b"Ns",
            )
        )
        + b"."
    ),
    "pairs with nested tuples in the place of a dictionary": pickle_archive(
        checkpoint(b"](" + b")" + b"2\x86" * 60 + b"N\x86e", b"}")
    ),
    "numbers with equal hashes as keys": pickle_archive(
        b"\x80\x02" + dictionary(*colliding()) + b"."
    ),
    "a list nested by reference as an option": bomb_in_options,
    "a list nested by reference as a name": pickle_archive(
        b"\x80\x04}" + lists(60) + plain("x") + b"\x93Ns."
    ),
    "a list nested by reference as a storage's key": pickle_archive(
        checkpoint(
            dictionary(
                entry(
                    "x",
                    view((1,), (1,)).replace(plain("0") + plain("cpu"), lists(60) + b"N"),
                )
            ),
            b"}",
        )
    ),
    "a long name again and again": pickle_archive(
        b"\x80\x04" + NAMES + b"h\x08h\x09\x930" * 50_000 + b"}."
    ),
    "a chain of calls": pickle_archive(
        b"\x80\x02}" + plain("state_dict") + CALLED + b")R" * 60_000 + b"s."
    ),
    "many calls with the same long arguments": pickle_archive(
        b"\x80\x02"
        + LONG
        + b"}"
        + plain("state_dict")
        + b"]("
        + CALLED
        + b"q\x09h\x08R"
        + b"h\x09h\x08R" * 20_000
        + b"es."
    ),
    "many sizes with the same long list": pickle_archive(
        b"\x80\x02]("
        + b"N" * 20_000
        + b"e\x85q\x080}"
        + plain("state_dict")
        + b"]("
        + CALLED
        + b"q\x09h\x08R"
        + b"h\x09h\x08R" * 20_000
        + b"es."
    ),
    "an absurd place in the memo": pickle_archive(b"\x80\x02}r\xff\xff\xff\x7f."),
    "a length of 2**62": pickle_archive(b"\x80\x04}\x8d" + struct.pack("<Q", 2**62) + b"x."),
    "a shape of 2**70": pickle_archive(
        checkpoint(dictionary(entry("x", view((2**70,), (0,)))), b"}")
    ),
    "an empty shape of 2**200": pickle_archive(
        checkpoint(dictionary(entry("x", view((0, *[2**40] * 5), (0,) * 6))), b"}")
    ),
    "a shape of 50,000 axes": pickle_archive(
        checkpoint(dictionary(entry("x", view((2,) * 50_000, (0,) * 50_000))), b"}")
    ),
    "a storage of 2**47 numbers": pickle_archive(
        checkpoint(dictionary(entry("x", view((1,), (1,), 2**47))), b"}"), _0=b"\0" * 4
    ),
    "options of 10**9 layers": options_archive(n_layer=10**9),
    "options of 10**9 heads": options_archive(n_head=10**9),
    "options of heads of 10**9": options_archive(n_embd_per_head=10**9),
    "options of a context of 10**9": options_archive(context_length=10**9),
    "options of a lag of 10**9": options_archive(lags_seq=[0, 10**9]),
    "options of 2**2000 layers": options_archive(n_layer=2**2000),
    "options of a text of a megabyte": options_archive(scaling="x" * 2**20),
    "a configuration of 10**9 layers": folder({"num_layers": 10**9}),
    "a configuration of 10**9 heads": folder({"num_heads": 10**9}),
    "a configuration of heads of 10**9": folder({"head_dim": 10**9}),
    "a configuration of heads of 10**4000": folder({"head_dim": 10**4000}),
    "a configuration of a context of 10**9": folder({"context_length": 10**9}),
    "a configuration of a window of 10**9": folder({"attention_window": 10**9}),
    "a configuration of a lag of 10**9": folder({"lags": [0, 10**9]}),
    "a configuration of 5,000 digits": folder(b'{"num_layers": ' + b"9" * 5000 + b"}"),
    "a configuration nested without end": folder(b"[" * 300_000),
    "a configuration of 100 MiB": large_config,
    "a header of 2**62 bytes": folder(weights=struct.pack("<Q", 2**62) + b"{}"),
    "a header of 99 MB": folder(weights=struct.pack("<Q", 99 * 10**6) + b"{}"),
    "tensors that overlap": folder(
        weights=header(
            **{
                str(k): {"dtype": "F32", "shape": [1000], "data_offsets": [0, 4000]}
                for k in range(1000)
            }
        )
        + bytes(4000)
    ),
    "a tensor of 2**80 numbers": folder(
        weights=header(x={"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]})
        + b"0000"
    ),
    "an empty tensor of 2**80": folder(
        weights=header(x={"dtype": "F32", "shape": [0, 2**40, 2**40], "data_offsets": [0, 0]})
    ),
    "a note nested without end": folder(weights=note("[" * 10**6)),
    "a note of an endless version": folder(weights=note('{"format": 1e999}')),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    """Loads every file in one process that may not grow by more than a gibibyte."""
    root, paths = tmp_path_factory.mktemp("hostile"), {}
    for index, (name, write) in enumerate(HOSTILE.items()):
        path = root / f"{index}.ckpt"
        write(path)
        paths[str(path)] = name
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOADING, *paths], capture_output=True, text=True
    )
    found = {}
    for line in done.stdout.splitlines():
        path, *outcome = json.loads(line)
        size = sum(
            file.stat().st_size for file in [pathlib.Path(path), *pathlib.Path(path).glob("*")]
        )
        found[paths[path]] = [*outcome, size]
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_within_bounds_of_its_size(name: str, outcomes: dict[str, list]):
    assert name in outcomes, f"the process ended; the last it did was {list(outcomes)[-1]}"
    kind, message, peak, seconds, size = outcomes[name]
    assert kind == "CheckpointError", message
    assert peak < MEMORY * size + ALLOWANCE
    assert seconds < SECONDS + PER_MEGABYTE * size / 2**20
    assert len(message) < 1000
