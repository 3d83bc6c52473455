import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from lagllama_jax import LagLlama
from lagllama_jax.errors import ConfigError
from lagllama_jax.export import export_model
from lagllama_jax.model.network import init_parameters
from tests.model.test_one_pass import CONFIG

pytest.importorskip("flatbuffers", reason="needs the extra export")

STEPS = 6
LOAD = """
import sys
for name in ("lagllama_jax", "flax", "pandas", "distrax", "jaxtyping"):
    sys.modules[name] = None
import json, pathlib
import numpy as np
sys.path.insert(0, sys.argv[1])
from loader import load
given = np.load(sys.argv[2], allow_pickle=False)
lengths = given["lengths"]
series = [row[:length] for row, length in zip(given["series"], lengths)]
program = load(sys.argv[1])
found = {}
for name, count in (("all", len(series)), ("one", 1)):
    drawn = program.predict(series[:count], 4, given["times"][:count])
    found[name] = drawn.quantiles([0.1, 0.5, 0.9])
    found[name + " mean"] = drawn.mean()
found["neutral"] = program.predict(series).quantiles([0.1, 0.9])
problems = []
for wrong, steps in (([[1.0, float("nan")]], 2), ([[]], 2), ([[1.0, 2.0]], 99)):
    try:
        program.predict(wrong, steps)
    except ValueError as error:
        problems.append(str(error))
np.savez(sys.argv[3], problems=np.array(problems), **found)
"""


@pytest.fixture(scope="module")
def model():
    return LagLlama(init_parameters(CONFIG, jax.random.key(1)), CONFIG)


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory, repository):
    """A model that the command has exported, as the check of shapes knows no symbolic ones."""
    folder = tmp_path_factory.mktemp("exported")
    model.save_pretrained(folder / "model")
    command = [sys.executable, "-m", "lagllama_jax.cli.main", "--no-cache", "export"]
    command += [str(folder / "model"), "-o", str(folder / "out"), "-p", str(STEPS)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(repository)})
    return folder / "out"


def test_the_program_gives_the_forecasts_of_the_model_with_jax_alone(exported, model, tmp_path):
    random = np.random.default_rng(0)
    series = [random.normal(size=length).cumsum() * 1e3 + 1e6 for length in (40, 9, 25)]
    series.append(np.full(12, 7.0))
    series[0][[3, 30]] = np.nan
    start = np.datetime64("2024-02-27T05", "h")
    context = CONFIG.context_length
    ends = [start + len(one) for one in series]
    times = np.stack([end + np.arange(-context, 4) for end in ends])
    rows = np.full((4, 40), np.nan)
    for row, one in zip(rows, series, strict=True):
        row[: len(one)] = one
    lengths = np.array([len(one) for one in series])
    np.savez(tmp_path / "given.npz", series=rows, lengths=lengths, times=times)
    script = tmp_path / "load.py"
    script.write_text(LOAD)
    words = [script, exported, tmp_path / "given.npz", tmp_path / "found.npz"]
    subprocess.run([sys.executable, *map(str, words)], check=True)
    found = np.load(tmp_path / "found.npz")
    wanted = model.predict(series, 4, start=str(start), freq="h")
    levels = [0.1, 0.5, 0.9]
    scale = np.ptp(wanted.quantiles(levels))
    close = {"rtol": 1e-5, "atol": 1e-6 * scale}
    np.testing.assert_allclose(found["all"], wanted.quantiles(levels), **close)
    np.testing.assert_allclose(found["all mean"], wanted.mean, **close)
    np.testing.assert_allclose(found["one"], wanted.quantiles(levels)[:1], **close)
    neutral = model.predict(series, STEPS).quantiles([0.1, 0.9])
    np.testing.assert_allclose(found["neutral"], neutral, **close)
    problems = found["problems"].tolist()
    assert len(problems) == 3
    assert "Series 0" in problems[0] and "prediction_length=99" in problems[2]


def test_the_program_is_for_all_platforms_and_any_number_of_series(exported):
    program = jax.export.deserialize(bytearray((exported / "program.bin").read_bytes()))
    assert program.platforms == ("cpu", "cuda", "tpu")
    assert str(program.in_avals[0].shape[0]) == "B"
    config = json.loads((exported / "config.json").read_text())
    assert (config["prediction_length"], config["jax"]) == (STEPS, jax.__version__)


def test_weights_without_one_pass_and_bad_options_are_refused(model, tmp_path):
    authors = LagLlama(model.parameters, CONFIG.replace(one_pass=False))
    with pytest.raises(ConfigError, match="do not forecast in one pass"):
        export_model(authors, tmp_path / "out")
    with pytest.raises(ConfigError, match="prediction_length=0"):
        export_model(model, tmp_path / "out", 0)
    with pytest.raises(ConfigError, match="must be among cpu, cuda, tpu"):
        export_model(model, tmp_path / "out", platforms=["metal"])
    assert not (tmp_path / "out").exists()
