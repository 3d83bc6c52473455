"""`lagllama app` and what it says when it cannot start."""

import socket
import sys

import pytest

from lagllama_jax.app.limits import Limits
from lagllama_jax.app.server import serve
from lagllama_jax.cli import main as cli
from lagllama_jax.errors import ConfigError, MissingExtraError


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"Cannot listen on 127.0.0.1, port {port}: .*--port"):
            serve(None, "127.0.0.1", port, Limits())


@pytest.mark.parametrize("port", [-1, 70000])
def test_a_port_that_does_not_exist_is_named(port):
    with pytest.raises(ConfigError, match=f"port={port} must be a whole number"):
        serve(None, "127.0.0.1", port, Limits())


@pytest.mark.parametrize("package", ["uvicorn", "starlette", "python_multipart"])
def test_the_extra_is_named_if_it_is_missing(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r'pip install "\.\[app\]"'):
        serve(None, "127.0.0.1", 0, Limits())


def test_a_wrong_limit_is_refused(capsys, monkeypatch):
    monkeypatch.setenv("LAGLLAMA_CACHE", "off")
    assert cli.main(["app", "--max-horizon", "0"]) == 2
    assert "--max-horizon 0 must be a whole number" in capsys.readouterr().err


def test_the_limits_are_options(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        cli.main(["--no-cache", "app", "--help"])
    shown = capsys.readouterr().out.split()
    for field in Limits.hints():
        assert f"--{field.replace('_', '-')}" in shown
