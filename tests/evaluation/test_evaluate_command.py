import numpy as np
import pandas as pd
import pytest

from lagllama_jax.errors import ConfigError
from lagllama_jax.frontends.commands.evaluate import evaluate


def test_the_command_writes_tables_report_and_pictures_and_skips_what_is_done(
    shared, tmp_path, capsys
):
    options = {
        "model": "seasonal_naive",
        "suite": "gift-eval-ett",
        "terms": ("short",),
        "data_dir": shared / "data/evaluation",
        "published": shared / "benchmarks/gift_eval_published.csv",
        "output_dir": tmp_path / "out",
    }
    evaluate(**options)
    first = capsys.readouterr().out
    assert first.count("CRPS") == 9 and "CRPS 1.000" in first
    made = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert made >= {
        "all_results.csv",
        "calibration.csv",
        "run.json",
        "seasonal_naive.md",
        "seasonal_naive_ratios.png",
        "seasonal_naive_calibration.png",
        "examples/seasonal_naive_ett2_W_short.png",
    }
    evaluate(**options)
    assert capsys.readouterr().out.count("CRPS") == 1


def test_weights_of_a_folder_are_scored_on_a_users_own_table(
    tiny_parameters, tiny_config, tmp_path, capsys
):
    from lagllama_jax.pretrained.hub import save_pretrained

    save_pretrained(tmp_path / "mine", tiny_config, tiny_parameters)
    pd.DataFrame(
        {
            "timestamp": pd.date_range("2024-01-01", periods=120, freq="h"),
            "a": np.sin(np.arange(120) / 4),
            "b": np.cos(np.arange(120) / 4) + 5,
        }
    ).to_csv(tmp_path / "sales.csv", index=False)
    evaluate(
        model=str(tmp_path / "mine"),
        data=tmp_path / "sales.csv",
        prediction_length=3,
        windows=2,
        num_samples=20,
        output_dir=tmp_path / "out",
        plots=False,
    )
    assert "sales/h/own" in capsys.readouterr().out
    assert "| **mine** |" in (tmp_path / "out/mine.md").read_text()
    assert not list((tmp_path / "out").rglob("*.png"))


def test_a_table_without_a_horizon_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="--prediction-length"):
        evaluate(model="naive", data=tmp_path / "a.csv", output_dir=tmp_path)
