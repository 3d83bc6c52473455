"""What every test may ask for: reference data, a tiny model, checked array shapes.

Tests run on the CPU with one device. A test that needs several devices, several processes or a
fresh JAX starts a subprocess with `XLA_FLAGS=--xla_force_host_platform_device_count=8`, so that
the ordinary ones do not pay for it.
"""

import gc
import http.server
import importlib.util
import os
import pathlib
import shutil
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")

import hypothesis
import jax
import jaxtyping
import psutil
import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent

# The floors that take arrays and no user input: there a wrong shape is a bug, never a message.
# Of training, only modules that take arrays of the device; windows are drawn from NumPy's as well.
TRAINING = ("checkpoints", "loop", "loss", "optimizer", "state", "step", "validation")
CHECKED = ["lagllama_jax.model", "lagllama_jax.inference"]
CHECKED += [f"lagllama_jax.training.{module}" for module in TRAINING]
jaxtyping.install_import_hook(CHECKED, "beartype.beartype")

# How long an example takes depends on what else the machine does, and on compilation.
hypothesis.settings.register_profile("lagllama", deadline=None)
hypothesis.settings.load_profile("lagllama")

from lagllama_jax.config import ModelConfig  # noqa: E402 (must follow the import hook)


def pytest_configure(config: pytest.Config) -> None:
    """Keeps compiled programs between runs, in a folder of this process alone.

    JAX writes entries of that cache in place, so processes must not share it.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    folder = config.rootpath / ".pytest_cache" / "jax" / pathlib.Path(sys.prefix).name / worker
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


MOST_MEMORY = 3 * 2**30
"""Size in bytes of a test process beyond which JAX forgets its compiled programs."""


@pytest.fixture(scope="module", autouse=True)
def bounded_memory() -> Iterator[None]:
    """Forgets compiled programs after a module if the process is large; the folder keeps them."""
    yield
    if psutil.Process().memory_info().rss > MOST_MEMORY:
        jax.clear_caches()
        gc.collect()


EXTRAS = {"torch": "peers", "gluonts": "peers", "ray": "clusters", "pyspark": "clusters"}
"""Packages of extras that have an environment apart, and the make target of each."""
EXTRAS |= {"sktime": "clusters", "fev": "clusters"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what is marked with an extra that is not installed here."""
    reasons = {
        extra: f"needs the extra {extra}: make test-{target}"
        for extra, target in EXTRAS.items()
        if importlib.util.find_spec(extra) is None
    }
    if "pyspark" not in reasons and shutil.which("java") is None:
        reasons["pyspark"] = "Spark needs Java 17 or newer, and there is none"
    for item in items:
        for mark in item.iter_markers():
            package = {"spark": "pyspark"}.get(mark.name, mark.name)
            if package in reasons:
                item.add_marker(pytest.mark.skip(reason=reasons[package]))


@pytest.fixture(scope="session")
def repository() -> pathlib.Path:
    """The checkout's root."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """Folder of reference data beside the checkout, or `$LAGLLAMA_SHARED`."""
    folder = pathlib.Path(os.environ.get("LAGLLAMA_SHARED", REPOSITORY / "../shared")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder} (set LAGLLAMA_SHARED)")
    return folder


@pytest.fixture(scope="session")
def golden() -> pathlib.Path:
    """Folder of checkpoints, inputs and outputs that the reference implementation produced."""
    return REPOSITORY / "tests" / "goldens"


@pytest.fixture(scope="session")
def released_golden(shared: pathlib.Path) -> pathlib.Path:
    """Folder of `released_shape.*`: the same at the published size, too big for the repository."""
    folder = shared / "golden"
    if not (folder / "released_shape.ckpt").is_file():
        pytest.skip(f"no recorded results at the published size in {folder}")
    return folder


@pytest.fixture(scope="module")
def hurry() -> Iterator[None]:
    """For programs that run for a moment, so that compiling them is what takes time."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="session")
def tiny_config() -> ModelConfig:
    """The smallest model that has every part."""
    return ModelConfig.tiny()


@pytest.fixture(scope="session")
def tiny_parameters(tiny_config: ModelConfig):
    """Freshly drawn parameters of `tiny_config`."""
    from lagllama_jax.model.network import init_parameters

    return init_parameters(tiny_config, jax.random.key(0))


class Site(NamedTuple):
    """A web server of this machine: the folder that it shows, its address, and what was asked."""

    folder: pathlib.Path
    url: str
    asked: list[str]


@pytest.fixture
def site(tmp_path) -> Iterator[Site]:
    """A web server on the loopback interface, which shows a folder."""
    folder, asked = tmp_path / "site", []
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            asked.append(self.path)

        def send_header(self, keyword, value):
            if keyword == "Content-Length" and self.path.endswith("?cut"):
                value = str(int(value) + 100)  # the end of the file never comes
            super().send_header(keyword, value)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield Site(folder, f"http://127.0.0.1:{server.server_port}", asked)
        server.shutdown()
        thread.join()


@pytest.fixture
def published_here(monkeypatch, site):
    """Makes the catalogue name this machine's site as the place of a data set's file."""
    pytest.importorskip("tensorflow_datasets", reason="needs the extra tfds")
    from lagllama_jax.corpus.catalogue import CATALOGUE
    from lagllama_jax.corpus.tfds.builder import LagllamaSeries

    def move(name: str, file: str) -> None:
        here = replace(CATALOGUE[name], url=f"{site.url}/{file}")
        monkeypatch.setitem(CATALOGUE, name, here)
        monkeypatch.setattr(LagllamaSeries.builder_configs[name], "data_set", here)

    return move
