"""What a run begins with, from the command line."""

import numpy as np
import pytest

from lagllama_jax.corpus.store import Corpus
from lagllama_jax.forecaster import LagLlama
from lagllama_jax.lock import locked
from lagllama_jax.series.arrays import read_arrays

SHORT = ["--preset", "tiny", "--train.steps", "1", "--train.batch-size", "2"]
SHORT += ["--validation", "none"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "corpus"
    wave = np.sin(np.arange(1400) / 3)
    Corpus.pack(read_arrays(wave, "2020-01-01", "h"), "waves").save(folder)
    return folder


def test_a_model_can_be_trained_further_with_another_context_and_more_lags(
    lagllama, corpus, model_folder, tmp_path
):
    before = LagLlama.from_pretrained(model_folder).config
    changes = "--model.context-length", 11, "--add-lags", before.max_lag + 2
    begin = "--initialise-from", model_folder, *changes
    code, said, complaint = lagllama("pretrain", corpus, "-o", tmp_path / "run", *SHORT, *begin)
    assert code == 0, complaint
    assert "Done after 1 steps" in said
    after = LagLlama.from_pretrained(tmp_path / "run").config
    lags = (*before.lags, before.max_lag + 2)
    assert after == before.replace(context_length=11, lags=lags)


def test_attention_across_variates_is_added_to_a_model_and_trained_on_groups(
    lagllama, corpus, model_folder, tmp_path
):
    begin = "--initialise-from", model_folder, "--data.groups", 1.0, "--data.synthetic", 1.0
    code, _, complaint = lagllama("pretrain", corpus, "-o", tmp_path / "run", *SHORT, *begin)
    assert code == 2
    assert "set variate_attention=True" in " ".join(complaint.split())
    more = "--model.variate-attention", True, "--data.group-size", 2
    code, _, complaint = lagllama("pretrain", corpus, "-o", tmp_path / "run", *SHORT, *begin, *more)
    assert code == 0, complaint
    after = LagLlama.from_pretrained(tmp_path / "run")
    before = LagLlama.from_pretrained(model_folder)
    assert after.config == before.config.replace(variate_attention=True)
    assert np.any(after.parameters["block_0"]["variate_attention"]["output"]["kernel"])


def test_a_folder_in_which_another_run_goes_on_is_refused(lagllama, corpus, tmp_path):
    run = tmp_path / "run"
    with locked(run):
        code, _, complaint = lagllama("pretrain", corpus, "-o", run, *SHORT)
    assert code == 2
    assert f"Another process is writing to {run}" in complaint
    assert not run.exists()


def test_what_its_weights_depend_on_cannot_be_changed(lagllama, corpus, model_folder, tmp_path):
    begin = "--initialise-from", model_folder, "--model.num-layers", 3
    code, _, complaint = lagllama("pretrain", corpus, "-o", tmp_path / "run", *SHORT, *begin)
    assert code == 2
    assert "only context_length, attention_window" in " ".join(complaint.split())
    assert not (tmp_path / "run").exists()
