"""The chosen columns are read as the library reads them, and nothing else is."""

import numpy as np
import pandas as pd
import pytest

from lagllama_jax.app.choice import Choice, Files, read_choice
from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.series.dataframe import read_frame
from tests.app.conftest import LIMITS

LONG = Choice("long", "item_id", "timestamp", ("target",), ("price",))


def same(one, other) -> bool:
    """Whether two datasets have the same series."""
    parts = ("targets", "known_covariates")
    pairs = [(getattr(one, part) or [], getattr(other, part) or []) for part in parts]
    arrays = [pair for both in pairs for pair in zip(*both, strict=True)]
    names = [(one_.item_ids, one_.known_names, one_.starts) for one_ in (one, other)]
    return names[0] == names[1] and all(np.array_equal(*pair, equal_nan=True) for pair in arrays)


@pytest.fixture
def write(tmp_path):
    def written(frame: pd.DataFrame, name: str = "data.csv"):
        frame.to_csv(tmp_path / name, index=False)
        return tmp_path / name

    return written


def test_the_future_is_in_the_last_rows_of_each_series_or_in_a_second_table(write, frame):
    ends = {"a": "2026-02-25", "b": "2026-02-20"}  # series may end at different times
    last = frame.timestamp > frame.item_id.map(ends).astype("datetime64[ns]")
    past, future = frame[~last], frame[last].drop(columns="target")
    wanted = read_frame(past, future=future, prediction_length=4)
    assert wanted.known_names == ("price",)
    files = Files(write(past), write(future, "future.csv"))
    assert same(read_choice(files, LONG, 4, LIMITS), wanted)
    whole = write(frame.assign(target=frame.target.where(~last)), "whole.csv")
    assert same(read_choice(Files(whole), LONG, 4, LIMITS), wanted)
    newest = write(pd.read_csv(whole)[::-1], "newest.csv")
    assert same(read_choice(Files(newest), LONG, 4, LIMITS).take([1, 0]), wanted)


@pytest.mark.parametrize("seed", range(4))
def test_rows_in_no_order_are_never_taken_for_the_future_by_mistake(write, frame, seed):
    frame = frame.assign(target=frame.target.where(frame.timestamp < "2026-02-25"))
    files = Files(write(frame.sample(frac=1, random_state=seed)))
    with pytest.raises(DataError, match="of the future|steps are given|no rows after|has no row"):
        read_choice(files, LONG, 4, LIMITS)


def test_columns_that_are_not_chosen_are_not_read(write, frame):
    files = Files(write(frame.assign(price="?", unique_id="x")))
    dataset = read_choice(files, Choice("long", "item_id", "timestamp", ("target",)), 1, LIMITS)
    assert same(dataset, read_frame(frame[["item_id", "timestamp", "target"]]))
    assert dataset.past_covariates is None


def test_several_targets_are_of_one_series(write, frame):
    choice = Choice("long", "item_id", "timestamp", ("target", "price"))
    assert read_choice(Files(write(frame)), choice, 1, LIMITS).target_names == ("target", "price")


@pytest.mark.parametrize(
    ("choice", "error", "message"),
    [
        (
            Choice("wide", None, "timestamp", ("price",), ("target",)),
            ConfigError,
            "need the layout",
        ),
        (Choice("wide", None, "timestamp", ("target", "price")), DataError, "rename the column"),
        (Choice("long", "nobody", "timestamp", ("target",)), DataError, "No column 'nobody'"),
        (Choice("long", "item_id", "timestamp"), ConfigError, "Choose at least one column"),
        (Choice("long", "item_id", "timestamp", ("none",), ("price",)), DataError, "has no value"),
    ],
)
def test_a_choice_that_does_not_fit_is_refused(write, frame, choice, error, message):
    files = Files(write(frame.assign(none=np.nan)))
    with pytest.raises(error, match=message):
        read_choice(files, choice, 4, LIMITS)
