"""Delimited text as programs export it: separators, names, encodings and archives."""

import bz2
import gzip
import io
import lzma
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lagllama_jax.errors import DataError
from lagllama_jax.series.dataframe import read_frame
from lagllama_jax.series.table_files import read_table

DAYS = [f"{day:%Y-%m-%d}" for day in pd.date_range("2024-01-01", periods=60)]
VALUES = np.round(50 + 10 * np.sin(np.arange(60) / 3), 1)
ROWS = list(zip(DAYS, VALUES, strict=True))
FOUND_LATER = pytest.mark.filterwarnings("ignore:.*column names were found in line")


def text_of(names, rows, separator=",", end="\n"):
    lines = [separator.join(map(str, row)) for row in ([names] if names else []) + list(rows)]
    return end.join(lines) + end


PLAIN = text_of(["date", "load"], ROWS)


@pytest.fixture
def read(tmp_path):
    def read(content, name="data.csv", encoding="utf-8", **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return read_frame(read_table(path), **options)

    return read


def is_plain(series, name="load"):
    np.testing.assert_array_equal(series.targets[0][0], VALUES)
    assert (series.item_ids, str(series.frequency)) == ([name], "D")
    assert series.starts[0] == pd.Timestamp("2024-01-01")
    return True


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " ", "^", "~"])
def test_the_separator_is_told_from_the_content(read, separator):
    assert is_plain(read(text_of(["date", "load"], ROWS, separator)))


@pytest.mark.parametrize("layout", ["%Y-%m-%d", "%a, %d %b %Y", "%a %b %d %Y"])
def test_the_separator_of_all_lines_is_preferred_to_marks_within_cells(read, layout):
    cells = [f"{pd.Timestamp(day):{layout}}" for day in DAYS]
    rows = [(day, f"12,34,{number:03}") for number, day in enumerate(cells)]
    series = read(text_of(["date", "load"], rows, ";"))
    np.testing.assert_array_equal(series.targets[0][0], 1_234_000 + np.arange(60))
    assert series.starts[0] == pd.Timestamp(DAYS[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("date::load\n2024-01-01::5\n2024-01-02::6\n", "one column .'date::load'.*separated by"),
        ("<html><table><tr><td>5</td></tr></table></html>", "is JSON, HTML or XML. Save the table"),
        ('[{"date": "2024-01-01", "load": 5}]', "is JSON, HTML or XML"),
    ],
)
def test_text_that_is_no_table_is_refused(read, content, message):
    with pytest.raises(DataError, match=message):
        read(content)


@pytest.mark.parametrize(("mark", "separator"), [("Korea, Rep.", ","), ("a; b, c", ";")])
def test_names_in_quotes_may_hold_separators(read, mark, separator):
    rows = [(f'"{mark}"', *row) for row in ROWS]
    assert is_plain(read(text_of(["item_id", "timestamp", "target"], rows, separator)), mark)


@pytest.mark.parametrize("name", ["NA", "None", "null", "nan", "007"])
def test_a_name_is_text_whatever_it_says(read, name):
    rows = [(one, *row) for one in (name, "EU") for row in ROWS]
    assert read(text_of(["item_id", "timestamp", "target"], rows)).item_ids == [name, "EU"]


@pytest.mark.parametrize(
    ("start", "ending", "separator"),
    [("", ",", ","), (",", ",", ","), ("", ";", ";"), (",,", ",,", ",")],
)
def test_separators_at_the_ends_of_rows_add_no_column(read, start, ending, separator):
    rows = "".join(separator.join(map(str, row)) + ending + "\n" for row in ROWS)
    assert is_plain(read(f"date{separator}load{start}\n{rows}"))


def test_a_separator_at_the_end_of_one_row_is_no_cell(read):
    lines = PLAIN.splitlines()
    lines[30] += ","
    assert is_plain(read("\n".join(lines)))


@pytest.mark.parametrize("content", ["", "\n\n", ",,\n,,\n", b"\0" * 9])
def test_a_file_without_cells_is_empty(read, content):
    with pytest.raises(DataError, match="data.csv is empty"):
        read(content)


@pytest.mark.parametrize("line", [1, 30])
def test_a_row_of_more_values_than_names_is_refused_by_its_line(read, line):
    lines = PLAIN.splitlines()
    lines[line] += ",7"
    with pytest.raises(DataError, match=f"line {line + 1} has more cells than"):
        read("\n".join(lines))


@pytest.mark.parametrize("columns", [2, 3])
def test_a_file_without_names_is_refused(read, columns):
    rows = [(*row, 1)[:columns] for row in ROWS]
    with pytest.raises(DataError, match="Line 1 of data.csv looks like data .*Add a first line"):
        read(text_of(None, rows))


@FOUND_LATER
@pytest.mark.parametrize(
    ("before", "names"),
    [
        ("Report of all meters\n\n", "date,load"),
        ("# SOURCE: made up\n# TG : mean (0.1 degrees)\n#\n", "# date,   load"),
        ("Station,Bern\nLatitude,47.4\n", "date,load"),
        ("Report;;\nsep=,\n", "date,load"),
    ],
)
def test_lines_before_the_table_are_skipped(read, before, names):
    with pytest.warns(UserWarning, match="names were found in line"):
        assert is_plain(read(before + names + "\n" + text_of(None, ROWS)))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("Price,Close,Open\nTicker,AAA,AAA\nDate,,\n", ["Close/AAA", "Open/AAA"]),
        ("date,load,wind\n,MW,m/s\n", ["load/MW", "wind/m/s"]),
    ],
)
def test_names_in_several_lines_are_joined(read, names, found):
    series = read(names + text_of(None, [(*row, 1) for row in ROWS]))
    assert series.item_ids == found
    assert series.timestamp_column in ("Date", "date")


def test_a_bad_first_row_is_not_taken_for_names(read):
    with pytest.raises(DataError, match="line 2 of data.csv: 'soon' is no time"):
        read("date,load\nsoon,3\n" + text_of(None, ROWS))


def test_blanks_around_cells_and_in_place_of_values_are_no_values(read):
    rows = [
        (f" {day}", " " * 5 if number == 3 else f"  {value}")
        for number, (day, value) in enumerate(ROWS)
    ]
    values = read(text_of(["date", " load"], rows)).targets[0][0]
    assert np.flatnonzero(np.isnan(values)).tolist() == [3]


def test_row_numbers_without_a_name_are_no_series(tmp_path):
    frame = pd.DataFrame({"date": pd.to_datetime(DAYS), "load": VALUES})
    path = tmp_path / "a.csv"
    for part in (frame.iloc[20:], frame.sort_values("load"), frame, frame.rename_axis("index")):
        part.to_csv(path)
        assert read_frame(read_table(path)).item_ids == ["load"]
    assert read_frame(pd.read_csv(path)).item_ids == ["load"]


def test_years_without_a_name_are_the_times(tmp_path):
    pd.DataFrame({"gdp": VALUES}, index=range(1960, 2020)).to_csv(tmp_path / "a.csv")
    series = read_frame(read_table(tmp_path / "a.csv"))
    assert (series.item_ids, series.timestamp_column) == (["gdp"], "timestamp")
    assert series.timestamps(0, 0, 1)[0] == pd.Timestamp("2020-01-01")


@FOUND_LATER
@pytest.mark.parametrize("before", ["", '"Data Source","WDI",\n\n"Updated","2024-05-30",\n\n'])
def test_a_table_with_a_column_per_year_is_turned(read, before):
    rows = '"Nowhere, Rep.",NWR,1,2,3,\n"Utopia",UTO,4,5,,\n'
    series = read(f'{before}"Country Name","Country Code","2020","2021","2022",\n{rows}')
    assert (series.item_ids, str(series.frequency)) == (["Nowhere, Rep.", "Utopia"], "YS-JAN")
    np.testing.assert_array_equal(
        np.vstack([t[0] for t in series.targets]), [[1, 2, 3], [4, 5, np.nan]]
    )


def test_columns_that_are_named_by_years_beside_dates_are_series(read):
    series = read(text_of(["date", 2000, 2001, 2002], [(*row, 1, 2) for row in ROWS]))
    assert series.item_ids == ["2000", "2001", "2002"]


NAMED = text_of(["item_id", "timestamp", "target"], [("Z\u00fcrich", *row) for row in ROWS])


@pytest.mark.parametrize(
    "content",
    [
        NAMED.encode("utf-16"),
        NAMED.replace(",", "\t").encode("utf-16"),
        NAMED.encode("utf-16-le"),
        NAMED.encode("utf-16-be"),
        NAMED.encode("utf-8-sig"),
        NAMED.replace("\n", "\r").encode(),
        NAMED.replace("\n", "\r\n").encode(),
        NAMED.encode() + b"\0" * 64,
    ],
)
def test_usual_encodings_and_line_ends_are_read(read, content):
    assert is_plain(read(content), "Z\u00fcrich")


def test_western_text_is_read_with_a_warning(read):
    with pytest.warns(UserWarning, match="data.csv is not UTF-8 .*cp1252 .line 2: 'Z\u00fcrich'"):
        assert is_plain(read(NAMED.encode("cp1252")), "Z\u00fcrich")


def test_other_bytes_are_refused_by_line_unless_their_encoding_is_told(read, tmp_path):
    text = NAMED.replace("Z\u00fcrich", "\u041c\u043e\u0441\u043a\u0432\u0430")
    with pytest.raises(DataError, match="line 2 is not UTF-8.*give its encoding"):
        read(text.encode("cp1251"))
    table = read_table(tmp_path / "data.csv", encoding="cp1251")
    assert read_frame(table).item_ids == ["\u041c\u043e\u0441\u043a\u0432\u0430"]
    with pytest.raises(DataError, match="no encoding 'nonsense'"):
        read_table(tmp_path / "data.csv", encoding="nonsense")


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


PACKED = {
    "gz": gzip.compress(PLAIN.encode()),
    "bz2": bz2.compress(PLAIN.encode()),
    "xz": lzma.compress(PLAIN.encode()),
    "zst": pa.compress(PLAIN.encode(), "zstd", asbytes=True),
    "zip": zipped(a__csv=PLAIN, read_me__md="not a table"),
}


@pytest.mark.parametrize("suffix", PACKED)
def test_a_packed_file_is_known_by_its_content(read, suffix):
    for name in (f"data.csv.{suffix}", "data.csv"):
        assert is_plain(read(PACKED[suffix], name))


@pytest.mark.parametrize("suffix", PACKED)
def test_a_truncated_archive_is_refused(read, suffix):
    with pytest.raises(DataError, match="data.csv"):
        read(PACKED[suffix][:-40], f"data.csv.{suffix}")


def test_a_zip_file_holds_one_table_beside_hidden_files(read):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("folder/a.csv", PLAIN)
        archive.writestr("__MACOSX/folder/._a.csv", b"\0\1")
    assert is_plain(read(buffer.getvalue(), "data.zip"))
    with pytest.raises(DataError, match="holds 2 tables .a.csv, b.csv.*Unpack it"):
        read(zipped(a__csv=PLAIN, b__csv=PLAIN), "data.zip")
    with pytest.raises(DataError, match="holds 0 tables"):
        read(zipped(a__md="x"), "data.zip")


def test_notes_beside_the_only_table_of_a_zip_file_are_left_out(read):
    with pytest.warns(UserWarning, match="data.zip/a.csv was read, and .*readme.txt left out"):
        assert is_plain(read(zipped(a__csv=PLAIN, readme__txt="Read me."), "data.zip"))
    assert is_plain(read(zipped(a__csv=PLAIN, empty__csv=""), "data.zip"))


def test_arrow_files_are_read_under_any_table_name(tmp_path):
    frame = pd.DataFrame({"date": pd.to_datetime(DAYS), "load": VALUES})
    for write, name in (
        ("to_parquet", "a.parquet"),
        ("to_parquet", "b.csv"),
        ("to_feather", "c.feather"),
    ):
        getattr(frame, write)(tmp_path / name)
        assert is_plain(read_frame(read_table(tmp_path / name)))


def test_thousands_are_told_by_the_decimal_mark_of_another_column(read):
    rows = [(day, f"{number},5", f"1.{number:03}") for number, day in enumerate(DAYS)]
    with pytest.warns(UserWarning, match="'1.000' was read as 1000. If it is 1.000, give decimal"):
        series = read(text_of(["date", "load", "count"], rows, ";"))
    np.testing.assert_array_equal(series.targets[1][0], 1000 + np.arange(60))


def test_a_note_below_the_names_is_refused_by_its_line(read):
    with pytest.raises(DataError, match="line 2 of data.csv: '# a note' is no time stamp"):
        read("date,load\n# a note\n" + text_of(None, ROWS))
