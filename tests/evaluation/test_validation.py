import numpy as np
import pytest

from lagllama_jax.corpus.store import Corpus
from lagllama_jax.errors import ConfigError
from lagllama_jax.evaluation.baselines import baseline
from lagllama_jax.evaluation.run import evaluate_task
from lagllama_jax.evaluation.scores import relative_score
from lagllama_jax.evaluation.suites import suite_tasks
from lagllama_jax.evaluation.validation import SETS, held_out, validation_tasks

SMALL = ("electricity", "mcomp", "pbs", "wikipedia_page_visits", "m4_yearly")


@pytest.fixture(scope="module")
def corpus(shared, tmp_path_factory) -> Corpus:
    """Some data sets of the corpus, with validation tasks and without."""
    folder = tmp_path_factory.mktemp("corpus")
    for name in (*SMALL, "parking", "ercot"):
        (folder / f"{name}.parquet").symlink_to(shared / f"data/corpus/{name}.parquet")
    return Corpus.from_parquet(folder)


def names(corpus: Corpus, index: np.ndarray) -> list[str]:
    return [corpus.describe(number) for number in index]


def test_every_point_that_is_scored_is_held_out_of_training(shared, corpus):
    held = held_out(corpus)
    start = dict(zip(names(corpus, held.series), held.start.tolist(), strict=True))
    for task in validation_tasks(shared / "data/corpus", SMALL):
        windows = task.windows()
        assert len(windows) == 40
        for item in windows.dataset:
            name = f"{task.dataset}/{item.item_id.rpartition('/')[0]}"
            assert start[name] <= item.target.shape[1]


def test_little_is_held_out_and_nothing_of_other_data_sets(corpus):
    held = held_out(corpus)
    assert (np.diff(held.series) > 0).all()
    assert ((held.start > 0) & (held.start < corpus.lengths[held.series])).all()
    assert (corpus.lengths[held.series] - held.start).sum() < 0.05 * corpus.points
    assert {name.split("/")[0] for name in names(corpus, held.series)} == set(SMALL)


def test_what_is_held_out_does_not_depend_on_what_else_the_corpus_holds(corpus):
    few = corpus.select(np.arange(len(corpus)) % 3 == 0)
    all_held = dict(
        zip(names(corpus, held_out(corpus).series), held_out(corpus).start, strict=True)
    )
    held = held_out(few)
    assert len(held.series) > 0
    expected = {name: all_held[name] for name in names(few, held.series)}
    assert dict(zip(names(few, held.series), held.start, strict=True)) == expected


def test_tasks_have_names_of_their_own_and_evaluation_sets_are_not_among_them(shared):
    tasks = validation_tasks(shared / "data/corpus")
    assert len({task.name for task in tasks}) == len(SETS) == 18
    evaluation = {path.name.split(".")[0] for path in (shared / "data/evaluation").iterdir()}
    assert not evaluation & {task.dataset for task in tasks}


def test_a_score_relative_to_itself_is_one(shared):
    task = validation_tasks(shared / "data/corpus", ["pbs"])[0]
    row = evaluate_task(baseline("seasonal_naive"), task)
    other = evaluate_task(baseline("naive"), task)
    assert relative_score([row], [row]) == 1
    assert relative_score([other], [row]) > 1


def test_a_data_set_without_a_validation_task_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="ercot"):
        validation_tasks(tmp_path, ["ercot"])


def test_the_command_s_suite_is_these_tasks(shared):
    folder = shared / "data/corpus"
    medium = suite_tasks("validation", folder, ("medium",))
    assert [task.dataset for task in medium] == [s.dataset for s in SETS if s.term == "medium"]
    assert len(suite_tasks("validation", folder)) == len(SETS)
