"""Uploads that are damaged or meant to do harm are refused as on the command line."""

import gzip
import io
import pickle
import zipfile

import pandas as pd
import pytest

from lagllama_jax.app.download import plain_csv
from lagllama_jax.app.store import safe_name
from lagllama_jax.errors import DataError
from lagllama_jax.series.table_files import read_table
from tests.app.browsing import ask, form_of, links, problem, upload
from tests.app.conftest import LIMITS

DAYS = pd.date_range("2026-01-01", periods=20).strftime("%Y-%m-%d")
LARGE = 10**7


class Harm:
    """Code that runs when a pickle is read carelessly."""

    def __reduce__(self):
        return exec, ("raise SystemExit('a pickle was run')",)


def zipped(**members: bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return written.getvalue()


FILES = {
    "model.pkl": pickle.dumps(Harm()),
    "pickle.csv": pickle.dumps(Harm()),
    "table.html": b"<table><tr><td>1</td></tr></table>",
    "page.csv": b"<!doctype html><script>alert(1)</script>",
    "data.json": b'[{"a": 1}]',
    "damaged.parquet": b"PAR1" + bytes(100),
    "damaged.zip": zipped(a__csv=b"a,b\n1,2\n")[:40],
    "locked.csv.gz": gzip.compress(b"a,b\n1,2\n")[:20],
    "two.zip": zipped(a__csv=b"a,b\n1,2\n", b__csv=b"a,b\n1,2\n"),
    "program.csv": b"\x7fELF" + bytes(range(256)) * 20,
    "unknown.csv": "день,число\n1,2\n".encode("koi8-r"),
    "empty.csv": b"",
    "ragged.csv": b"ds,y\n2026-01-01,1,2,3\n2026-01-02,1\n",
    "book.xlsx": b"PK\x03\x04 no book",
    "unknown": b"ds,y\n2026-01-01,1\n",
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_refused_as_on_the_command_line(client, tmp_path, monkeypatch, name):
    (tmp_path / name).write_bytes(FILES[name])
    with pytest.raises(DataError) as refused:
        read_table(tmp_path / name)
    answer = upload(client, FILES[name], name)
    assert answer.status_code == 422
    assert problem(answer) == str(refused.value).replace(f"{tmp_path}/", "")


def sheet_of(cells: str) -> bytes:
    """A spreadsheet of one sheet with the given cells."""
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    kinds = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
    types = "http://schemas.openxmlformats.org/package/2006/content-types"
    book = f'<workbook {space} xmlns:r="{kinds}"><sheets><sheet name="a" sheetId="1" r:id="r1"/>'
    return zipped(
        **{
            "[Content_Types].xml": f'<Types xmlns="{types}"/>'.encode(),
            "_rels/.rels": f'<Relationships {package}><Relationship Id="r1" '
            f'Type="{kinds}/officeDocument" Target="xl/workbook.xml"/></Relationships>'.encode(),
            "xl/workbook.xml": f"{book}</sheets></workbook>".encode(),
            "xl/_rels/workbook.xml.rels": f'<Relationships {package}><Relationship Id="r1" '
            f'Type="{kinds}/worksheet" Target="worksheets/s.xml"/></Relationships>'.encode(),
            "xl/worksheets/s.xml": f"<worksheet {space}><sheetData>{cells}</sheetData>"
            "</worksheet>".encode(),
        }
    )


BOMBS = {
    "bomb.zip": zipped(a__csv=b"0" * LARGE),
    "bomb.csv.gz": gzip.compress(b"0" * LARGE),
    "many.zip": zipped(**{f"{n}__csv": b"0" * (LARGE // 20) for n in range(20)}),
    "nested.zip": zipped(a__zip=zipped(a__csv=b"0" * LARGE)),
    "bomb.xlsx": sheet_of(" " * LARGE),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_file_that_unpacks_to_too_much_is_refused(client, name):
    assert len(BOMBS[name]) < LIMITS.bytes < LARGE
    answer = upload(client, BOMBS[name], name)
    assert "unpacks to more than 2,000,000 bytes" in problem(answer)


def test_two_cells_that_are_far_apart_do_no_harm(client, content):
    far = '<row r="1"><c r="A1"><v>1</v></c></row>'
    far += '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    answer = upload(client, sheet_of(far), "far.xlsx")
    assert answer.status_code == 422 and "table" in problem(answer)
    assert upload(client, content).status_code == 200  # the page goes on


@pytest.mark.parametrize("size", [LIMITS.bytes + 1, 10 * LIMITS.bytes])
def test_a_file_that_is_too_large_is_refused(client, size):
    answer = upload(client, b"1,2\n" * (size // 4 + 1))
    assert answer.status_code == 413 and "takes at most" in problem(answer)


@pytest.mark.parametrize(
    ("columns", "rows", "message"),
    [
        (2, 2001, "has 2,001 rows, and the page takes at most 2,000"),
        (31, 5, "has 31 columns, and the page takes at most 30"),
        (8, 10, "The table has 7 series, and the page takes at most 5"),
    ],
)
def test_a_table_beyond_the_limits_is_refused(client, columns, rows, message):
    head = ",".join(["t", *(f"c{n}" for n in range(columns - 1))])
    lines = "\n".join(",".join([str(row), *"1" * (columns - 1)]) for row in range(rows))
    assert message in problem(upload(client, f"{head}\n{lines}".encode()))


MARK = "<img src=x onerror=alert(1)>"


def test_names_and_cells_are_text(client):
    rows = "\n".join(f'{day},"{MARK}",{n},=1+1' for n, day in enumerate(DAYS))
    content = f'ds,unique_id,y,"<script>{MARK}</script>"\n{rows}'.encode()
    page = upload(client, content, f"{MARK}.csv")
    answer = ask(client, page, "forecast", horizon="2", samples="0")
    for text in (page.text, answer.text):
        assert "<img src=x" not in text and "<script" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in answer.text
    for address in links(answer, ".svg"):
        assert b"<img" not in client.get(address).content


def test_a_cell_of_any_length_is_shortened(client):
    rows = "\n".join(f"{day},{n},{'x' * 2000}" for n, day in enumerate(DAYS))
    page = upload(client, f"ds,y,{'z' * 3000}\n{rows}".encode())
    assert page.status_code == 200 and "x" * 61 not in page.text and "z" * 61 not in page.text


def test_numbers_in_other_encodings_are_read(client):
    table = "ds,y\n" + "".join(f"{day},{n}\n" for n, day in enumerate(DAYS))
    assert "20 time steps" in upload(client, table.encode("utf-16")).text


def test_an_encoding_that_is_given_is_kept(client):
    table = "день,число\n" + "".join(f"{day},{n}\n" for n, day in enumerate(DAYS))
    page = upload(client, table.encode("koi8-r"), encoding="koi8-r")
    assert form_of(page)["encoding"] == ["koi8-r"]
    answer = ask(client, page, "columns")
    assert problem(answer) == "" and "день" in answer.text


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../etc/passwd.csv", "passwd.csv"),
        ("C:\\Users\\x\\data.csv", "data.csv"),
        ("/", "table.csv"),
        ("..", "table.csv"),
        ("a\0b\n.csv", "a_b_.csv"),
        ("data\u202evsc.exe", "data_vsc.exe"),
        ("x" * 500 + ".csv", "x" * 56 + ".csv"),
    ],
)
def test_a_file_name_cannot_leave_the_folder(given, name):
    assert safe_name(given) == name


def test_the_csv_file_has_no_formulas():
    names = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", " =1", "a=b", "-5", "+3.5"]
    frame = pd.DataFrame({"=name": names, "value": range(len(names))})
    content, changed = plain_csv(frame)
    read = pd.read_csv(io.BytesIO(content), dtype={"'=name": str})
    assert changed and list(read["'=name"]) == [*(f"'{name}" for name in names[:6]), *names[6:]]
    assert list(frame.columns) == ["=name", "value"] and frame.iloc[0, 0] == "=1+1"
    plain = frame.iloc[6:].rename(columns={"=name": "name"})
    assert plain_csv(plain) == (plain.to_csv(index=False).encode(), False)
