"""`from_pretrained`, with a server on this machine that plays the hub."""

import contextlib
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest

from lagllama_jax import errors
from lagllama_jax.checkpoints import hub
from lagllama_jax.checkpoints.hub import from_pretrained, save_pretrained
from lagllama_jax.checkpoints.layout import flatten
from lagllama_jax.checkpoints.torch.converter import from_torch
from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import CheckpointError, MissingExtraError
from tests.checkpoints.conftest import GOLDENS
from tests.checkpoints.torch.test_converter import random_parameters

CONFIG = ModelConfig.tiny(num_layers=1)
AUTHORS = hub.AUTHORS_REPOSITORY


class Hub:
    """Repositories in memory: `files[repository][revision][file]`."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, dict[str, bytes]]] = {}
        self.private: dict[str, str] = {}
        self.requests: list[tuple[str, str, str | None]] = []

    def answer(self, path: str, token: str | None) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for `/OWNER/NAME/resolve/REVISION/FILE`."""
        parts = path.strip("/").split("/")
        if len(parts) != 5 or parts[2] != "resolve":
            return 404, {}, b""
        repository, revision, file = "/".join(parts[:2]), parts[3], parts[4]
        secret = self.private.get(repository)
        if repository not in self.files or (secret and token != f"Bearer {secret}"):
            return 401, {"X-Error-Code": "RepoNotFound"}, b""
        if revision not in self.files[repository]:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        commit = hashlib.sha1(f"{repository}{revision}".encode()).hexdigest()
        files = self.files[repository][revision]
        if file not in files:
            return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b""
        etag = f'"{hashlib.sha1(files[file]).hexdigest()}"'
        return 200, {"ETag": etag, "X-Repo-Commit": commit}, files[file]


@contextlib.contextmanager
def serve(content: Hub) -> Iterator[str]:
    """The hub's address while it is served."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            token = self.headers.get("Authorization")
            content.requests.append((self.command, self.path, token))
            status, headers, body = content.answer(self.path, token)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_GET = do_HEAD

        def log_message(self, *arguments: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


LOADING = """
import json, pathlib, sys, time
import numpy as np
from lagllama_jax.errors import LagLlamaError
from lagllama_jax.checkpoints.hub import from_pretrained
from lagllama_jax.checkpoints.layout import flatten
time.sleep = lambda seconds: None  # the hub's library waits between its attempts
outcomes = {}
for name, source, options in json.loads(sys.argv[1]):
    options["cache_dir"] = pathlib.Path(options.get("cache_dir", sys.argv[2]))
    try:
        config, parameters = from_pretrained(source, **options)
    except LagLlamaError as error:
        outcomes[name] = [type(error).__name__, str(error)]
    else:
        total = sum(float(np.abs(x).sum()) for x in flatten(parameters).values())
        outcomes[name] = [config.to_json(), total]
print(json.dumps(outcomes))
"""


def load_in_a_process(
    calls: list[tuple[str, str, dict]], cache: pathlib.Path, endpoint: str
) -> dict[str, list]:
    """What `from_pretrained` gives or raises, in a process whose hub is at `endpoint`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment = kept | {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(cache / "home"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-c", LOADING, json.dumps(calls), str(cache)],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return json.loads(done.stdout)


def total(parameters: Any) -> float:
    return sum(float(np.abs(x).sum()) for x in flatten(parameters).values())


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Hub:
    folder = tmp_path_factory.mktemp("ours")
    save_pretrained(folder, CONFIG, random_parameters(CONFIG))
    ours = {path.name: path.read_bytes() for path in folder.iterdir()}
    save_pretrained(folder, CONFIG, random_parameters(CONFIG, 1))
    newer = {path.name: path.read_bytes() for path in folder.iterdir()}
    checkpoint = {hub.AUTHORS_FILE: (GOLDENS / "robust.ckpt").read_bytes()}
    foreign = {"config.json": b'{"model_type": "lag-llama"}', "model.safetensors": b"theirs"}
    content = Hub()
    content.files = {
        AUTHORS: {"main": checkpoint | foreign},
        "someone/model": {"main": ours, "v2": newer},
        "someone/bare": {"main": checkpoint},
        "someone/secret": {"main": ours},
        "someone/empty": {"main": {"notes.txt": b""}},
        "someone/half": {"main": {"config.json": ours["config.json"]}},
        "someone/broken": {"main": ours | {"config.json": ours["config.json"][:-3] + b', "x": 1}'}},
    }
    content.private = {"someone/secret": "open sesame"}
    return content


@pytest.fixture(scope="module")
def outcomes(content: Hub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    """One process online, then one whose hub is gone."""
    pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
    cache, other = tmp_path_factory.mktemp("cache"), str(tmp_path_factory.mktemp("other"))
    local = {"local_files_only": True}
    online = [
        ("nothing cached", "someone/model", local),
        ("ours", "someone/model", {}),
        ("revision", "someone/model", {"revision": "v2"}),
        ("no such revision", "someone/model", {"revision": "v3"}),
        ("authors", AUTHORS, {}),
        ("bare", "someone/bare", {}),
        ("secret, no token", "someone/secret", {}),
        ("secret, token", "someone/secret", {"token": "open sesame"}),
        ("no such repository", "someone/nothing", {}),
        ("empty", "someone/empty", {}),
        ("half", "someone/half", {}),
        ("broken", "someone/broken", {}),
        ("malformed", "some..one/mo--del", {}),
    ]
    with serve(content) as endpoint:
        found = load_in_a_process(online, cache, endpoint)
    offline = [
        ("cached ours", "someone/model", local),
        ("cached bare", "someone/bare", local),
        ("other cache", "someone/model", local | {"cache_dir": other}),
        ("cached, hub away", "someone/bare", {}),
        ("hub away", "someone/model", {"cache_dir": other}),
    ]
    return found | load_in_a_process(offline, cache, endpoint)


def test_a_repository_of_ours_is_loaded(outcomes: dict):
    assert outcomes["ours"] == [CONFIG.to_json(), total(random_parameters(CONFIG))]
    assert outcomes["cached ours"] == outcomes["ours"]


def test_a_revision_is_loaded(outcomes: dict):
    assert outcomes["revision"] == [CONFIG.to_json(), total(random_parameters(CONFIG, 1))]


@pytest.mark.parametrize("name", ["authors", "bare", "cached bare", "cached, hub away"])
def test_the_authors_checkpoint_is_loaded_where_no_model_of_ours_is(name: str, outcomes: dict):
    config, parameters = from_torch(GOLDENS / "robust.ckpt")
    assert outcomes[name] == [config.to_json(), total(parameters)]


def test_a_token_opens_a_private_repository(outcomes: dict, content: Hub):
    assert outcomes["secret, token"] == outcomes["ours"]
    assert outcomes["secret, no token"][0] == "CheckpointError"
    assert "token" in outcomes["secret, no token"][1]
    sent = {token for _, path, token in content.requests if "secret" in path}
    assert sent == {None, "Bearer open sesame"}
    assert {token for _, path, token in content.requests if "secret" not in path} == {None}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no such revision", "someone/model: has no revision 'v3'"),
        ("no such repository", "someone/nothing: there is no such file or folder here, and no"),
        ("empty", "someone/empty: neither config.json with model.safetensors nor lag-llama.ckpt"),
        ("half", "someone/half: holds config.json but no model.safetensors"),
        ("broken", "someone/broken: config.json: Unknown field(s) x"),
        ("malformed", "some..one/mo--del"),
        ("nothing cached", "in the local cache"),
        ("other cache", "in the local cache"),
        ("hub away", "Check the name, the revision and the connection"),
    ],
)
def test_what_cannot_be_had_is_said(name: str, words: str, outcomes: dict):
    kind, message = outcomes[name]
    assert kind == "CheckpointError"
    assert words in message


def test_a_folder_and_a_checkpoint_are_loaded_as_device_arrays(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
    save_pretrained(tmp_path / "owner" / "model", CONFIG, random_parameters(CONFIG))
    monkeypatch.chdir(tmp_path)
    config, parameters = from_pretrained("owner/model")
    assert config == CONFIG
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(parameters))
    config, parameters = from_pretrained(GOLDENS / "robust.ckpt")
    assert config == ModelConfig.tiny()
    assert total(parameters) == total(from_torch(GOLDENS / "robust.ckpt")[1])


@pytest.mark.parametrize(
    "source", ["model", "./model", "a/b/c", "owner/lag-llama.ckpt", "/a/b", pathlib.Path("a/b")]
)
def test_a_path_that_does_not_exist_is_no_hub_id(source: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub, "_load_hub", lambda *_: pytest.fail("asked the hub"))
    with pytest.raises(CheckpointError, match="no such file or folder, and it is no repository"):
        from_pretrained(source)


def test_a_weights_file_alone_asks_for_its_folder(tmp_path: pathlib.Path):
    save_pretrained(tmp_path, CONFIG, random_parameters(CONFIG))
    with pytest.raises(CheckpointError, match="give the folder"):
        from_pretrained(tmp_path / "model.safetensors")


def test_a_folder_with_the_authors_checkpoint_is_loaded(tmp_path: pathlib.Path):
    expected = total(from_torch(GOLDENS / "mean.ckpt")[1])
    shutil.copy(GOLDENS / "mean.ckpt", tmp_path / "some.ckpt")
    assert total(from_pretrained(tmp_path)[1]) == expected
    shutil.copy(GOLDENS / "std.ckpt", tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match=r"holds 2 checkpoints .*other\.ckpt"):
        from_pretrained(tmp_path)
    shutil.copy(GOLDENS / "robust.ckpt", tmp_path / hub.AUTHORS_FILE)
    assert from_pretrained(tmp_path)[0] == from_torch(GOLDENS / "robust.ckpt")[0]
    save_pretrained(tmp_path, CONFIG, random_parameters(CONFIG))
    assert from_pretrained(tmp_path)[0] == CONFIG


def test_without_the_extra_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch):
    def missing(module: str) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(errors.importlib, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r'pip install "\.\[hub\]"'):
        from_pretrained("owner/model")


def test_the_bundled_weights_are_a_folder_in_the_package(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hub.importlib.resources, "files", lambda package: tmp_path)
    with pytest.raises(CheckpointError, match="comes without weights"):
        from_pretrained()
    save_pretrained(tmp_path / "bundled", CONFIG, random_parameters(CONFIG), dtype="float16")
    assert from_pretrained()[0] == from_pretrained("box")[0] == CONFIG
