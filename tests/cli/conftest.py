import jax
import pytest

from lagllama_jax.cli import main as cli
from lagllama_jax.forecaster import LagLlama


@pytest.fixture(autouse=True)
def keep_no_programs(monkeypatch):
    """The command line sets up a cache in the home folder; the tests have their own."""
    monkeypatch.setenv("LAGLLAMA_CACHE", "off")


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory, tiny_parameters, tiny_config):
    """A saved model of two small layers."""
    folder = tmp_path_factory.mktemp("model")
    LagLlama(tiny_parameters, tiny_config).save_pretrained(folder)
    return folder


@pytest.fixture
def lagllama(capsys):
    """Runs the command line in this process; gives exit code, output and errors."""

    def run(*words: object) -> tuple[int, str, str]:
        before = dict(jax.config.values)
        try:
            code = cli.main([str(word) for word in words])
        except SystemExit as stop:  # wrong usage
            code = stop.code
        assert dict(jax.config.values) == before
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
