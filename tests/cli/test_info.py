import jax

import lagllama_jax
from lagllama_jax.model.network import init_parameters


def test_versions_devices_and_the_model_are_told(lagllama, model_folder, tiny_config, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, shown, _ = lagllama("info", "--model", model_folder)
    assert code == 0
    parameters = init_parameters(tiny_config, jax.random.key(0))
    count = sum(leaf.size for leaf in jax.tree.leaves(parameters))
    for part in (lagllama_jax.__version__, jax.__version__, "cpu", f"{count:,} parameters"):
        assert part in shown


def test_a_model_that_is_not_there_is_wrong_input(lagllama):
    code, _, complaint = lagllama("info", "--model", "nowhere/at/all")
    assert (code, "nowhere/at/all" in complaint) == (2, True)
