import numpy as np
import pandas as pd
import pytest

from lagllama_jax.checkpoints.hub import save_pretrained
from lagllama_jax.cli.evaluate import main as evaluate
from lagllama_jax.config import ForecastConfig
from lagllama_jax.evaluation.backtest import cross_validate
from lagllama_jax.evaluation.forecasters import ModelForecaster, as_forecaster

# One number of samples, windows and steps in the whole file: one program to compile.
SAMPLES, WINDOWS, POINTS = 20, 2, 3


@pytest.fixture
def table() -> pd.DataFrame:
    time = np.arange(120)
    dates = pd.date_range("2024-01-01", periods=120, freq="h")
    return pd.DataFrame({"timestamp": dates, "a": np.sin(time / 4), "b": np.cos(time / 4) + 5})


def test_weights_of_a_folder_are_scored_on_a_users_own_table(
    tiny_parameters, tiny_config, table, tmp_path, capsys
):
    save_pretrained(tmp_path / "mine", tiny_config, tiny_parameters)
    table.to_csv(tmp_path / "sales.csv", index=False)
    evaluate(
        model=str(tmp_path / "mine"),
        data=tmp_path / "sales.csv",
        prediction_length=POINTS,
        windows=WINDOWS,
        forecast={"num_samples": SAMPLES},
        output_dir=tmp_path / "out",
        plots=False,
    )
    assert "sales/h/own" in capsys.readouterr().out
    assert "| **mine** |" in (tmp_path / "out/mine.md").read_text()
    assert not list((tmp_path / "out").rglob("*.png"))


def test_a_model_is_cross_validated_on_windows_that_came_later(tiny_parameters, tiny_config, table):
    config = ForecastConfig(num_samples=SAMPLES)
    model = ModelForecaster(tiny_parameters, tiny_config, config)
    result = cross_validate(model, table, POINTS, WINDOWS)
    changed = table.copy()
    changed.loc[len(table) - 2 * POINTS :, ["a", "b"]] += 100.0  # the first window and on
    other = cross_validate(model, changed, POINTS, WINDOWS)
    first = result.cutoff == result.cutoff.min()
    levels = [f"0.{digit}" for digit in range(1, 10)]
    np.testing.assert_array_equal(result.loc[first, levels], other.loc[first, levels])
    assert (result.loc[~first, levels] != other.loc[~first, levels]).all(axis=None)
    assert (result[levels].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)


def test_whatever_has_parameters_and_a_config_is_a_model(tiny_parameters, tiny_config):
    class Model:
        parameters, config = tiny_parameters, tiny_config

    forecaster = as_forecaster(Model())
    assert isinstance(forecaster, ModelForecaster)
    assert forecaster.model_config == tiny_config
    assert as_forecaster(forecaster) is forecaster
