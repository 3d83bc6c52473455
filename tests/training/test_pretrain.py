"""A run in a folder: where it begins, when it stops, what it writes, what it refuses."""

import shutil

import jax
import numpy as np
import pytest

from lagllama_jax.config import LoopConfig
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.errors import CheckpointError, DataError, TrainingError
from lagllama_jax.model.network import init_parameters
from lagllama_jax.training import pretrain as pretraining
from lagllama_jax.training.checkpoints import Checkpoints
from lagllama_jax.training.loop import Run, train
from lagllama_jax.training.metrics import COLUMNS, MetricsFile, read_metrics
from lagllama_jax.training.pretrain import Start, pretrain
from lagllama_jax.training.recipe import Recipe
from lagllama_jax.training.sharding import Rules, make_mesh, shard_state
from lagllama_jax.training.sources.corpus_arrays import corpus_arrays, held_back
from lagllama_jax.training.sources.device import DeviceSource
from lagllama_jax.training.state import init_state
from lagllama_jax.training.watch import Watch
from tests.training.conftest import RECIPE, packed, waves

SHORT = Recipe(RECIPE.model, RECIPE.data, RECIPE.train.replace(steps=20), RECIPE.loop)


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    """A folder with a run of 20 steps, and what it returned."""
    folder = tmp_path_factory.mktemp("run")
    return folder, pretrain(corpus, folder, SHORT, lengths=held_back(corpus, 4, 20))


def test_a_run_learns_and_writes_its_metrics(run):
    folder, trained = run
    rows = read_metrics(folder / "metrics.csv")
    assert [row["step"] for row in rows] == [10, 20] and tuple(rows[0]) == COLUMNS
    assert rows[1]["loss"] < rows[0]["loss"]
    assert [row["validation_loss"] for row in rows] == [None, trained.best.loss]
    assert trained.stopped == "finished" and trained.best.step == 20
    same(trained.weights, trained.state.ema)
    (events,) = (folder / "tensorboard").iterdir()
    written = events.read_bytes()
    assert b"scaled_loss" in written and b"validation_loss" in written


def test_a_run_begins_where_it_stopped_then_from_another_then_from_given_weights(
    run, corpus, tmp_path, capsys
):
    folder, trained = run
    other = init_parameters(SHORT.model, jax.random.key(99))
    resumed = pretrain(corpus, folder, SHORT, start=Start(tmp_path, other))
    same(resumed.state, trained.state)
    assert resumed.best.loss == trained.best.loss
    same(resumed.weights, trained.weights)

    continued = pretrain(corpus, tmp_path / "on", SHORT, start=Start(folder, other))
    same(continued.state, trained.state)
    assert continued.best is None and not read_metrics(tmp_path / "on" / "metrics.csv")

    still = SHORT.train.replace(steps=10, learning_rate=1e-6)
    ten = Recipe(SHORT.model, SHORT.data, still, SHORT.loop)
    learnt = trained.state.parameters
    begun = pretrain(corpus, tmp_path / "begun", ten, start=Start(initial=learnt), progress=True)
    fresh, _ = read_metrics(folder / "metrics.csv")  # of the same windows
    (row,) = read_metrics(tmp_path / "begun" / "metrics.csv")
    assert int(begun.state.step) == 10
    assert row["loss"] < fresh["loss"] - 0.1
    assert "10/10" in capsys.readouterr().err


def test_a_folder_of_another_recipe_is_refused_with_what_differs(run, corpus, tmp_path):
    folder, _ = run
    wider = Recipe(SHORT.model.replace(head_dim=4), SHORT.data, SHORT.train, SHORT.loop)
    faster = Recipe(SHORT.model, SHORT.data, SHORT.train.replace(learning_rate=0.1), SHORT.loop)
    with pytest.raises(CheckpointError, match=r"model.head_dim=4 \(there 8\)"):
        pretrain(corpus, folder, wider)
    with pytest.raises(CheckpointError, match=r"train.learning_rate=0.1 \(there 0.003\)"):
        pretrain(corpus, folder, faster)
    with pytest.raises(CheckpointError, match=r"model.head_dim=4 \(there 8\)"):
        pretrain(corpus, tmp_path / "new", wider, start=Start(folder))
    with pytest.raises(CheckpointError, match="there is no such folder"):
        pretrain(corpus, tmp_path / "new", SHORT, start=Start(tmp_path / "gone"))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="Cannot create the folder"):
        pretrain(corpus, tmp_path / "file" / "run", SHORT)


def test_a_rate_that_diverges_is_told_with_step_and_data_sets_and_loses_nothing(corpus, tmp_path):
    wild = SHORT.train.replace(learning_rate=3e38, clip_norm=None, ema_decay=0.0)
    each = LoopConfig(dispatch=1, checkpoint_every=1)
    whole = Corpus.concatenate([corpus, waves((90,), name="never drawn")])
    mixture = {"waves": 1.0, "other": 1.0}
    said = r"loss of step 1 is (nan|inf); its batch was drawn from waves, other\. .*step 1 is whole"
    recipe = Recipe(SHORT.model, SHORT.data, wild, each)
    with pytest.raises(TrainingError, match=said):
        pretrain(whole, tmp_path, recipe, mixture=mixture)
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.csv")] == [1]
    like = init_state(init_parameters(SHORT.model, jax.random.key(1)), wild)
    with Checkpoints(tmp_path / "checkpoints", read_only=True) as checkpoints:
        state = checkpoints.restore(1, like, jax.random.key(0)).state
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.parameters))


def test_weights_that_are_no_numbers_are_not_saved(corpus, tmp_path):
    wild = SHORT.train.replace(learning_rate=1e30, clip_norm=None, ema_decay=0.0)
    each = LoopConfig(dispatch=1, checkpoint_every=1)
    recipe = Recipe(SHORT.model, SHORT.data, wild, each)
    said = r"weights after step 2 are not finite: lower the learning rate.*step 1 is whole"
    with pytest.raises(TrainingError, match=said):
        pretrain(corpus, tmp_path, recipe)
    with Checkpoints(tmp_path / "checkpoints", read_only=True) as checkpoints:
        assert checkpoints.latest == 1


def test_a_run_goes_on_without_best_weights_that_are_gone(corpus, tmp_path, monkeypatch):
    """As after the newest checkpoint, which was also the best, was damaged and removed."""
    scores = [1.0, 2.0, 3.0, 0.5, 0.7]
    monkeypatch.setattr(pretraining, "_evaluate", lambda *_: lambda weights: scores.pop(0))
    every = LoopConfig(dispatch=2, checkpoint_every=2, keep=2)
    recipe = Recipe(SHORT.model, SHORT.data, SHORT.train.replace(steps=8), every)
    lengths = held_back(corpus, 4, 20)
    pretrain(corpus, tmp_path, recipe, lengths=lengths)
    shutil.rmtree(tmp_path / "checkpoints" / "8")
    with pytest.warns(UserWarning, match="best weights so far, of step 2, are gone"):
        again = pretrain(corpus, tmp_path, recipe, lengths=lengths)
    assert int(again.state.step) == 8 and (again.best.loss, again.best.step) == (0.7, 8)


class Scores:
    """Validation losses in a given order; keeps the weights that were validated."""

    def __init__(self, *losses):
        self.losses, self.seen = list(losses), []

    def __call__(self, weights):
        self.seen.append(jax.tree.map(np.array, weights))
        return self.losses.pop(0)


def loop(corpus, evaluate, patience):
    mesh = make_mesh()
    every = LoopConfig(dispatch=10, checkpoint_every=10, patience=patience)
    recipe = Recipe(RECIPE.model, RECIPE.data, RECIPE.train.replace(steps=100), every)
    arrays = corpus_arrays(corpus, RECIPE.model, RECIPE.data)
    source = DeviceSource(arrays, corpus.dataset_names, recipe, mesh, Rules())
    parameters = init_parameters(RECIPE.model, jax.random.key(0))
    state = shard_state(mesh, Rules(), init_state(parameters, recipe.train))
    return train(Run(recipe, source, Watch([], 1, 1, 1.0), evaluate), state)


def test_a_run_stops_after_its_patience_with_the_best_weights(corpus):
    evaluate = Scores(3.0, 2.0, 2.5, 2.0)
    trained = loop(corpus, evaluate, patience=2)
    assert trained.stopped == "patience" and int(trained.state.step) == 40
    assert (trained.best.loss, trained.best.step, trained.best.stale) == (2.0, 20, 2)
    same(trained.weights, evaluate.seen[1])
    different = jax.tree.map(lambda a, b: (a != b).any(), trained.weights, trained.state.weights)
    assert any(jax.tree.leaves(different))
    with pytest.raises(TrainingError, match="validation loss at step 20 is nan"):
        loop(corpus, Scores(1.0, float("nan")), patience=None)


def test_of_equal_validation_losses_the_first_stays_and_a_resumed_run_knows_it(
    corpus, tmp_path, monkeypatch
):
    evaluate = Scores(1.0, 1.0, 2.0, 2.0, 2.0)
    monkeypatch.setattr("lagllama_jax.training.pretrain._evaluate", lambda *_: evaluate)
    each = LoopConfig(dispatch=1, checkpoint_every=1, keep=2)
    recipe = Recipe(RECIPE.model, RECIPE.data, RECIPE.train.replace(steps=5), each)
    trained = pretrain(corpus, tmp_path, recipe, lengths=corpus.lengths)
    kept = {int(entry.name) for entry in (tmp_path / "checkpoints").iterdir()}
    assert kept == {1, 4, 5}
    resumed = pretrain(corpus, tmp_path, recipe, lengths=corpus.lengths)
    for one in (trained, resumed):
        assert one.best[1:] == (1.0, 1, 4)
        same(one.weights, evaluate.seen[0])


def test_points_that_nobody_observed_cannot_validate(tmp_path):
    series = np.sin(np.arange(90.0))
    series[-4:] = np.nan
    blind = packed([series])
    with pytest.raises(DataError, match="None of the points that validate was observed"):
        pretrain(blind, tmp_path, SHORT, lengths=held_back(blind, 4, 20))


def test_metrics_of_a_killed_run_are_read_without_its_last_row(tmp_path):
    file = tmp_path / "metrics.csv"
    rows = [dict.fromkeys(COLUMNS, 0.5) | {"step": n} for n in (10, 20, 30)]
    sink = MetricsFile(file, 0)
    for row in rows:
        sink.write(row)
    sink.close()
    text = file.read_text()
    file.write_text(text[: text.rindex("0.5")].rsplit(",", 2)[0])
    assert read_metrics(file) == rows[:2]
    MetricsFile(file, 10).close()
    assert read_metrics(file) == rows[:1]
    file.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="not a metrics file"):
        read_metrics(file)
