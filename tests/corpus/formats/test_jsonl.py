import json

import numpy as np
import pytest

from lagllama_jax.corpus.formats import read
from lagllama_jax.errors import DataError


def records(folder, text, **more):
    (folder / "data.json").write_text(text)
    return list(read(folder / "data.json", "jsonl", **more))


def test_a_document_with_metadata_gives_its_frequency_and_its_whole_series(tmp_path):
    whole = [{"start": "2020-01-01", "target": [1.0, 2.0, None], "item_id": 7}]
    cut = [{"start": "2020-01-01", "target": [1.0], "item_id": 7}]
    for indent in (None, 2):
        document = {"metadata": {"freq": "5T"}, "train": cut, "test": whole}
        (record,) = records(tmp_path, json.dumps(document, indent=indent))
        assert (record.item_id, str(record.frequency)) == ("7", "5min")
        np.testing.assert_array_equal(record.target[0], [1, 2, np.nan])


def test_lines_without_names_or_frequency_take_what_they_are_given(tmp_path):
    text = '{"target": [1], "start": "2020-01-01 00:00:00"}\n{"target": [NaN, "NaN", null, 2]}\n'
    first, second = records(tmp_path, text, start="1990-01-01", frequency="B")
    assert (first.item_id, str(first.start), str(first.frequency)) == (
        "0",
        "2020-01-01 00:00:00",
        "B",
    )
    assert (second.item_id, str(second.start)) == ("1", "1990-01-01 00:00:00")
    np.testing.assert_array_equal(second.target[0], [np.nan] * 3 + [2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"target": [1]}\n{"target": [1]\n', "data.json, line 2: not JSON"),
        ('{"target": [1]}\n[2]\n', "data.json, line 2: expected an object with a list 'target'"),
        ('{"target": [[1], [2]]}\n', "data.json, line 1: 'target' is not one-dimensional"),
        ('{"target": [1, "two"]}\n', "data.json, line 1: value 2, 'two', is not a number"),
        ('{"target": [1, Infinity]}\n', "data.json, line 1: value 2, inf"),
        ('{"target": [1, true]}\n', "data.json, line 1: value 2, 'True'"),
        ('{"target": [1], "start": "soon"}\n', "line 1: the start 'soon' is no time stamp"),
        ('{"target": [1], "freq": "x"}\n', "line 1: 'x' is not a frequency"),
        ('{"target": 3}\n', "expected an object with a list"),
        ('{\n"train": [\n', "data.json: not JSON"),
        ('{"metadata": {}}\n', "data.json holds no series"),
        ('{"date": "2024-01-01", "v": 0}\n', "no series under data.*tables of rows as CSV"),
        ('{"target": [1], "item_id": "a"}\n' * 2, "the name 'a' occurs twice"),
        ("a,b\n1,2\n", "data.json, line 1: not JSON"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        records(tmp_path, text)


def test_covariates_that_are_not_read_are_named(tmp_path):
    text = '{"target": [1, 2], "feat_dynamic_real": [[1, 2, 3]], "feat_static_cat": [0]}'
    with pytest.warns(UserWarning, match="data.json: feat_dynamic_real are not read"):
        records(tmp_path, text)
