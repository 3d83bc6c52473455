import json

import numpy as np
import pandas as pd
import pytest

from lagllama_jax.cli.evaluate import main as evaluate
from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.lock import locked


def write(path, values) -> dict:
    """A table of one hourly series, and the options to evaluate a baseline on it."""
    dates = pd.date_range("2024-01-01", periods=len(values), freq="h")
    pd.DataFrame({"timestamp": dates, "a": values}).to_csv(path, index=False)
    return {"model": "naive", "data": path, "prediction_length": 6}


@pytest.fixture
def options(tmp_path, monkeypatch) -> dict:
    """Of a short noisy series, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / "sales.csv", np.random.default_rng(0).normal(5, 1, 80))


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
    record = (tmp_path / "out/run.json").read_bytes()
    evaluate(**options, forecast={"seed": 1})
    assert capsys.readouterr().out.count("CRPS") == 1
    assert (tmp_path / "out/run.json").read_bytes() == record


def test_a_run_is_recorded_only_where_a_row_was_computed(options, tmp_path):
    evaluate(**options, plots=False)
    record = tmp_path / "results/sales/run.json"
    first = record.read_bytes()
    assert list(json.loads(first)) == ["naive"]
    evaluate(**options, plots=False, forecast={"num_samples": 7})  # the same to a baseline
    assert record.read_bytes() == first
    evaluate(**options, plots=False, forecast={"num_samples": 7}, overwrite=True)
    assert json.loads(record.read_text())["naive"]["forecast"]["num_samples"] == 7


def test_a_folder_that_another_evaluation_writes_to_is_refused(options, tmp_path):
    with locked(tmp_path / "out"), pytest.raises(DataError, match="Another process is writing"):
        evaluate(**options, plots=False, output_dir=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    evaluate(**options, plots=False, output_dir=tmp_path / "out")


def test_what_is_evaluated_decides_the_folder(options, shared, tmp_path):
    evaluate(**options, plots=False)
    sets = shared / "data/evaluation"
    evaluate(model="naive", suite="m4_hourly", data_dir=sets, plots=False)
    for folder in ("sales", "m4_hourly"):
        assert (tmp_path / "results" / folder / "naive.md").exists()


def test_rows_of_another_horizon_are_refused(options, tmp_path):
    evaluate(**options, plots=False)
    with pytest.raises(DataError, match="sales/h/own .*--overwrite"):
        evaluate(**options | {"prediction_length": 12}, windows=3, plots=False)
    evaluate(**options | {"prediction_length": 12}, windows=3, plots=False, output_dir=tmp_path)


def test_a_series_that_the_reference_forecasts_exactly_is_named(options, tmp_path, capsys):
    evaluate(**write(tmp_path / "weekly.csv", np.arange(96) % 24 + 1.0))
    printed = capsys.readouterr().out
    assert "CRPS is 0 or undefined on weekly/h/own: there is no mean" in printed
    assert "there is no mean" in (tmp_path / "results/weekly/naive.md").read_text()


def test_a_series_of_zeros_has_no_score_and_that_is_said(options, tmp_path, capsys):
    evaluate(**write(tmp_path / "zeros.csv", np.zeros(96)))
    printed = capsys.readouterr().out
    assert "CRPS -  MASE -" in printed and printed.count("zeros/h/own: there is no mean") == 2
    assert "nan" not in printed + (tmp_path / "results/zeros/naive.md").read_text()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"prediction_length": None}, "--prediction-length"),
        ({"prediction_length": 0}, "prediction_length=0"),
        ({"windows": 0}, "windows=0"),
        ({"windows": -1}, "windows=-1"),
        ({"data": None, "suite": "paper"}, "--suite paper needs --data-dir"),
        ({"data": None, "suite": "validation"}, "validation, of a corpus' Parquet files"),
        (
            {"data": None, "suite": "m4_hourly", "data_dir": ".", "terms": ("medium",)},
            "no task of terms=medium",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_evaluated_is_refused_and_leaves_nothing(options, wrong, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        evaluate(**options | wrong)
    assert not (tmp_path / "results").exists()
