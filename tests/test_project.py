"""The package as it is built, installed and first imported."""

import email.message
import email.parser
import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lagllama_jax

CORE = {
    "jax", "flax", "optax", "distrax", "tfp-nightly", "orbax-checkpoint", "numpy", "scipy",
    "pandas", "pyarrow", "clevercsv", "safetensors", "jaxtyping", "tyro", "rich",
}  # fmt: skip
BOX = [
    f"lagllama_jax/checkpoints/bundled/{n}"
    for n in ("config.json", "model.safetensors", "README.md")
]


@pytest.fixture(scope="module")
def source(repository: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A copy of what the wheel is built from: a build leaves folders behind."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repository / name, source)
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(repository / "lagllama_jax", source / "lagllama_jax", ignore=unwanted)
    return source


@pytest.fixture(scope="module")
def wheel(source: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel of this checkout, built without the network."""
    built = tmp_path_factory.mktemp("built")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    done = subprocess.run(
        [*build, "--wheel-dir", str(built), str(source)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return zipfile.ZipFile(next(built.glob("*.whl")))


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> email.message.Message:
    """What the wheel says of itself."""
    name = next(name for name in wheel.namelist() if name.endswith("/METADATA"))
    return email.parser.Parser().parsestr(wheel.read(name).decode())


def requirements(metadata: email.message.Message, extra: str) -> list[Requirement]:
    """What is installed for `extra`, or, when that is empty, without any."""
    listed = [Requirement(line) for line in metadata.get_all("Requires-Dist") or []]
    return [r for r in listed if r.marker is None or r.marker.evaluate({"extra": extra})]


def closure(wanted: list[Requirement]) -> set[str]:
    """Names of all packages that `wanted` brings, as installed here."""
    names: set[str] = set()
    visited: set[tuple[str, str]] = set()
    pending = [(canonicalize_name(r.name), extra) for r in wanted for extra in ("", *r.extras)]
    while pending:
        name, extra = pending.pop()
        if (name, extra) in visited:
            continue
        visited.add((name, extra))
        names.add(name)
        if name != "lagllama-jax":
            brought = requirements(importlib.metadata.metadata(name), extra)
            pending += [(canonicalize_name(r.name), e) for r in brought for e in ("", *r.extras)]
    return names


def pins(repository: pathlib.Path) -> dict[str, str]:
    """Package to version, of the lines of constraints.txt that hold for this Python."""
    lines = (repository / "constraints.txt").read_text().splitlines()
    listed = [Requirement(line) for line in lines if line and not line.startswith("#")]
    held = [r for r in listed if r.marker is None or r.marker.evaluate()]
    return {canonicalize_name(r.name): str(r.specifier).removeprefix("==") for r in held}


def test_importing_the_package_starts_neither_jax_nor_pandas():
    code = "import sys, lagllama_jax; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"jax", "flax", "distrax", "numpy", "pandas", "pyarrow", "orbax", "matplotlib"}
    assert "lagllama_jax" in loaded.stdout.split()
    assert not heavy & set(loaded.stdout.split())


@pytest.mark.parametrize("name", sorted(set(lagllama_jax.__all__) - {"__version__"}))
def test_a_public_name_is_the_class_of_that_name(name: str):
    assert getattr(lagllama_jax, name).__name__ == name
    assert name in dir(lagllama_jax)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'lagllama_jax' has no attribute 'LagLama'"):
        _ = lagllama_jax.LagLama


def test_the_wheel_carries_types_and_licence_and_nothing_beside_the_package(wheel):
    names = set(wheel.namelist())
    assert "lagllama_jax/py.typed" in names
    assert any(re.fullmatch(r"[^/]+\.dist-info/licenses/LICENSE", name) for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"lagllama_jax"}
    assert not any(name.endswith(".ckpt") for name in names)


def test_the_wheel_carries_the_weights(wheel, source: pathlib.Path):
    assert set(BOX) <= set(wheel.namelist())
    for name in BOX:
        assert wheel.read(name) == (source / name).read_bytes()
    assert wheel.getinfo(BOX[1]).file_size <= 10e6


def test_the_wheel_carries_the_templates_of_the_page(wheel, source: pathlib.Path):
    templates = list((source / "lagllama_jax/app/templates").iterdir())
    assert len(templates) > 4
    assert {file.relative_to(source).as_posix() for file in templates} <= set(wheel.namelist())


def test_every_package_folder_is_in_the_wheel(wheel, source: pathlib.Path):
    modules = (source / "lagllama_jax").rglob("*.py")
    expected = {module.relative_to(source).as_posix() for module in modules}
    assert expected == {name for name in wheel.namelist() if name.endswith(".py")}


def test_the_core_install_is_small(metadata):
    assert {requirement.name for requirement in requirements(metadata, "")} == CORE


def test_the_core_install_brings_no_other_framework_and_no_cuda(metadata):
    brought = closure(requirements(metadata, ""))
    assert {"jaxlib", "scipy"} <= brought
    other = re.compile(r"(tensorflow|torch|keras|gluonts|lightning|nvidia|jax-cuda).*")
    assert not [name for name in brought if other.fullmatch(name)]


def test_every_package_of_the_test_environment_is_pinned_to_the_version_installed(
    metadata, repository: pathlib.Path
):
    pinned = pins(repository)
    brought = closure(requirements(metadata, "dev") + requirements(metadata, "test"))
    brought -= {"lagllama-jax"}
    assert brought <= pinned.keys()
    differing = {n: v for n in brought if (v := importlib.metadata.version(n)) != pinned[n]}
    if differing and "CI" not in os.environ:
        pytest.skip(f"not the pinned versions: {differing}")
    assert not differing


def test_an_extra_that_an_error_tells_to_install_exists(metadata, source: pathlib.Path):
    call = re.compile(r'require\("[\w.]+", "(\w+)"\)')
    modules = (source / "lagllama_jax").rglob("*.py")
    named = {extra for module in modules for extra in call.findall(module.read_text())}
    assert "plot" in named
    assert named <= set(metadata.get_all("Provides-Extra"))


def test_the_version_is_the_same_everywhere(metadata, repository: pathlib.Path):
    citation = yaml.safe_load((repository / "CITATION.cff").read_text())
    assert metadata["Version"] == citation["version"] == lagllama_jax.__version__
    changelog = (repository / "CHANGELOG.md").read_text()
    newest = re.search(r"^## \[?([\d.]+)\]?", changelog, re.MULTILINE)
    assert newest and newest[1] == lagllama_jax.__version__
