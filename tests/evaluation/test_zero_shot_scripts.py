"""The scripts of experiments/zero_shot, without a model."""

import importlib.util
import sys

import numpy as np
import pytest

from lagllama_jax.config import ForecastConfig
from lagllama_jax.evaluation.baselines import baseline
from lagllama_jax.evaluation.windows import cut
from lagllama_jax.inference.forecast import Forecast


@pytest.fixture
def script(repository, monkeypatch):
    monkeypatch.syspath_prepend(repository / "experiments/zero_shot")

    def load(name: str):
        monkeypatch.delitem(sys.modules, "run", raising=False)
        path = repository / f"experiments/zero_shot/{name}.py"
        spec = importlib.util.spec_from_file_location(f"zero_shot_{name}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def windows(series_of):
    return cut(series_of(5 + np.random.default_rng(0).normal(size=100)), 6, 3)


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


def test_a_forecast_that_follows_the_unit_differs_by_nothing(script, windows):
    difference = script("units").unit_difference
    assert difference(baseline("seasonal_naive"), windows, ForecastConfig(), 1000.0) < 1e-12


def test_a_forecast_that_forgets_the_unit_differs_by_what_it_forgets(script, windows):
    class Shy:
        def predict(self, dataset, prediction_length, config):
            roots = np.array([target[0, -1] ** 0.5 for target in dataset.targets])
            samples = np.broadcast_to(roots[:, None, None], (len(dataset), 1, prediction_length))
            return Forecast(dataset, samples)

    difference = script("units").unit_difference(Shy(), windows, ForecastConfig(), 4.0)
    assert difference == pytest.approx(0.5)


def test_a_small_difference_of_units_is_shown(script, shared, monkeypatch, tmp_path, capsys):
    units = script("units")

    class Model:
        def predictor(self):
            return baseline("naive")

    monkeypatch.setattr(units.LagLlama, "from_pretrained", lambda _: Model())
    monkeypatch.setattr(units, "unit_difference", lambda *_: 1.2e-7)
    arguments = units.Arguments(data_dir=shared / "data/evaluation", output_dir=tmp_path)
    units.main(arguments)
    assert capsys.readouterr().out.splitlines()[-1].split() == ["median", "1.2e-07"]
    assert (tmp_path / "lagllama_jax.csv").read_text().splitlines()[
        1
    ] == "ett1/15T/short,20,1.2e-07"
