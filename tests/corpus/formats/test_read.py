"""The one entry to all readers, on files as they are published."""

import gzip
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lagllama_jax.corpus.formats import FORMATS, guess_format, read
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.errors import DataError
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.frequency import Frequency

# file, format, series, points, missing, first and last item, start, frequency, first, last value
# fmt: off
PUBLISHED = [
    ("raw/m1_monthly_dataset.tsf.gz", "tsf", 617, 55998, 0,
     "T1", "T617", "1975-12-01", "ME", 697458, 37),
    ("raw/kdd_cup_2018_dataset_without_missing_values.zip", "tsf", 270, 2942364, 0,
     "T1", "T270", "2017-01-01T14", "h", 453, 6),
    ("raw/AirQualityUCI.csv", "air_quality", 13, 9357 * 13, 16701,
     "CO(GT)", "AH", "2004-03-10T18", "h", 2.6, 0.5028),
    ("raw/PRSA_Data_Gucheng_20130301-20170228.csv.gz", "prsa", 11, 35064 * 11, 4569,
     "Gucheng/PM2.5", "Gucheng/WSPM", "2013-03-01", "h", 6, 0.7),
    ("raw/nyc_taxi.csv", "nab", 1, 10320, 0,
     "nyc_taxi", "nyc_taxi", "2014-07-01", "30min", 10844, 26288),
    ("evaluation/ETTh1.csv.gz", "wide", 7, 17420 * 7, 0,
     "HUFL", "OT", "2016-07-01", "h", 5.827, 9.567),
    ("evaluation/ETTm1.csv.gz", "wide", 7, 69680 * 7, 0,
     "HUFL", "OT", "2016-07-01", "15min", 5.827, 9.778),
    ("evaluation/exchange_rate.txt.gz", "lstnet", 8, 7588 * 8, 0,
     "0", "7", None, None, 0.7855, 0.690942),
    ("evaluation/m4_hourly.parquet", "parquet", 414, 373372, 0,
     "H1", "H414", "2015-07-01T12", "h", 605, 24),
]
# fmt: on


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda row: row[0].split("/")[1])
def test_published_files_are_read_to_the_last_value(shared, published):
    name, format, series, points, missing, first_id, last_id, start, frequency, *ends = published
    path = shared / "data" / name
    if not path.exists():
        pytest.skip(f"no file at {path}")
    records = list(read(path, format))
    assert len(records) == series
    assert sum(len(record.target[0]) for record in records) == points
    assert sum(int(np.isnan(record.target[0]).sum()) for record in records) == missing
    assert (records[0].item_id, records[-1].item_id) == (first_id, last_id)
    assert records[0].frequency == (frequency and Frequency.parse(frequency))
    assert records[0].start == (start and pd.Timestamp(start))
    found = [records[0].target[0, 0], records[-1].target[0, -1]]
    np.testing.assert_allclose(found, ends, rtol=1e-6)
    assert all(record.target.dtype == np.float64 for record in records)


def test_the_corpus_holds_what_the_reader_makes_of_the_original(shared):
    original, built = shared / "data/raw/nyc_taxi.csv", shared / "data/corpus/nab.parquet"
    if not (original.exists() and built.exists()):
        pytest.skip(f"no files at {original} and {built}")
    (record,) = read(original, "nab")
    targets = {r.item_id: r.target[0] for r in read(built, "parquet")}
    (match,) = [target for item, target in targets.items() if "nyc_taxi" in item]
    np.testing.assert_array_equal(record.target[0].astype(np.float32), match)


ROWS = [("a", ["1", "2", "3"]), ("b", ["4", "", "6"])]


def write_sample(folder, format):
    """The same two series, 1 2 3 and 4 - 6, in any format."""
    hours = [f"2020-01-01 0{hour}:00:00" for hour in range(3)]
    path = folder / f"sample{FORMATS[format].suffixes[0]}"
    texts = {
        "tsf": "@attribute series_name string\n@attribute start_timestamp date\n@frequency hourly\n"
        "@data\na:2020-01-01 00-00-00:1,2,3\nb:2020-01-01 00-00-00:4,?,6\n",
        "wide": f"date,a,b\n{hours[0]},1,4\n{hours[1]},2,\n{hours[2]},3,6\n",
        "lstnet": "1,4\n2,NaN\n3,6\n",
        "jsonl": '{"item_id": "a", "start": "2020-01-01", "target": [1, 2, 3], "freq": "h"}\n'
        '{"item_id": "b", "start": "2020-01-01", "target": [4, "NaN", 6.0], "freq": "h"}\n',
        "air_quality": "Date;Time;a;b;;\n01/01/2020;00.00.00;1,0;4;;\n"
        "01/01/2020;01.00.00;2;-200;;\n01/01/2020;02.00.00;3;6,0;;\n;;;;;\n",
        "prsa": "No,year,month,day,hour,a,b,wd\n"
        '1,2020,1,1,0,1,4,"N"\n2,2020,1,1,1,2,NA,NA\n3,2020,1,1,2,3,6,"S"\n',
        "frame": "item_id,timestamp,target\n"
        + "".join(
            f"{name},{hours[i]},{v}\n" for name, values in ROWS for i, v in enumerate(values)
        ),
    }
    if format == "parquet":
        columns = {"item_id": ["a", "b"], "start": ["2020-01-01"] * 2, "freq": ["h"] * 2}
        pq.write_table(pa.table(columns | {"target": [[1.0, 2, 3], [4, None, 6]]}), path)
    else:
        path.write_text(texts[format])
    return path


TWO_SERIES = [name for name in FORMATS if name != "nab"]


@pytest.mark.parametrize("format", TWO_SERIES)
def test_the_same_data_are_the_same_series_in_any_format(tmp_path, format):
    records = list(read(write_sample(tmp_path, format), format, "2020-01-01", "h"))
    names = ["0", "1"] if format == "lstnet" else ["a", "b"]
    assert [record.item_id for record in records] == names
    starts = {(record.start, record.frequency) for record in records}
    assert starts == {(pd.Timestamp("2020-01-01"), Frequency("h"))}
    np.testing.assert_array_equal(records[0].target, [[1, 2, 3]])
    np.testing.assert_array_equal(records[1].target, [[4, np.nan, 6]])


@pytest.mark.parametrize("format", [name for name in TWO_SERIES if name != "parquet"])
def test_packing_a_text_file_changes_nothing(tmp_path, format):
    path = write_sample(tmp_path, format)
    plain = list(read(path, format))
    zipped, nested = tmp_path / "z.zip", tmp_path / "n.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("read me.md", "not data")
        archive.write(path, f"folder/{path.name}")
    with zipfile.ZipFile(nested, "w") as archive:
        archive.write(zipped, "inner.zip")
    gzipped = path.with_name(path.name + ".gz")
    gzipped.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    for packed in (gzipped, zipped, nested):
        for one, other in zip(plain, read(packed, format), strict=True):
            assert one._replace(target=0) == other._replace(target=0)
            np.testing.assert_array_equal(one.target, other.target)


@pytest.mark.parametrize("format", TWO_SERIES)
def test_a_format_is_known_by_its_file(tmp_path, format):
    path = write_sample(tmp_path, format)
    assert guess_format(path) == format
    if format != "parquet":
        gzipped = path.with_name(path.name + ".gz")
        gzipped.write_bytes(gzip.compress(path.read_bytes()))
        assert guess_format(gzipped) == format
    (tmp_path / "a.xlsx").write_text("?")
    with pytest.raises(DataError, match="a.xlsx: no format has this suffix"):
        guess_format(tmp_path / "a.xlsx")


def test_a_folder_is_read_file_by_file_and_other_files_are_left_alone(tmp_path):
    (tmp_path / "b.csv").write_text(
        "timestamp,value\n2020-01-01 00:00:00,1\n2020-01-01 00:05:00,2\n"
    )
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.csv").write_text("timestamp,value\n2020-01-01,3\n2020-01-02,4\n")
    (tmp_path / "labels.json").write_text("{}")
    records = list(read(tmp_path, "nab"))
    assert [(r.item_id, str(r.frequency)) for r in records] == [("a", "D"), ("b", "5min")]


@pytest.mark.filterwarnings("ignore:.*the column names were found in line")
@pytest.mark.parametrize("format", list(FORMATS))
def test_a_file_of_another_format_is_an_error_that_names_it(tmp_path, format):
    for other in TWO_SERIES:
        tables = {"frame", "wide", "air_quality"}  # each is a table that the first two read
        if other == format or (format in ("frame", "wide") and other in tables):
            continue
        folder = tmp_path / other
        folder.mkdir()
        path = write_sample(folder, other)
        with pytest.raises(DataError) as error:
            list(read(path, format))
        assert path.name in str(error.value), other


@pytest.mark.parametrize("format", list(FORMATS))
def test_empty_missing_and_wrongly_named_files_are_errors_that_name_them(tmp_path, format):
    empty = tmp_path / f"empty{FORMATS[format].suffixes[0]}"
    empty.touch()
    with pytest.raises(DataError, match="empty"):
        list(read(empty, format))
    with pytest.raises(DataError, match="nowhere does not exist"):
        list(read(tmp_path / "nowhere", format))
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="folder"):
        list(read(tmp_path / "folder", format))


def test_an_unknown_format_or_frequency_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(DataError, match="Unknown format 'xlsx'; known are parquet, tsf"):
        list(read(tmp_path, "xlsx"))
    with pytest.raises(DataError, match="fortnight"):
        list(read(tmp_path / "nowhere", "lstnet", frequency="fortnight"))


def test_a_name_that_occurs_in_two_files_of_a_folder_is_an_error(tmp_path):
    for file in ("a.txt", "b.txt"):
        (tmp_path / file).write_text("1\n2\n")
    with pytest.raises(DataError, match="b.txt: the name '0' occurs twice"):
        list(read(tmp_path, "lstnet"))


def test_series_stream_so_that_the_first_comes_before_the_last_line_is_read(tmp_path):
    path = tmp_path / "long.tsf"
    path.write_text("@attribute series_name string\n@data\na:1,2\nb:3,oops\n")
    records = read(path, "tsf")
    assert next(records).item_id == "a"
    with pytest.raises(DataError, match="long.tsf, line 4: value 2, 'oops', is not a number"):
        next(records)


@pytest.mark.parametrize("format", list(FORMATS))
def test_an_infinite_value_is_an_error_in_any_format(tmp_path, format):
    if format == "parquet":
        columns = {"item_id": ["a"], "start": ["2020-01-01"], "freq": ["h"]}
        path = tmp_path / "sample.parquet"
        pq.write_table(pa.table(columns | {"target": [[1.0, np.inf]]}), path)
    elif format == "nab":
        path = tmp_path / "sample.csv"
        path.write_text("timestamp,value\n2020-01-01,1\n2020-01-02,inf\n")
    else:
        path = write_sample(tmp_path, format)
        text = path.read_text().replace("6.0", "6").replace("6,0", "6")
        path.write_text(text.replace("6", "Infinity" if format == "jsonl" else "inf"))
    with pytest.raises(DataError, match="sample.*infinite"):
        Corpus.pack(SeriesDataset.of(read(path, format)), "sample")
