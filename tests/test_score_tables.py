"""The figures in the documents are those of the recorded results, however they are worded."""

import importlib.util
import re

import pytest

DOCUMENTS = (
    "README.md",
    "lagllama_jax/checkpoints/bundled/README.md",
    "experiments/zero_shot/README.md",
)


@pytest.fixture(scope="module")
def figures(repository):
    path = repository / "experiments/zero_shot/figures.py"
    spec = importlib.util.spec_from_file_location("figures", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=DOCUMENTS)
def text(request, repository):
    return (repository / request.param).read_text()


def numbers(figures, text: str) -> list[re.Match]:
    """The numbers that are bound to a figure: in sentences, and in rows of tables."""
    bound = list(figures.MARKED.finditer(text))
    for table in figures.TABLE.finditer(text):
        rows = re.compile(r"^\| \S+/\S+ \|.*$", re.MULTILINE)
        for row in rows.finditer(text, *table.span("rows")):
            bound += re.compile(r"(?<=\| )(\d+(?:\.\d+)?)").finditer(text, *row.span())
    return bound


def test_the_figures_are_those_of_the_results(figures, text):
    assert figures.refreshed(text).splitlines() == text.splitlines()


def test_any_wrong_number_is_found(figures, text):
    bound = numbers(figures, text)
    assert len(bound) > 5
    for number in bound:
        digit = str((int(number[1][-1]) + 1) % 10)
        wrong = text[: number.end(1) - 1] + digit + text[number.end(1) :]
        assert figures.refreshed(wrong) == text, number[0]


def test_other_words_around_the_figures_change_nothing(figures, text):
    reworded = re.sub(r"\b(of|the|is|that)\b(?![^<]*-->)", "ipsum", text)
    assert reworded != text
    assert figures.refreshed(reworded) == reworded


def test_every_score_of_the_readme_is_bound_to_a_figure(figures, repository):
    readme = (repository / "README.md").read_text()
    section = readme.split("\n## How good")[1].split("\n## ")[0]
    assert len(numbers(figures, section)) == 17 * 5 + 2 * 4 + 5
    prose = re.sub(r"```.*?```", "", section, flags=re.DOTALL)
    prose = figures.MARKED.sub("", figures.TABLE.sub("", prose))
    assert re.findall(r"(?<![\w.-])(?:\d+\.\d+(?![\w.-])|\d+ %(?! interval))", prose) == []


def test_all_tasks_of_the_benchmark_are_in_the_table(figures, repository):
    readme = (repository / "README.md").read_text()
    tasks = figures.recorded("gift_eval").index.get_level_values("dataset").unique()
    assert len(tasks) == 17
    assert all(f"\n| {task} |" in readme for task in tasks)
