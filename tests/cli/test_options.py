"""Options of the commands are the fields of the configurations, and outputs are checked first."""

import functools

import pytest

from lagllama_jax.cli import evaluate, finetune, forecast, pretrain
from lagllama_jax.config import (
    DataConfig,
    FitConfig,
    ForecastConfig,
    LoopConfig,
    ModelConfig,
    TrainConfig,
)


def flag(field: str) -> str:
    return "--" + field.replace("_", "-")


@pytest.mark.parametrize(
    ("command", "config", "prefix", "hidden"),
    [
        ("forecast", ForecastConfig, "", set()),
        ("evaluate", ForecastConfig, "", {"quantile_levels"}),
        ("finetune", FitConfig, "", set()),
        ("pretrain", ModelConfig, "model.", set()),
        ("pretrain", DataConfig, "data.", set()),
        ("pretrain", TrainConfig, "train.", set()),
        ("pretrain", LoopConfig, "loop.", set()),
    ],
)
def test_every_field_is_an_option_with_help(lagllama, command, config, prefix, hidden, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, shown, _ = lagllama(command, "--help")
    assert code == 0
    assert max(map(len, shown.splitlines())) <= 80
    words = shown.split()
    for field in config.hints().keys() - hidden:
        assert flag(prefix + field) in words or flag(prefix + "no-" + field) in words
    for field in hidden:
        assert flag(prefix + field) not in words


@pytest.fixture
def asked(monkeypatch):
    """The options that a command was called with; it does nothing."""
    options = {}

    def replace(module) -> dict:
        @functools.wraps(module.main)
        def main(*_, **given):
            options.update(given)

        monkeypatch.setattr(module, "main", main)
        return options

    return replace


def test_flags_are_read_into_the_types_of_the_fields(lagllama, asked):
    options = asked(forecast)
    words = "--coarsen 4 --context-length 9 --nonnegative --batch-size None --sampling random"
    words += " --difference none"
    assert lagllama("forecast", "data.csv", "-p", 3, *words.split())[0] == 0
    changed = {"coarsen": 4, "context_length": 9, "nonnegative": True, "sampling": "random"}
    changed["difference"] = "none"
    assert ForecastConfig.of(**options["forecast"]) == ForecastConfig(**changed)
    options = asked(evaluate)
    assert lagllama("evaluate", "--seed", 3, "--quantile-levels", 0.5)[0] == 2
    assert lagllama("evaluate", "--seed", 3)[0] == 0
    assert ForecastConfig.of(**options["forecast"]) == ForecastConfig(seed=3)


def test_several_learning_rates_and_contexts_can_be_tried(lagllama, asked):
    options = asked(finetune)
    words = "--learning-rate 1e-5 1e-4 --context-length 32 64 --clip-norm None --freeze head"
    assert lagllama("finetune", "data.csv", "-p", 3, "-o", "out", *words.split())[0] == 0
    expected = {"learning_rate": (1e-5, 1e-4), "context_length": (32, 64), "clip_norm": None}
    assert options["fit"] == finetune.DEFAULTS | expected | {"freeze": ("head",)}


def test_of_a_preset_only_what_is_given_changes(lagllama, asked):
    options = asked(pretrain)
    words = "--train.steps 7 --model.observed-features True --loop.patience None --model.lags 0 1"
    assert lagllama("pretrain", "corpus", "-o", "out", *words.split())[0] == 0
    assert options["model"] == {"observed_features": True, "lags": (0, 1)}
    assert options["train"] == {"steps": 7} and options["loop"] == {"patience": None}
    assert options["data"] == {}


WRONG_PLACES = [
    ("forecast", "data.csv", "-p", "3", "-o", "data.csv"),
    ("finetune", "data.csv", "-p", "3", "-o", "data.csv"),
    ("finetune", "data.csv", "-p", "3", "-o", "taken"),
    ("finetune", "corpus", "-p", "3", "-o", "corpus"),
    ("pretrain", "corpus", "-o", "corpus"),
    ("pretrain", "corpus", "-o", "taken"),
    ("evaluate", "--data", "data.csv", "--prediction-length", "3", "--output-dir", "taken"),
    ("convert", "taken", "taken", "--to-torch"),
    ("convert", "taken", "data.csv"),
    ("demo", "--output-dir", "taken"),
    ("data", "corpus", "data.csv", "-o", "taken"),
    ("data", "corpus", "corpus", "-o", "corpus"),
    ("data", "corpus", "data.csv", "-o", "notes"),
]


@pytest.mark.parametrize("words", WRONG_PLACES, ids=" ".join)
def test_an_output_in_the_wrong_place_is_refused_before_the_work(
    lagllama, tmp_path, monkeypatch, words
):
    monkeypatch.chdir(tmp_path)
    for file in ("data.csv", "taken"):  # whoever reads them complains of something else
        (tmp_path / file).write_text("no table and no checkpoint")
    for folder in ("corpus", "notes"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "notes.txt").write_text("mine")
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    code, shown, complaint = lagllama(*words)
    assert (code, shown) == (2, "")
    assert complaint.startswith("lagllama: ") and complaint.count("\n") == 1
    assert any(word in complaint for word in ("the same as the", "Cannot", "is not a corpus"))
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("command", ["forecast", "finetune", "evaluate", "impact", "export"])
def test_the_horizon_has_the_same_short_name_in_all_commands(lagllama, command):
    assert "-p N, --prediction-length N" in " ".join(lagllama(command, "--help")[1].split())
