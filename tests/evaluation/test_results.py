import json

import pytest

from lagllama_jax.config import ForecastConfig
from lagllama_jax.errors import DataError
from lagllama_jax.evaluation import report, results
from lagllama_jax.evaluation.backtest import evaluate_tasks
from lagllama_jax.evaluation.datasets import ett_tasks
from lagllama_jax.evaluation.forecasters import BaselineForecaster


@pytest.fixture
def tasks(shared):
    return [task for task in ett_tasks(shared / "data/evaluation") if task.frequency in "DW"]


class Stopping(BaselineForecaster):
    """Counts its calls and fails at the third."""

    def __init__(self):
        super().__init__("naive")
        object.__setattr__(self, "calls", 0)

    def __call__(self, windows, levels):
        object.__setattr__(self, "calls", self.calls + 1)
        if self.calls == 3:
            raise KeyboardInterrupt
        return super().__call__(windows, levels)


def test_a_stopped_run_is_resumed_where_it_stopped_and_ends_as_an_uninterrupted_one(
    tasks, tmp_path
):
    stopped = Stopping()
    with pytest.raises(KeyboardInterrupt):
        results.evaluate_into(tmp_path / "a", stopped, tasks)
    assert len(results.read_results(tmp_path / "a")) == 2
    resumed = results.evaluate_into(tmp_path / "a", stopped, tasks)
    assert stopped.calls == 3 + len(tasks) - 2
    whole = results.evaluate_into(tmp_path / "b", BaselineForecaster("naive"), tasks)
    for row, expected in zip(resumed, whole, strict=True):
        assert {**row, "seconds": 0} == {**expected, "seconds": 0}


def test_tables_are_read_back_as_they_were_written(tasks, tmp_path):
    rows = evaluate_tasks(BaselineForecaster("naive"), tasks)
    for row in rows:
        results.add_result(tmp_path, row)
    assert results.read_results(tmp_path) == rows


def test_all_results_has_the_columns_of_the_benchmark(tasks, tmp_path):
    results.evaluate_into(tmp_path, BaselineForecaster("naive"), tasks[:1])
    header = (tmp_path / "all_results.csv").read_text().splitlines()[0]
    assert header == (
        "dataset,model,eval_metrics/MSE[mean],eval_metrics/MSE[0.5],eval_metrics/MAE[0.5],"
        "eval_metrics/MASE[0.5],eval_metrics/MAPE[0.5],eval_metrics/sMAPE[0.5],eval_metrics/MSIS,"
        "eval_metrics/RMSE[mean],eval_metrics/NRMSE[mean],eval_metrics/ND[0.5],"
        "eval_metrics/mean_weighted_sum_quantile_loss,domain,num_variates"
    )


def test_overwriting_replaces_a_row_and_leaves_other_models_alone(tasks, tmp_path):
    for name in ("naive", "seasonal_naive", "naive"):
        results.evaluate_into(tmp_path, BaselineForecaster(name), tasks[:1], overwrite=True)
    assert {row["model"] for row in results.read_results(tmp_path)} == {"naive", "seasonal_naive"}
    assert len(results.read_results(tmp_path)) == 2


def test_a_damaged_table_is_named_with_line_and_column(tmp_path):
    (tmp_path / "calibration.csv").write_text("dataset,model,coverage_80\na,b,much\n")
    with pytest.raises(DataError, match=r"calibration.csv, line 2, column 'coverage_80': 'much'"):
        results.read_results(tmp_path)


def test_the_record_of_a_run_keeps_one_entry_a_model(tmp_path):
    results.record_run(tmp_path, "a", ForecastConfig())
    results.record_run(tmp_path, "b", ForecastConfig(num_samples=7))
    runs = json.loads((tmp_path / "run.json").read_text())
    assert list(runs) == ["a", "b"]
    assert runs["b"]["forecast"]["num_samples"] == 7
    assert runs["a"]["command"] and runs["a"]["date"] and runs["a"]["machine"]


def test_published_geometric_means_come_out_as_published(shared):
    published = report.read_published(shared / "benchmarks/gift_eval_published.csv")
    every = sorted(published["seasonal_naive"])
    ett = [task for task in every if task.startswith("ett")]
    means = {97: report.relative(published, every), 16: report.relative(published, ett)}
    assert [round(means[count]["Lag-Llama"][0], 3) for count in (97, 16)] == [0.880, 0.996]
    assert [round(means[count]["Toto-2.0-4m"][0], 3) for count in (97, 16)] == [0.524, 0.677]
    assert next(iter(means[97])) == min(means[97], key=lambda model: means[97][model][0])


def test_the_report_sets_the_model_beside_the_published_ones(shared, tasks):
    published = report.read_published(shared / "benchmarks/gift_eval_published.csv")
    rows = evaluate_tasks(BaselineForecaster("naive"), tasks)
    text = report.markdown(rows, published, ["TiRex", "nobody"])
    assert "| **naive** | 1.000 | 1.000 |" in text  # with a season of one they are the same
    assert "| task | seasonal_naive CRPS | naive | TiRex |" in text
    assert text.count("ett2/W/short") == 2


def test_a_report_without_the_reference_says_what_to_do(tasks):
    rows = evaluate_tasks(BaselineForecaster("naive"), tasks[:1])
    with pytest.raises(DataError, match="evaluate it, or give a CSV"):
        report.markdown(rows, {})
