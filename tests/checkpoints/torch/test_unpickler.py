"""A stranger's pickle is read and never obeyed."""

import builtins
import collections
import copyreg
import datetime
import decimal
import enum
import fractions
import functools
import inspect
import operator
import os
import pathlib
import pickle
import subprocess
import sys
import types
import typing
import uuid
import warnings
import zipfile
import zoneinfo
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.checkpoints.torch.archive import read_archive
from lagllama_jax.checkpoints.torch.converter import from_torch
from lagllama_jax.checkpoints.torch.unpickler import Record, unpickle
from lagllama_jax.errors import CheckpointError
from tests.checkpoints.conftest import GOLDENS, global_name, plain

CODE = 77


class Reduced:
    def __init__(self, call: Callable, *arguments: object) -> None:
        self.call = call, arguments

    def __reduce__(self):
        return self.call


def payloads(mark: pathlib.Path) -> dict[str, bytes]:
    """Pickles that create the file `mark` when an ordinary unpickler reads them."""
    command, shell = f"touch {mark}", plain(f"touch {mark}")
    system = global_name("os.system")
    touch = ["touch", str(mark)]
    stack_global = b"\x80\x04" + plain("os") + plain("system") + b"\x93" + shell + b"\x85R."
    popen = global_name("subprocess.Popen")
    return {
        "reduce": pickle.dumps(Reduced(os.system, command)),
        "reduce, old protocol": pickle.dumps(Reduced(os.system, command), protocol=0),
        "exec": pickle.dumps(
            Reduced(builtins.exec, f"import pathlib; pathlib.Path({str(mark)!r}).touch()")
        ),
        "stack global": stack_global,
        "inst": b"(" + shell + b"ios\nsystem\n.",
        "obj": b"(" + popen + plain(touch) + b"o.",
        "newobj": b"\x80\x02" + global_name("imposter.Eager") + shell + b"\x85\x81.",
        "newobj, keywords": b"\x80\x04"
        + global_name("imposter.Eager")
        + b")"
        + plain({"command": f"touch {mark}"})
        + b"\x92.",
        "attribute of a module": b"\x80\x04"
        + global_name("builtins.getattr")
        + global_name("importlib.import_module")
        + plain("os")
        + b"\x85R"
        + plain("system")
        + b"\x86R"
        + shell
        + b"\x85R.",
        "partial": b"\x80\x02"
        + global_name("functools.partial")
        + system
        + shell
        + b"\x86R"
        + b")R.",
        "state": b"\x80\x02" + global_name("imposter.Lazy") + b")\x81" + shell + b"b.",
        "extension": b"\x80\x02\x82" + bytes([CODE]) + shell + b"\x85R.",
    }


@pytest.fixture
def imposter(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Importable classes that run a command when made or filled, and an extension code."""
    (tmp_path / "imposter.py").write_text(
        "import os\n"
        "class Lazy:\n    def __setstate__(self, state): os.system(state)\n"
        "class Eager:\n    def __new__(cls, command): os.system(command)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    copyreg.add_extension("os", "system", CODE)
    yield
    copyreg.remove_extension("os", "system", CODE)
    sys.modules.pop("imposter", None)


@pytest.mark.parametrize("kind", payloads(pathlib.Path("mark")))
@pytest.mark.usefixtures("imposter")
def test_a_payload_that_an_unpickler_obeys_is_not_run_here(
    kind: str, tmp_path: pathlib.Path, archive: Callable[..., pathlib.Path]
):
    mark = tmp_path / "mark"
    payload = payloads(mark)[kind]
    process = pickle.loads(payload)
    if isinstance(process, subprocess.Popen):
        process.wait()
    assert mark.exists(), "the payload does not work, so that surviving it proves nothing"
    mark.unlink()
    sys.modules.pop("imposter", None)

    path = archive(payload)
    if b"imposter" in payload:
        with pytest.raises(CheckpointError, match=r"made\.ckpt.*no dictionary"):
            read_archive(path)
        (name,) = unpickle(payload, "x").unknown
        assert name.startswith("imposter.")
        assert "imposter" not in sys.modules
    else:
        with pytest.raises(CheckpointError, match=r"made\.ckpt: its pickle (asks for|uses)"):
            read_archive(path)
    assert not mark.exists()


def test_a_refusal_names_what_the_pickle_asked_for(archive: Callable[..., pathlib.Path]):
    path = archive(pickle.dumps({"state_dict": Reduced(os.system, "true")}))
    with pytest.raises(CheckpointError, match=r"(posix|nt)\.system.*Nothing was run"):
        from_torch(path)


def test_an_unknown_class_is_left_out_and_reported(tmp_path: pathlib.Path):
    source, path = GOLDENS / "robust.ckpt", tmp_path / "foreign.ckpt"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("data.pkl"):
                assert b"gluonts.torch.distributions.studentT" in content
                content = content.replace(b"gluonts.torch.distributions", b"stranger.distributions")
            new.writestr(name, content)
    with pytest.warns(UserWarning, match=r"stranger\.distributions\.studentT\.StudentTOutput"):
        config, _ = from_torch(path)
    assert config == from_torch(source)[0]


def test_calls_become_records_with_their_arguments():
    class Half:
        def __reduce__(self):
            return complex, (1, 2), {"extra": [3]}

    value, unknown = unpickle(pickle.dumps([Half(), {"a": (None, 1.5, "b", b"c")}]), "x")
    record, rest = value
    assert isinstance(record, Record)
    assert (record.name, record.arguments, record.state) == (
        "builtins.complex",
        (1, 2),
        {"extra": [3]},
    )
    assert rest == {"a": (None, 1.5, "b", b"c")}
    assert unknown == ()


def test_records_of_one_pickle_do_not_reach_another():
    defiled = global_name("torch.Size") + b"N" + plain({"name": "defiled"}) + b"\x86b."
    with pytest.raises(CheckpointError, match="damaged"):
        unpickle(defiled, "x")
    assert unpickle(global_name("torch.Size") + b")R.", "x").value.name == "torch.Size"


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
KEYS = st.text() | st.integers(-(2**59), 2**59) | st.booleans() | st.none()
BYTES = st.binary() | st.binary().map(bytearray) | st.sets(KEYS) | st.frozensets(KEYS)


def grow(inner: st.SearchStrategy) -> st.SearchStrategy:
    """Containers, also such as hold the same thing several times."""
    several = st.lists(inner, max_size=5)
    shared = inner.map(lambda value: [value, {"again": value}, (value,)])
    return several | several.map(tuple) | st.dictionaries(KEYS, inner, max_size=5) | shared


TREES = st.recursive(PLAIN | BYTES, grow)


@given(value=TREES)
def test_plain_values_are_read_as_by_python(value: object):
    data = pickle.dumps(value, 5)
    assert unpickle(data, "x") == (pickle.loads(data), ())


@given(value=st.recursive(PLAIN, grow), protocol=st.integers(0, 4))
def test_plain_values_of_older_protocols_are_read_as_by_python(value: object, protocol: int):
    data = pickle.dumps(value, protocol)
    assert unpickle(data, "x") == (pickle.loads(data), ())


@pytest.mark.parametrize("protocol", range(6))
def test_what_refers_to_itself_is_read_as_such(protocol: int):
    for made in ([], {}):
        inside = (made,)
        made.append(inside) if isinstance(made, list) else made.update(x=inside)
        for value in (made, inside):
            found = unpickle(pickle.dumps(value, protocol), "x").value
            outer = found if value is made else found[0]
            assert (outer[0] if isinstance(outer, list) else outer["x"])[0] is outer


ORDINARY = [
    int,
    type(None),
    range(3),
    Ellipsis,
    complex(1, 2),
    pathlib.PurePosixPath("a/b"),
    pathlib.PureWindowsPath("a"),
    types.SimpleNamespace(a=1),
    typing.Any,
    list[int],
    int | None,
    operator.add,
    functools.partial(operator.add, 1),
    collections.abc.Mapping,
    collections.Counter("aab"),
    datetime.timedelta(days=1),
    decimal.Decimal("1.5"),
    fractions.Fraction(1, 3),
    uuid.UUID(int=1),
    enum.Enum,
    inspect.Signature.empty,
    zoneinfo.ZoneInfo("UTC"),
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", ORDINARY, ids=str)
def test_ordinary_values_of_the_standard_library_are_inert_and_not_remarked_on(
    value: object, protocol: int
):
    found, unknown = unpickle(pickle.dumps({"value": value}, protocol), "x")
    assert isinstance(found["value"], Record)
    assert unknown == ()


@pytest.mark.parametrize(
    "name",
    [
        "pathlib._local.PosixPath",
        "pathlib._local.Path",
        "pathlib._local.WindowsPath",
        "pathlib.WindowsPath",
        "typing.Any",
        "builtins.type",
        "_operator.add",
        "__builtin__.int",
    ],
)
def test_harmless_names_of_other_versions_of_python_are_not_remarked_on(name: str):
    value, unknown = unpickle(global_name(name) + b")R.", "x")
    assert (value.name, unknown) == (name.replace("__builtin__", "builtins"), ())


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "posix.system",
        "nt.system",
        "builtins.eval",
        "builtins.exec",
        "builtins.open",
        "builtins.__import__",
        "__builtin__.eval",
        "subprocess.Popen",
        "subprocess.check_output",
        "runpy.run_path",
        "importlib.import_module",
        "shutil.rmtree",
        "socket.socket",
        "ctypes.CDLL",
        "pickle.loads",
        "types.FunctionType",
        "types.CodeType",
        "operator.attrgetter",
        "operator.methodcaller",
        "typing.get_type_hints",
        "functools.cached_property",
        "pathlib.Path.unlink",
        "pathlib._local.Path.write_text",
    ],
)
def test_what_no_checkpoint_needs_is_refused(name: str):
    module, attribute = name.split(".", 1)
    if name.startswith("pathlib._local"):
        module, attribute = "pathlib._local", attribute.removeprefix("_local.")
    asking = b"\x80\x04" + plain(module) + plain(attribute) + b"\x93."
    with pytest.raises(CheckpointError, match="x: its pickle asks for .*Nothing was run"):
        unpickle(asking, "x")


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_damaged_pickle_gives_the_package_s_error_or_a_value(data: st.DataObject):
    with zipfile.ZipFile(GOLDENS / "robust.ckpt") as file:
        content = bytearray(file.read("archive/data.pkl"))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            unpickle(bytes(content), "some.ckpt")
        except CheckpointError as error:
            assert str(error).startswith("some.ckpt: ")
