"""The examples in the docstrings of the package are run."""

import doctest
import importlib
import pathlib

import pytest

import lagllama_jax
from lagllama_jax.errors import MissingExtraError

ROOT = pathlib.Path(lagllama_jax.__file__).parent
SHOWING = [path for path in sorted(ROOT.rglob("*.py")) if ">>> " in path.read_text()]


@pytest.mark.parametrize("path", SHOWING, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_examples_of_a_module_are_right(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    try:
        module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
    except MissingExtraError as error:
        pytest.skip(str(error))
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.attempted and not result.failed
