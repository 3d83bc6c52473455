import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.errors import DataError
from lagllama_jax.series.dataset import Item, SeriesDataset
from lagllama_jax.series.frequency import Frequency


def groups() -> SeriesDataset:
    """Two items of two variates, with a past and a known covariate."""
    targets = [np.arange(2.0 * n).reshape(2, n) for n in (5, 8)]
    past = [np.ones((1, n)) for n in (5, 8)]
    known = [np.ones((1, n + 3)) for n in (5, 8)]
    starts, frequencies = [pd.Timestamp("2024-01-01")] * 2, [Frequency.parse("h")] * 2
    names = {"target_names": ("load", "price"), "past_names": ("wind",), "known_names": ("sun",)}
    return SeriesDataset(["a", "b"], targets, starts, frequencies, past, known, **names)


def test_a_dataset_of_its_own_items_is_the_same():
    dataset = groups()
    names = {"target_names": ("load", "price"), "past_names": ("wind",), "known_names": ("sun",)}
    again = SeriesDataset.of(dataset, **names)
    for one, other in zip(dataset, again, strict=True):
        assert one[0] == other[0] and one[2:4] == other[2:4]
        for part, same in zip((one[1], *one[4:]), (other[1], *other[4:]), strict=True):
            np.testing.assert_array_equal(part, same)
    assert len(SeriesDataset.of([])) == 0
    assert SeriesDataset.of([Item("a", np.ones((1, 2)))]).past_covariates is None


@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=3))
def test_the_observed_end_is_after_the_last_step_with_any_target(seen):
    target = np.where(seen, 1.0, np.nan)
    names = tuple(map(str, range(len(seen))))
    steps = [step for step in range(6) if any(row[step] for row in seen)]
    dataset = SeriesDataset(["a"], [target], target_names=names)
    assert dataset.observed_end(0) == (max(steps) + 1 if steps else 0)


def test_truncating_makes_views_and_keeps_known_covariates():
    dataset = groups()
    cut = dataset.truncate(np.array([3, 8]))
    assert cut.lengths.tolist() == [3, 8]
    assert [part.shape[1] for part in cut.past_covariates] == [3, 8]
    assert [part.shape[1] for part in cut.known_covariates] == [8, 11]
    assert cut.targets[0].base is not None
    assert np.shares_memory(cut.targets[0], dataset.targets[0])
    assert cut.timestamps(0, 0, 1)[0] == pd.Timestamp("2024-01-01 03:00")


@pytest.mark.parametrize("ends", [[0, 8], [5, 9], [-1, 3]])
def test_an_end_outside_an_item_is_refused_by_name(ends):
    with pytest.raises(DataError, match="Series '[ab]' has . time steps and cannot be cut at"):
        groups().truncate(np.array(ends))


def test_every_variate_becomes_an_item_of_its_own():
    alone = groups().variates()
    assert alone.item_ids == ["a/load", "a/price", "b/load", "b/price"]
    assert alone.lengths.tolist() == [5, 5, 8, 8] and alone.dated
    assert alone.past_covariates is None and alone.target_names == ("target",)
    assert alone.targets[1].tolist() == [[5, 6, 7, 8, 9]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"targets": [np.zeros(3)] * 2}, r"Series 'a' has shape \(3,\); expected 1 variates"),
        ({"targets": [np.zeros((2, 3))] * 2}, r"shape \(2, 3\).*target_names"),
        ({"starts": [None]}, "1 starts were given for 2 items"),
        ({"past_covariates": [np.zeros((1, 3))]}, "1 past_covariates were given for 2 items"),
    ],
)
def test_columns_that_do_not_fit_are_named(fields, message):
    with pytest.raises(DataError, match=message):
        SeriesDataset(**{"item_ids": ["a", "b"], "targets": [np.zeros((1, 3))] * 2} | fields)
