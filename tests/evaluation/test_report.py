import pytest

from lagllama_jax.errors import DataError
from lagllama_jax.evaluation import report
from lagllama_jax.evaluation.baselines import baseline
from lagllama_jax.evaluation.run import evaluate_tasks
from lagllama_jax.evaluation.suites import ett_tasks

NAN = float("nan")


@pytest.fixture
def tasks(shared):
    return [task for task in ett_tasks(shared / "data/evaluation") if task.frequency in "DW"]


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
    rows = evaluate_tasks(baseline("naive"), tasks)
    text = report.markdown(rows, published, ["TiRex", "nobody"])
    assert "| **naive** | 1.000 | 1.000 |" in text  # with a season of one they are the same
    assert "| task | seasonal_naive CRPS | naive | TiRex |" in text
    assert text.count("ett2/W/short") == 2


def test_a_report_without_the_reference_says_what_to_do(tasks):
    rows = evaluate_tasks(baseline("naive"), tasks[:1])
    with pytest.raises(DataError, match="evaluate it, or give a CSV"):
        report.markdown(rows, {})
