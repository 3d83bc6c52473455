"""Building with TFDS and reading back, on files that the tests write and on published ones."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from lagllama_jax.corpus.catalogue import CATALOGUE, DataSet
from lagllama_jax.corpus.formats import read
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.corpus.tfds.store import build, is_built, read_built, split_sizes
from lagllama_jax.errors import DataError

pytest.importorskip("tensorflow_datasets", reason="needs the extra tfds")

OURS = DataSet("ours", "tsf", "h", 3, "none", ("ours.tsf",), homepage="example.org")
HEADER = "@attribute series_name string\n@attribute start_timestamp date\n@frequency {}\n@data\n"
LONG = [",".join(str(i * k) for i in range(60)) for k in range(3)]


@pytest.fixture
def folder(tmp_path):
    lines = [f"T{k}:2020-01-0{k + 1} 00-00-00:{values}" for k, values in enumerate(LONG)]
    short = "S:2020-01-01 00-00-00:1,?,3,4,5"
    text = HEADER.format("hourly") + "\n".join([*lines, short]) + "\n"
    (tmp_path / "ours.tsf").write_text(text)
    return tmp_path


def test_a_built_data_set_comes_back_in_order_as_it_was_read(folder):
    where = build(OURS, folder, folder / "tfds")
    assert where == folder / "tfds/lagllama_series/ours/2.0.0"
    assert is_built("ours", folder / "tfds")
    assert split_sizes(OURS, folder / "tfds") == {"train": 3, "validation": 3, "test": 4}
    whole = list(read(folder / "ours.tsf", "tsf"))
    for one, other in zip(read_built(OURS, "test", folder / "tfds"), whole, strict=True):
        assert one._replace(target=0) == other._replace(target=0)
        np.testing.assert_array_equal(one.target, other.target)
    lengths = [item.target.shape[1] for item in read_built(OURS, "train", folder / "tfds")]
    assert lengths == [60 - 3 - 14] * 3


def test_building_needs_no_tensorflow(folder):
    """In a process in which an import of TensorFlow fails."""
    script = f"""
import importlib.util, sys
find_spec = importlib.util.find_spec
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Without())
importlib.util.find_spec = lambda name, *rest: (
    None if name.split(".")[0] == "tensorflow" else find_spec(name, *rest)
)
from lagllama_jax.corpus.tfds.store import build, read_built
from lagllama_jax.corpus.catalogue import DataSet
ours = DataSet("ours", "tsf", "h", 3, "none", ("ours.tsf",))
build(ours, {str(folder)!r}, {str(folder / "tfds")!r})
print(len(list(read_built(ours, "test", {str(folder / "tfds")!r}))))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "4"


def test_published_files_build_into_the_paper_s_splits(shared, tmp_path):
    folder = shared / "data/evaluation"
    if not (folder / "ETTh1.csv.gz").exists():
        pytest.skip(f"no ETTh1.csv.gz in {folder}")
    build("ett_h1", folder, tmp_path)
    test = Corpus.from_tfds("ett_h1", tmp_path, split="test")
    train = Corpus.from_tfds("ett_h1", tmp_path)
    assert test.lengths.tolist() == [17420] * 7
    assert train.lengths.tolist() == [17420 - 24 - 14] * 7
    assert (test.dataset_names, test.frequency_names) == (("ett_h1",), ("h",))
    (original,) = [r for r in read(folder / "ETTh1.csv.gz", "wide") if r.item_id == "OT"]
    np.testing.assert_allclose(test.series(test.item_ids.index("OT")), original.target[0], 1e-6)


def test_several_files_of_one_data_set_are_joined(shared, tmp_path):
    raw = shared / "data/raw"
    if not list(raw.glob("PRSA_Data_Gucheng*")):
        pytest.skip(f"no PRSA file in {raw}")
    build("beijing_multisite", raw, tmp_path / "tfds")
    corpus = Corpus.from_tfds("beijing_multisite", tmp_path / "tfds", "test")
    assert (len(corpus), corpus.item_ids[0]) == (11, "Gucheng/PM2.5")


@pytest.mark.parametrize(
    ("change", "text", "message"),
    [
        (
            {"files": ("theirs",)},
            None,
            r"no theirs\* for data set 'ours'; nobody can .*example.org",
        ),
        ({"frequency": "D"}, None, "ours.tsf: series 'T0' has frequency h, but 'ours' has D"),
        ({"sha256": "0" * 64}, None, "is not the file of 'ours' that was verified"),
        ({"format": "jsonl"}, None, "ours.tsf, line 1: not JSON"),
        ({"horizon": 90}, None, "No series of 'ours' is long enough for the train split"),
        ({}, HEADER.format("hourly") + "T:2020-01-01 00-00-00:1,two\n", "ours.tsf, line 5"),
    ],
)
def test_a_build_that_fails_says_why_and_leaves_nothing(folder, change, text, message):
    if text is not None:
        (folder / "ours.tsf").write_text(text)
    with pytest.raises(DataError, match=message):
        build(replace(OURS, **change), folder, folder / "tfds")
    assert not is_built("ours", folder / "tfds")
    assert not [path for path in (folder / "tfds").rglob("*") if "record" in path.name]


def test_a_file_of_another_checksum_is_taken_when_asked_to(folder):
    build(replace(OURS, sha256="0" * 64), folder, folder / "tfds", verify=False)
    assert is_built("ours", folder / "tfds")


def test_a_data_set_that_was_not_built_says_how_to_build_it(tmp_path):
    with pytest.raises(DataError, match="lagllama data build weather --download --data-dir"):
        Corpus.from_tfds("weather", tmp_path)
    with pytest.raises(DataError, match="lagllama data build requests_minute --manual-dir FOLDER"):
        Corpus.from_tfds("requests_minute", tmp_path)
    with pytest.raises(DataError, match="no split 'dev'; known are train, validation, test"):
        Corpus.from_tfds("weather", tmp_path, split="dev")
    with pytest.raises(DataError, match="no data set 'wether'. Known are australian"):
        Corpus.from_tfds("wether", tmp_path)
    with pytest.raises(DataError, match="manual folder None does not exist"):
        build("weather", data_dir=tmp_path)


def test_a_download_happens_only_when_asked_and_then_from_the_url_given(folder, site):
    (site.folder / "ours.tsf").write_bytes((folder / "ours.tsf").read_bytes())
    theirs = replace(OURS, url=f"{site.url}/ours.tsf")
    with pytest.raises(DataError, match=f"fetch {theirs.url}"):
        build(replace(theirs, files=("elsewhere",)), folder, folder / "tfds")
    assert site.asked == []
    build(theirs, data_dir=folder / "tfds", download=True)
    assert "/ours.tsf" in site.asked
    assert len(list(read_built(theirs, "test", folder / "tfds"))) == 4
    with pytest.raises(DataError, match="'ours': nobody can download it, .*--manual-dir"):
        build(replace(OURS, horizon=2), data_dir=folder / "other", download=True)


def test_the_catalogue_has_the_paper_s_data_sets_with_files_that_readers_read():
    assert len(CATALOGUE) == 28
    assert sum(one.held_out for one in CATALOGUE.values()) == 7
    for one in CATALOGUE.values():
        assert one.url or one.homepage
        assert one.format != "lstnet" or one.start
