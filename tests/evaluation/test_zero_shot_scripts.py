"""The scripts of experiments/zero_shot, without a model."""

import importlib.util

import pytest


@pytest.fixture
def script(repository):
    def load(name: str):
        path = repository / f"experiments/zero_shot/{name}.py"
        spec = importlib.util.spec_from_file_location(f"zero_shot_{name}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def test_coarsening_reaches_both_suites(script, monkeypatch):
    run, asked = script("run"), []
    monkeypatch.setattr(run, "evaluate", lambda **options: asked.append(options))
    run.main(run.Arguments(coarsen=1))
    assert [(options["suite"], options["forecast"]["coarsen"]) for options in asked] == [
        ("all", 1),
        ("paper", 1),
    ]


def test_reference_data_is_looked_for_where_the_environment_says(script, monkeypatch, tmp_path):
    monkeypatch.setenv("LAGLLAMA_SHARED", str(tmp_path))
    for name in ("run", "units"):
        assert script(name).Arguments().data_dir == tmp_path / "data/evaluation"


def test_a_small_difference_of_units_is_shown(script, shared, monkeypatch, tmp_path, capsys):
    units = script("units")
    monkeypatch.setattr(units, "unit_difference", lambda *_: 1.2e-7)
    monkeypatch.setattr(units, "windows_of", lambda *_, **__: [])
    arguments = units.Arguments(data_dir=shared / "data/evaluation", output_dir=tmp_path)
    units.main(arguments)
    assert capsys.readouterr().out.splitlines()[-1].split() == ["median", "1.2e-07"]
