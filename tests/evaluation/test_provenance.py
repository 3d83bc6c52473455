import json
import sys

import pytest

from lagllama_jax.config import ForecastConfig
from lagllama_jax.evaluation import provenance


def test_the_record_of_a_run_keeps_one_entry_a_model(tmp_path):
    provenance.record_run(tmp_path, "a", ForecastConfig())
    provenance.record_run(tmp_path, "b", ForecastConfig(num_samples=7))
    runs = json.loads((tmp_path / "run.json").read_text())
    assert list(runs) == ["a", "b"]
    assert runs["b"]["forecast"]["num_samples"] == 7
    assert runs["a"]["command"] and runs["a"]["date"]
    assert runs["a"]["machine"].endswith(f"cores of {provenance.processor()}")


@pytest.mark.parametrize(
    ("program", "recorded"),
    [
        ("/usr/bin/lagllama", "lagllama --seed 1"),
        ("experiments/run.py", "python experiments/run.py --seed 1"),
        ("HERE/experiments/run.py", "python experiments/run.py --seed 1"),
    ],
)
def test_a_command_is_recorded_so_that_it_can_be_given_again(
    program, recorded, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [program.replace("HERE", str(tmp_path)), "--seed", "1"])
    assert provenance.command() == recorded
