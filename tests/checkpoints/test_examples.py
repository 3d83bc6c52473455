"""The examples in the docstrings of the package's doors run and give what they say."""

import doctest

import pytest

from lagllama_jax.checkpoints import folder, hub
from lagllama_jax.checkpoints.torch import converter


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (folder, ["load_folder", "save_pretrained"]),
        (hub, ["from_pretrained"]),
        (converter, ["from_torch", "to_torch"]),
    ],
)
def test_the_examples_run(module, names: list[str]):
    tests = {test.name.rpartition(".")[2]: test for test in doctest.DocTestFinder().find(module)}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for name in names:
        assert tests[name].examples, f"{name} has no example"
        runner.run(tests[name])
    assert runner.summarize().failed == 0
