import numpy as np
import pytest

from lagllama_jax.corpus.formats import read
from lagllama_jax.errors import DataError
from lagllama_jax.series.frequency import Frequency

HEADER = """# a comment
@relation sample
@attribute series_name string
@attribute start_timestamp date
@frequency {frequency}
@horizon 3
@missing true
@data
"""


def records(tmp_path, text):
    path = tmp_path / "a.tsf"
    path.write_text(text)
    return list(read(path, "tsf"))


@pytest.mark.parametrize(
    ("written", "alias"),
    [
        ("yearly", "YE"),
        ("quarterly", "QE"),
        ("monthly", "ME"),
        ("weekly", "W"),
        ("daily", "D"),
        ("hourly", "h"),
        ("half_hourly", "30min"),
        ("minutely", "min"),
        ("10_minutes", "10min"),
        ("4_seconds", "4s"),
        ("1_hour", "1h"),
    ],
)
def test_monash_names_of_frequencies_become_aliases(tmp_path, written, alias):
    text = HEADER.format(frequency=written) + "T1:2020-01-31 00-00-00:1,2\n"
    assert records(tmp_path, text)[0].frequency == Frequency.parse(alias)


def test_attributes_that_name_no_start_and_no_series_are_left_aside(tmp_path):
    text = "@attribute city string\n@frequency daily\n@data\nRome:1,?\nOslo:3\n"
    first, second = records(tmp_path, text)
    assert (first.item_id, second.item_id, first.start) == ("T1", "T2", None)
    np.testing.assert_array_equal(first.target[0], [1, np.nan])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER.format(frequency="weekdaily"), "a.tsf, line 5: unknown frequency 'weekdaily'"),
        (HEADER.format(frequency="daily") + "a:1,2\n", "a.tsf, line 9: 1 attributes, expected 2"),
        (
            HEADER.format(frequency="daily") + "a:2020-01-01 00-00-00:x:1\n",
            "a.tsf, line 9: 3 attributes, expected 2 .series_name, start_timestamp.",
        ),
        (HEADER.format(frequency="daily") + "a:yesterday:1\n", "line 9: the start 'yesterday'"),
        (
            HEADER.format(frequency="daily") + "a:2020-01-01 00-00-00:1,two,3\n",
            "a.tsf, line 9: value 2, 'two', is not a number",
        ),
        (
            HEADER.format(frequency="daily") + "a:2020-01-01 00-00-00:1,inf\n",
            "line 9: value 2, inf",
        ),
        (
            HEADER.format(frequency="daily") + "a:2020-01-01 00-00-00:1\n" * 2,
            "the name 'a' occurs twice",
        ),
        ("@frequency daily\n", "ends without @data"),
        ("1,2,3\n", "line 1: expected an @ line"),
        ("@attribute series_name\n@data\n", "line 1: expected '@attribute name type'"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        records(tmp_path, text)
