import pytest

from lagllama_jax.errors import ConfigError
from lagllama_jax.frontends.commands.evaluate import main as evaluate


def test_the_command_writes_tables_report_and_pictures_and_skips_what_is_done(
    shared, tmp_path, capsys
):
    options = {
        "model": "seasonal_naive",
        "suite": "m4_hourly",
        "data_dir": shared / "data/evaluation",
        "published": shared / "benchmarks/gift_eval_published.csv",
        "output_dir": tmp_path / "out",
    }
    evaluate(**options)
    first = capsys.readouterr().out
    assert first.count("CRPS") == 2 and "CRPS 1.000" in first
    made = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert made >= {
        "all_results.csv",
        "calibration.csv",
        "run.json",
        "seasonal_naive.md",
        "seasonal_naive_ratios.png",
        "seasonal_naive_calibration.png",
        "examples/seasonal_naive_m4_hourly_H_short.png",
    }
    evaluate(**options)
    assert capsys.readouterr().out.count("CRPS") == 1


def test_a_table_without_a_horizon_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="--prediction-length"):
        evaluate(model="naive", data=tmp_path / "a.csv", output_dir=tmp_path)
