"""The scores of sample paths as a whole."""

import numpy as np
import pytest

from lagllama_jax.errors import DataError
from lagllama_jax.evaluation.joint import ENERGY, SUM_CRPS, VARIOGRAM, joint_scores
from lagllama_jax.evaluation.windows import EvaluationWindows
from lagllama_jax.series.arrays import read_arrays

pytest.importorskip("scoringrules", reason="needs the extra joint")


def windows(target, unit=None):
    dataset = read_arrays([np.arange(5.0)] * len(target))
    unit = np.ones(len(target)) if unit is None else np.asarray(unit, float)
    return EvaluationWindows(dataset, np.asarray(target, float), unit)


def walks(count, samples=200, steps=12, seed=0):
    random = np.random.default_rng(seed)
    truth = random.normal(size=(count, steps)).cumsum(1)
    return truth, random.normal(size=(count, samples, steps)).cumsum(2)


def shuffled(paths):
    """The same draws of each point, without their dependence."""
    return np.random.default_rng(1).permuted(paths, axis=1)


def test_paths_with_the_true_dependence_score_better_than_independent_draws():
    truth, paths = walks(200)
    own, other = (joint_scores(windows(truth), each) for each in (paths, shuffled(paths)))
    assert own[ENERGY] < other[ENERGY]
    assert own[VARIOGRAM] < 0.8 * other[VARIOGRAM]
    assert own[SUM_CRPS] < 0.9 * other[SUM_CRPS]


def test_one_certain_path_scores_its_error():
    truth = np.array([[1.0, 2.0, 3.0, 4.0]])
    found = joint_scores(windows(truth), (truth + 2)[:, None].repeat(3, axis=1))
    assert found[ENERGY] == pytest.approx(2) and found[SUM_CRPS] == pytest.approx(2)
    assert found[VARIOGRAM] == pytest.approx(0)


def test_scores_do_not_depend_on_the_unit_and_leave_out_rows_that_are_not_whole():
    truth, paths = walks(3)
    expected = joint_scores(windows(truth[:1]), paths[:1])
    truth[1, 0] = np.nan
    scaled = joint_scores(windows(1e3 * truth, [1e3, 1e3, 0]), 1e3 * paths)
    assert scaled == pytest.approx(expected)
    with pytest.raises(DataError, match="No window is observed as a whole"):
        joint_scores(windows(truth[1:2]), paths[1:2])
