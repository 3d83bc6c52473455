import jax
import numpy as np
import pytest

from lagllama_jax.config import ForecastConfig
from lagllama_jax.errors import DataError
from lagllama_jax.evaluation import report, results
from lagllama_jax.evaluation.backtest import evaluate_task, evaluate_tasks
from lagllama_jax.evaluation.fingerprint import fingerprint
from lagllama_jax.evaluation.forecasters import BaselineForecaster, ModelForecaster
from lagllama_jax.evaluation.suites import ett_tasks
from lagllama_jax.evaluation.windows import Panel, Task

NAN = float("nan")


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
    rows = results.evaluate_into(tmp_path, BaselineForecaster("naive"), tasks)
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


def made_up(points=3, windows=1, value=4.0, name="made_up") -> Task:
    series = np.append(np.arange(40.0), value)
    panel = Panel(("a",), (series,), ("2024-01-01",), "h")
    return Task(name, "h", "own", points, 24, windows, "own", 1, lambda: panel)


CHANGES = [{"points": 4}, {"windows": 2}, {"value": 4.0 + 1e-12}]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_row_of_another_question_is_refused_before_anything_is_forecast(change, tmp_path):
    results.evaluate_into(tmp_path, BaselineForecaster("naive"), [made_up()])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    tasks = [made_up(name="new"), made_up(**change)]
    message = "row of naive for made_up/h/own .* other series, windows, options or weights .*--over"
    with pytest.raises(DataError, match=message):
        results.evaluate_into(tmp_path, BaselineForecaster("naive"), tasks)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    rows = results.evaluate_into(tmp_path, BaselineForecaster("naive"), tasks, overwrite=True)
    assert results.evaluate_into(tmp_path, BaselineForecaster("naive"), tasks) == rows


def test_a_row_that_does_not_tell_what_it_was_computed_from_is_refused(tmp_path):
    row = evaluate_task(BaselineForecaster("naive"), made_up())
    results.add_result(tmp_path, row)
    with pytest.raises(DataError, match="that it does not tell.*--overwrite"):
        results.evaluate_into(tmp_path, BaselineForecaster("naive"), [made_up()])
    kept = results.evaluate_into(tmp_path, BaselineForecaster("naive"), [made_up(name="new")])
    assert [old["dataset"] for old in results.read_results(tmp_path)] == [
        row["dataset"], kept[0]["dataset"],
    ]  # fmt: skip


def test_a_row_whose_writing_was_cut_off_is_evaluated_again(tmp_path, monkeypatch):
    naive, write = BaselineForecaster("naive"), results.write_rows

    def cut_off(path, rows, columns):
        rows = list(rows)
        if path.name == "all_results.csv" and rows:
            raise KeyboardInterrupt
        write(path, rows, columns)

    for overwrite in (False, True):
        monkeypatch.setattr(results, "write_rows", cut_off)
        with pytest.raises(KeyboardInterrupt):
            results.evaluate_into(tmp_path, naive, [made_up(4)], overwrite=overwrite)
        monkeypatch.setattr(results, "write_rows", write)
        rows = results.evaluate_into(tmp_path, naive, [made_up()])  # not what was cut off
        assert results.read_results(tmp_path) == rows


def test_a_fingerprint_is_the_same_in_every_process_and_on_every_machine():
    assert fingerprint(BaselineForecaster("naive"), made_up()) == "74086d16ccc801c9"


def test_a_fingerprint_tells_options_and_weights_apart_but_not_the_size_of_a_batch(
    tiny_parameters, tiny_config
):
    def of(parameters=tiny_parameters, config=tiny_config, **options):
        drawn = ForecastConfig(**options)
        return fingerprint(ModelForecaster(parameters, config, drawn), made_up())

    other = jax.tree.map(lambda weight: weight + 1e-3, tiny_parameters)
    different = [
        of(),
        of(other),
        of(config=tiny_config.replace(imputation="loc")),
        of(seed=1),
        of(num_samples=7),
        of(coarsen=1),
        of(context_length=8),
    ]
    assert len(set(different)) == len(different)
    assert of(batch_size=3) == of()


def test_a_seed_tells_apart_only_baselines_that_are_trained():
    def of(name, seed):
        return fingerprint(BaselineForecaster(name, seed), made_up())

    assert of("deepar", 0) != of("deepar", 1)
    assert of("naive", 0) == of("naive", 1)


SCORES = {
    "seasonal_naive": {"exact": (0.0, 0.0), "zero": (NAN, 2.0), "other": (4.0, 2.0)},
    "mine": {"exact": (0.5, 0.5), "zero": (NAN, 4.0), "other": (2.0, 4.0)},
}


def test_a_task_whose_reference_cannot_be_divided_by_is_left_out_of_the_mean_and_named():
    tasks = ["exact", "zero", "other"]
    means = report.relative(SCORES, tasks)
    assert means == {"mine": (0.5, pytest.approx(2.0)), "seasonal_naive": (1.0, 1.0)}
    assert report.left_out(SCORES, tasks) == (
        "seasonal_naive's CRPS is 0 or undefined on exact, zero: left out of the mean. "
        "seasonal_naive's MASE is 0 or undefined on exact: left out of the mean."
    )
    assert report.left_out(SCORES, ["other"]) == ""
    assert "| exact | 0.0000 | - |" in report.per_task(SCORES, tasks, ["mine"])


def test_where_no_task_is_left_the_tables_say_so():
    assert "| mine | - | - |" in report.ranking(SCORES, ["exact"])
    assert report.left_out(SCORES, ["exact"]).count("there is no mean") == 2


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
