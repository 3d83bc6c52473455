"""The experiments' smoke configurations, end to end, each in a process of its own."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import types

import jax
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

HERE = pathlib.Path(__file__).resolve().parent.parent / "experiments"
SCRIPTS = sorted((HERE / "pretrain").glob("*.sh"))


def launch(*words: object) -> subprocess.CompletedProcess[str]:
    """Runs a program, which keeps what it compiles with the session's; it must succeed."""
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(jax.config.jax_compilation_cache_dir),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    command = [str(word) for word in words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def smoke(experiment: str, output: pathlib.Path) -> str:
    """Runs an experiment's smoke configuration; what it prints."""
    script = HERE / experiment / "run.py"
    return launch(sys.executable, script, "--smoke", "--output", output).stdout


def load(script: str) -> types.ModuleType:
    """A script as a module, which does not run it."""
    spec = importlib.util.spec_from_file_location(pathlib.Path(script).stem, HERE / script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def is_png(path: pathlib.Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5_000


@pytest.fixture(scope="module")
def finetune(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder of a fine-tuning smoke run."""
    folder = tmp_path_factory.mktemp("finetune")
    smoke("finetune", folder)
    return folder


def test_fine_tuning_writes_a_row_a_seed_with_scores_before_and_after(finetune):
    rows = pd.read_csv(finetune / "finetune.csv")
    assert rows[["dataset", "share", "seed"]].values.tolist() == [
        ["made_up", 50.0, 0],
        ["made_up", 50.0, 1],
    ]
    scored = rows[["naive_crps", "zero_shot_crps", "crps", "naive_mase", "zero_shot_mase", "mase"]]
    assert (np.isfinite(scored) & (scored > 0)).all(axis=None)
    assert rows["zero_shot_crps"].nunique() == rows["naive_crps"].nunique() == 1
    # The guard: lower on its points, or the same weights and so the same scores.
    kept = rows["kept_zero_shot"]
    assert (rows["best_loss"] < rows["zero_shot_loss"])[~kept].all()
    assert (rows["crps"] == rows["zero_shot_crps"])[kept].all()
    assert (rows["steps_run"] == 10).all() and (rows["steps"] <= 10).all()
    assert rows[["command", "date", "hardware"]].notna().all(axis=None)


def test_fine_tuning_draws_a_table_and_a_picture(finetune):
    table = (finetune / "finetune.md").read_text().splitlines()
    assert len(table) == 3 and table[2].startswith("| made_up | 50 % |")
    assert len({line.count("|") for line in table}) == 1
    assert is_png(finetune / "finetune.png")


def test_a_killed_fine_tuning_goes_on_and_leaves_finished_rows_alone(finetune, tmp_path):
    rows = pd.read_csv(finetune / "finetune.csv", dtype=str)
    marked = rows.assign(crps=["0.125", *rows["crps"][1:]])
    marked[:1].to_csv(tmp_path / "finetune.csv", index=False)  # killed after its first row
    printed = smoke("finetune", tmp_path)
    again = pd.read_csv(tmp_path / "finetune.csv", dtype=str)
    assert printed.count("'seed':") == 1 and "'seed': 1" in printed
    assert again.loc[0, "crps"] == "0.125"
    compared = ["dataset", "share", "seed", "steps", "kept_zero_shot"]
    assert again[compared].equals(rows[compared])
    np.testing.assert_allclose(float(again.loc[1, "crps"]), float(rows.loc[1, "crps"]), rtol=1e-4)


def test_the_ablation_writes_a_row_a_scaler(tmp_path):
    smoke("scaler_ablation", tmp_path)
    rows = pd.read_csv(tmp_path / "scalers.csv")
    assert rows["scaler"].tolist() == ["none", "safe robust"]
    assert rows["outcome"].tolist() == ["finished"] * 2
    scored = rows[["crps", "mase", "coverage_80"]]
    assert (np.isfinite(scored) & (scored > 0)).all(axis=None)
    assert rows["steps"].nunique() == rows["datasets"].nunique() == 1
    table = (tmp_path / "scalers.md").read_text().splitlines()
    assert len(table) == 4 and len({line.count("|") for line in table}) == 1
    assert is_png(tmp_path / "scalers.png")


def test_pre_training_goes_from_a_csv_to_a_forecast_and_resumes(tmp_path):
    printed = launch("bash", HERE / "pretrain" / "smoke.sh", tmp_path).stdout
    assert "Done after 20 steps" in printed and "Done after 30 steps" in printed
    steps = pd.read_csv(tmp_path / "run" / "metrics.csv")["step"]
    assert steps.tolist() == [10, 20, 30]
    forecast = pd.read_csv(tmp_path / "forecast.csv")
    assert len(forecast) == 3 * 7 and np.isfinite(forecast["predictions"]).all()


@pytest.fixture(scope="module")
def killed_twice():
    return load("pretrain/killed_twice.py")


def test_two_runs_are_the_same_only_to_the_last_bit(killed_twice, tmp_path):
    rows = "step,loss,validation_loss,tokens_per_second,utilisation,seconds\n1,2.5,,{0},,{0}\n"
    rows += "2,{1},1.5,9,,9\n"
    runs = {"whole": ("7", "2.25", b"ab"), "killed": ("8", "2.25", b"ab")}
    runs |= {"other loss": ("7", "2.250001", b"ab"), "other weights": ("7", "2.25", b"ac")}
    for name, (seconds, loss, weights) in runs.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.csv").write_text(rows.format(seconds, loss))
        (tmp_path / name / "model.safetensors").write_bytes(weights)
    found = [killed_twice.compare(tmp_path / "whole", tmp_path / name) for name in runs]
    assert [one["rows_equal"] for one in found] == [True, True, False, True]
    assert [one["weights_equal"] for one in found] == [True, True, True, False]
    assert killed_twice.last_step(tmp_path / "killed") == 2
    assert killed_twice.last_step(tmp_path) == 0


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_launch_script_is_valid_bash(script):
    launch("bash", "-n", script)


def test_a_pod_is_sent_every_option_whole(tmp_path, monkeypatch):
    gcloud = tmp_path / "gcloud"
    gcloud.write_text('#!/usr/bin/env bash\nprintf "%s" "${@: -1}"\n')
    gcloud.chmod(0o755)
    for name, value in {"TPU": "slice", "ZONE": "zone", "PROJECT": "mine"}.items():
        monkeypatch.setenv(name, value)
    # What would run on a worker, with a program that prints the words it is given.
    folder = tmp_path / "lagllama_jax" / ".venv" / "bin"
    folder.mkdir(parents=True)
    shutil.copy(gcloud, folder / "lagllama")
    (folder / "lagllama").write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"\n')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    words = [HERE / "pretrain" / "tpu_pod.sh", "train", "my corpus", "out", "--mixture", "a b", "1"]
    monkeypatch.setattr(sys, "executable", str(gcloud))  # `launch` puts its folder first
    command = launch("bash", *words).stdout
    sent = launch("bash", "-c", f"cd {tmp_path} && {command}").stdout.splitlines()
    assert sent[:4] == ["pretrain", "my corpus", "--output", "out"]
    assert "--hosts" in sent and sent[-3:] == ["--mixture", "a b", "1"]


@pytest.fixture(scope="module")
def ledger_class():
    return load("ledger.py").Ledger


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=6)
VALUES = st.one_of(WORDS, st.integers(-(10**6), 10**6), st.floats(0, 100), st.just("NA"))

TEXT = lambda row: tuple(map(str, row))  # noqa: E731 (as the file tells rows apart)


@given(rows=st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=4, unique_by=TEXT))
@settings(max_examples=30)
def test_a_row_is_found_by_what_was_asked_and_by_nothing_else(ledger_class, tmp_path_factory, rows):
    ledger = ledger_class(tmp_path_factory.mktemp("ledger") / "rows.csv", ("name", "share"))
    for number, (name, share) in enumerate(rows):
        asked = {"name": name, "share": share}
        assert ledger.select(asked).empty
        ledger.add(asked | {"score": number / 3})
        assert ledger.select(asked)["score"].tolist() == [number / 3]
    assert ledger.table()["score"].tolist() == [number / 3 for number in range(len(rows))]
