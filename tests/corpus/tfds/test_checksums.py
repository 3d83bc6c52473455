"""Downloads from a web server of this machine: what is recorded, refused and left out."""

import csv
import io
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from lagllama_jax.corpus.catalogue import CATALOGUE, DataSet
from lagllama_jax.errors import DataError

pytest.importorskip("tensorflow_datasets", reason="needs the extra tfds")

from lagllama_jax.corpus.tfds.checksums import checksums_file, recorded_sha256  # noqa: E402
from lagllama_jax.corpus.tfds.store import build, is_built, read_built  # noqa: E402

HOURS = pd.date_range("2013-03-01", periods=50, freq="h")


@pytest.fixture
def theirs(site) -> DataSet:
    """A data set with a file on the site."""
    write(site.folder / "theirs.tsf", 7)
    url = f"{site.url}/theirs.tsf"
    return DataSet("theirs", "tsf", "D", 3, "none", ("theirs",), url=url)


def write(path: Path, first: int) -> None:
    values = ",".join(map(str, [first, *range(1, 60)]))
    path.write_text(f"@attribute series_name string\n@frequency daily\n@data\nT:{values}\n")


def first_value(data_set: DataSet, data_dir: Path) -> float:
    (item,) = read_built(data_set, "test", data_dir)
    return item.target[0, 0]


def forget(data_dir: Path, *folders: str) -> None:
    """Removes what was built, and given folders of TFDS."""
    for folder in ("lagllama_series/theirs", *folders):
        shutil.rmtree(data_dir / folder)


def test_a_download_that_changed_is_refused_until_its_line_is_deleted(theirs, site, tmp_path):
    built = tmp_path / "tfds"
    build(theirs, data_dir=built, download=True)
    with open(checksums_file(built)) as file:
        (row,) = csv.DictReader(file)
    assert (row["data_set"], row["url"]) == ("theirs", theirs.url)
    forget(built, "downloads")
    build(theirs, data_dir=built, download=True)  # the same file again

    forget(built, "downloads")
    write(site.folder / "theirs.tsf", 8)
    with pytest.raises(DataError, match="is not what it was when 'theirs'") as refused:
        build(theirs, data_dir=built, download=True)
    message = str(refused.value)
    assert row["sha256"] in message and str(checksums_file(built)) in message
    assert not is_built("theirs", built)
    assert recorded_sha256("theirs", built) == row["sha256"]

    write(site.folder / "theirs.tsf", 7)  # as if the download had been damaged
    (download,) = re.findall(r"delete (\S+)\* and repeat", message)
    for path in Path(download).parent.glob(f"{Path(download).name}*"):
        path.unlink()
    build(theirs, data_dir=built, download=True)
    assert first_value(theirs, built) == 7

    forget(built, "downloads")
    write(site.folder / "theirs.tsf", 9)
    checksums_file(built).write_text("data_set,sha256,url,date\n")  # the line is deleted
    build(theirs, data_dir=built, download=True)
    assert first_value(theirs, built) == 9
    assert recorded_sha256("theirs", built) != row["sha256"]


def test_without_verification_nothing_is_compared_or_recorded(theirs, site, tmp_path):
    built = tmp_path / "tfds"
    build(theirs, data_dir=built, download=True, verify=False)
    assert not checksums_file(built).exists()
    forget(built)
    build(theirs, data_dir=built, download=True)
    before = checksums_file(built).read_bytes()
    forget(built, "downloads")
    write(site.folder / "theirs.tsf", 8)
    build(theirs, data_dir=built, download=True, verify=False)
    assert first_value(theirs, built) == 8 and checksums_file(built).read_bytes() == before


def test_a_file_that_cannot_be_built_is_not_trusted(theirs, site, tmp_path):
    (site.folder / "theirs.tsf").write_text("<html>Please log in.</html>")
    with pytest.raises(DataError):
        build(theirs, data_dir=tmp_path / "tfds", download=True)
    assert recorded_sha256("theirs", tmp_path / "tfds") is None


@pytest.mark.parametrize(
    "content", ["theirs,12\n", "data_set,sha256,url,date\n,,,\n", "\0", "x\n1\n"]
)
def test_a_damaged_record_is_named_with_its_line(theirs, tmp_path, content):
    path = checksums_file(tmp_path / "tfds")
    path.parent.mkdir(parents=True)
    path.write_text(content + "theirs,12,,\n")
    with pytest.raises(DataError, match=rf"{path}(, line [123]:| cannot be read)"):
        build(theirs, data_dir=tmp_path / "tfds", download=True)


@pytest.mark.parametrize("kind", ["no page", "no server", "half a file"])
def test_a_download_that_fails_says_how_to_go_on(theirs, tmp_path, monkeypatch, kind):
    monkeypatch.setattr("tensorflow_datasets.core.download.downloader.MAX_RETRIES", 0)
    url = {"no page": f"{theirs.url}.gz", "half a file": f"{theirs.url}?cut"}.get(kind)
    url = url or "http://127.0.0.1:9/theirs.tsf"
    failed = f"{re.escape(url)} cannot be downloaded; fetch it by other means"
    with pytest.raises(DataError, match=failed):
        build(replace(theirs, url=url), data_dir=tmp_path / "tfds", download=True)
    assert not is_built("theirs", tmp_path / "tfds")
    assert not checksums_file(tmp_path / "tfds").exists()


def prsa(station: str) -> str:
    """A file of Beijing's air, of one station."""
    frame = pd.DataFrame({"year": HOURS.year, "month": HOURS.month, "day": HOURS.day})
    frame = frame.assign(hour=HOURS.hour, **{"PM2.5": range(50)}, wd="NNW", station=station)
    return frame.rename_axis("No").to_csv()


def zipped(members: dict[str, str | bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return content.getvalue()


def test_of_uci_s_wrapper_only_the_stations_are_read(site, tmp_path, published_here):
    stations = ("Dongsi", "Gucheng")
    files = {f"PRSA_Data/PRSA_Data_{s}_20130301-20170228.csv": prsa(s) for s in stations}
    inner = zipped(files)
    unrelated = {"data.csv": "a,b\n1,2\n", "test.csv": "c\n3\n"}
    outer = zipped(unrelated | {"PRSA2017_Data_20130301-20170228.zip": inner})
    (site.folder / "wrapper.zip").write_bytes(outer)
    published_here("beijing_multisite", "wrapper.zip")
    with pytest.warns(UserWarning, match="left out is data.csv, test.csv"):
        build("beijing_multisite", data_dir=tmp_path / "tfds", download=True)
    names = [item.item_id for item in read_built("beijing_multisite", "test", tmp_path / "tfds")]
    assert names == ["Dongsi/PM2.5", "Gucheng/PM2.5"]


AIR = "Date;Time;CO(GT);NOx(GT);;\n" + "".join(
    f"{hour:%d/%m/%Y;%H.%M.%S};1,{number};{-200 if number else 7};;\n"
    for number, hour in enumerate(HOURS)
)


@pytest.mark.parametrize("download", [True, False])
def test_a_spreadsheet_beside_the_table_is_left_out(site, tmp_path, published_here, download):
    spreadsheet = zipped({"xl/workbook.xml": "<xml/>"})
    if download:
        whole = zipped({"AirQualityUCI.csv": AIR, "AirQualityUCI.xlsx": spreadsheet})
        (site.folder / "air.zip").write_bytes(whole)
        published_here("AirQualityUCI", "air.zip")
        with pytest.warns(UserWarning, match="left out is AirQualityUCI.xlsx"):
            build("AirQualityUCI", data_dir=tmp_path / "tfds", download=True)
    else:
        (site.folder / "AirQualityUCI.csv").write_text(AIR)
        (site.folder / "AirQualityUCI.xlsx").write_bytes(spreadsheet)
        build("AirQualityUCI", site.folder, tmp_path / "tfds")
    first, second = read_built("AirQualityUCI", "test", tmp_path / "tfds")
    assert (first.item_id, first.target[0, 12]) == ("CO(GT)", pytest.approx(1.12))
    assert second.target[0, 0] == 7 and pd.isna(second.target[0, 1:]).all()


def test_the_catalogue_says_which_nine_nobody_can_download():
    nobody = [one for one in CATALOGUE.values() if one.url is None]
    assert len(nobody) == 9 and all(one.note in one.unpublished for one in nobody)
