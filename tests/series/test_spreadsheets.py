"""Spreadsheets are read as the text of their only sheet."""

import zipfile

import numpy as np
import pandas as pd
import pytest

from lagllama_jax.errors import DataError, MissingExtraError
from lagllama_jax.series.dataframe import read_frame
from lagllama_jax.series.table_files import read_table

DAYS = pd.date_range("2024-01-01", periods=40)
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def cell(value):
    """A cell of text, of a date (style 1) or of a number."""
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
    if isinstance(value, pd.Timestamp):
        return f'<c s="1"><v>{(value - pd.Timestamp("1899-12-30")).days}</v></c>'
    return "<c/>" if value is None else f"<c><v>{value}</v></c>"


def workbook(path, *sheets):
    """Writes a workbook with rows of cells in each sheet."""
    names = range(1, len(sheets) + 1)
    kinds = ["sheet.main+xml", *["worksheet+xml"] * len(sheets), "styles+xml"]
    files = ["workbook", *(f"worksheets/sheet{one}" for one in names), "styles"]
    parts = "".join(
        f'<Override PartName="/xl/{file}.xml" ContentType="{TYPE}.{kind}"/>'
        for file, kind in zip(files, kinds, strict=True)
    )
    links = "".join(
        f'<Relationship Id="r{one}" Type="{LINKS}/worksheet" Target="worksheets/sheet{one}.xml"/>'
        for one in names
    )
    styles = f'<Relationship Id="r0" Type="{LINKS}/styles" Target="styles.xml"/>'
    tabs = "".join(f'<sheet name="Tab{one}" sheetId="{one}" r:id="r{one}"/>' for one in names)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(
            "[Content_Types].xml", f'<Types xmlns="{PACKAGE}/content-types">{parts}</Types>'
        )
        file.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
            f'Type="{LINKS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        file.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{PACKAGE}/relationships">{styles}{links}</Relationships>',
        )
        file.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{LINKS}"><sheets>{tabs}</sheets></workbook>',
        )
        file.writestr(
            "xl/styles.xml",
            f'<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
            "</styleSheet>",
        )
        for one, rows in zip(names, sheets, strict=True):
            lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
            file.writestr(
                f"xl/worksheets/sheet{one}.xml",
                f'<worksheet xmlns="{MAIN}"><sheetData>{lines}</sheetData></worksheet>',
            )


def rows_of(times):
    return [(time, number / 4, number) for number, time in enumerate(times)]


@pytest.mark.parametrize("title", [[], [("Report of all meters",), ()]])
@pytest.mark.filterwarnings("ignore:.*names were found in line")
def test_dates_and_numbers_of_cells_are_read(tmp_path, title):
    pytest.importorskip("python_calamine")
    rows = rows_of(DAYS)
    rows[3] = (DAYS[3], None, 3)
    workbook(tmp_path / "a.xlsx", [*title, ("date", "load", "count"), *rows], [])
    series = read_frame(read_table(tmp_path / "a.xlsx"))
    assert (series.item_ids, str(series.frequency)) == (["load", "count"], "D")
    assert series.starts[0] == DAYS[0]
    values = np.where(np.arange(40) == 3, np.nan, np.arange(40) / 4)
    np.testing.assert_array_equal(series.targets[0][0], values)


def test_several_filled_sheets_are_refused(tmp_path):
    pytest.importorskip("python_calamine")
    rows = [("date", "load", "count"), *rows_of(DAYS)]
    workbook(tmp_path / "a.xlsx", rows, rows)
    with pytest.raises(DataError, match="has 2 sheets with cells .Tab1, Tab2.*Save the sheet"):
        read_table(tmp_path / "a.xlsx")


def test_what_is_no_workbook_is_refused(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"PK\3\4 and nothing more")
    with pytest.raises((DataError, MissingExtraError), match=r"Cannot read .*a.xlsx|\[excel\]"):
        read_table(tmp_path / "a.xlsx")
