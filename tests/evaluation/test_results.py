import numpy as np
import pytest

from lagllama_jax.config import ForecastConfig
from lagllama_jax.errors import DataError
from lagllama_jax.evaluation import results
from lagllama_jax.evaluation.baselines import Naive, baseline
from lagllama_jax.evaluation.run import evaluate_into, evaluate_task
from lagllama_jax.evaluation.suites import ett_tasks
from lagllama_jax.evaluation.tasks import Task, task_of


@pytest.fixture
def tasks(shared):
    return [task for task in ett_tasks(shared / "data/evaluation") if task.frequency in "DW"]


class Stopping(Naive):
    """Counts its calls and fails at the third."""

    calls = 0

    def predict(self, *asked):
        type(self).calls += 1
        if self.calls == 3:
            raise KeyboardInterrupt
        return super().predict(*asked)


def test_a_stopped_run_is_resumed_where_it_stopped_and_ends_as_an_uninterrupted_one(
    tasks, tmp_path
):
    stopped = Stopping()
    with pytest.raises(KeyboardInterrupt):
        evaluate_into(tmp_path / "a", stopped, tasks)
    assert len(results.read_results(tmp_path / "a")) == 2
    resumed = evaluate_into(tmp_path / "a", stopped, tasks)
    assert stopped.calls == 3 + len(tasks) - 2
    whole = evaluate_into(tmp_path / "b", baseline("naive"), tasks)
    for row, expected in zip(resumed, whole, strict=True):
        same = {"seconds": 0, "fingerprint": row["fingerprint"]}  # it has another class' name
        assert row | same == expected | same


def test_tables_are_read_back_as_they_were_written(tasks, tmp_path):
    rows = evaluate_into(tmp_path, baseline("naive"), tasks)
    assert results.read_results(tmp_path) == rows


def test_all_results_has_the_columns_of_the_benchmark(tasks, tmp_path):
    evaluate_into(tmp_path, baseline("naive"), tasks[:1])
    header = (tmp_path / "all_results.csv").read_text().splitlines()[0]
    assert header == (
        "dataset,model,eval_metrics/MSE[mean],eval_metrics/MSE[0.5],eval_metrics/MAE[0.5],"
        "eval_metrics/MASE[0.5],eval_metrics/MAPE[0.5],eval_metrics/sMAPE[0.5],eval_metrics/MSIS,"
        "eval_metrics/RMSE[mean],eval_metrics/NRMSE[mean],eval_metrics/ND[0.5],"
        "eval_metrics/mean_weighted_sum_quantile_loss,domain,num_variates"
    )


def test_overwriting_replaces_a_row_and_leaves_other_models_alone(tasks, tmp_path):
    for name in ("naive", "seasonal_naive", "naive"):
        evaluate_into(tmp_path, baseline(name), tasks[:1], overwrite=True)
    assert {row["model"] for row in results.read_results(tmp_path)} == {"naive", "seasonal_naive"}
    assert len(results.read_results(tmp_path)) == 2


def test_a_damaged_table_is_named_with_line_and_column(tmp_path):
    (tmp_path / "calibration.csv").write_text("dataset,model,coverage_80\na,b,much\n")
    with pytest.raises(DataError, match=r"calibration.csv, line 2, column 'coverage_80': 'much'"):
        results.read_results(tmp_path)


@pytest.fixture
def made_up(series_of):
    def make(points=3, windows=1, value=4.0, name="made_up") -> Task:
        return task_of(name, series_of(np.append(np.arange(40.0), value)), points, windows)

    return make


CHANGES = [{"points": 4}, {"windows": 2}, {"value": 4.0 + 1e-12}]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_row_of_another_question_is_refused_before_any_forecast(change, made_up, tmp_path):
    evaluate_into(tmp_path, baseline("naive"), [made_up()])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    tasks = [made_up(name="new"), made_up(**change)]
    message = "row of naive for made_up/h/own .* other series, windows, options or weights .*--over"
    with pytest.raises(DataError, match=message):
        evaluate_into(tmp_path, baseline("naive"), tasks)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    rows = evaluate_into(tmp_path, baseline("naive"), tasks, overwrite=True)
    assert evaluate_into(tmp_path, baseline("naive"), tasks) == rows


def test_a_row_that_does_not_tell_what_it_was_computed_from_is_refused(made_up, tmp_path):
    row = evaluate_task(baseline("naive"), made_up())
    results.add_result(tmp_path, row)
    with pytest.raises(DataError, match="that it does not state.*--overwrite"):
        evaluate_into(tmp_path, baseline("naive"), [made_up()])
    kept = evaluate_into(tmp_path, baseline("naive"), [made_up(name="new")])
    assert [old["dataset"] for old in results.read_results(tmp_path)] == [
        row["dataset"], kept[0]["dataset"],
    ]  # fmt: skip


def test_a_row_whose_writing_was_cut_off_is_evaluated_again(made_up, tmp_path, monkeypatch):
    naive, write = baseline("naive"), results.write_rows

    def cut_off(path, rows, columns):
        rows = list(rows)
        if path.name == "all_results.csv" and rows:
            raise KeyboardInterrupt
        write(path, rows, columns)

    for overwrite in (False, True):
        monkeypatch.setattr(results, "write_rows", cut_off)
        with pytest.raises(KeyboardInterrupt):
            evaluate_into(tmp_path, naive, [made_up(4)], overwrite=overwrite)
        monkeypatch.setattr(results, "write_rows", write)
        rows = evaluate_into(tmp_path, naive, [made_up()])  # not what was cut off
        assert results.read_results(tmp_path) == rows


def test_a_model_is_known_by_the_name_it_is_given_and_asked_as_configured(
    made_up, walk_class, tmp_path
):
    task, model = made_up(), walk_class()
    few = ForecastConfig(num_samples=5, quantile_levels=(0.5,))
    one, own = evaluate_into(tmp_path, model, [task], "one", few), evaluate_task(model, task)
    other = evaluate_into(tmp_path, model, [task], "other", ForecastConfig(seed=1))
    assert [row["model"] for row in (*one, *other, own)] == ["one", "other", "walk"]
    assert one[0] | {"fingerprint": ""} != other[0] | {"fingerprint": ""}
    with pytest.raises(DataError, match="row of one .* other series, windows, options"):
        evaluate_into(tmp_path, model, [task], "one", ForecastConfig(num_samples=6))
    assert evaluate_into(tmp_path, model, [task], "one", few) == one


def test_a_new_row_is_reported_with_its_forecast_once_it_is_written(made_up, tmp_path):
    seen = []

    def on_row(row, task, windows, forecast):
        assert results.read_results(tmp_path) == [row]
        seen.append((task.name, windows.target.shape, forecast.mean.shape))

    for _ in range(2):  # the second time the row is there
        evaluate_into(tmp_path, baseline("naive"), [made_up()], on_row=on_row)
    assert seen == [("made_up/h/own", (1, 3), (1, 3))]
