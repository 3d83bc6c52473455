import os
import pty
import re
import subprocess
import sys
import termios

import pytest

from lagllama_jax.cli.main import main
from lagllama_jax.corpus.catalogue import CATALOGUE
from lagllama_jax.corpus.store import Corpus


@pytest.fixture
def files(tmp_path):
    (tmp_path / "taxi.csv").write_text(
        "timestamp,value\n2020-01-01,1\n2020-01-02,2\n2020-01-03,3\n"
    )
    (tmp_path / "money.txt").write_text("1,2\n3,4\n")
    return tmp_path


def test_the_list_names_every_data_set_and_marks_what_is_built_and_verified(tmp_path, capsys):
    (tmp_path / "lagllama_series/weather/2.0.0").mkdir(parents=True)
    (tmp_path / "lagllama_series/weather/2.0.0/dataset_info.json").touch()
    record = f"data_set,sha256,url,date\ntraffic,{'0' * 64},,\n"
    (tmp_path / "lagllama_series/checksums.csv").write_text(record)
    assert main(["data", "list", "--data-dir", str(tmp_path)]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert rows.keys() >= CATALOGUE.keys()
    shown = {name: rows[name].split()[-2:] for name in ("weather", "traffic", "ett_h1")}
    assert shown["weather"] == ["-", "built"]
    assert shown["traffic"] == ["first", "download"]
    assert shown["ett_h1"] == ["known", "download"]
    assert main(["data", "list", "traffic", "--data-dir", str(tmp_path)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "0" * 64 + " (of the first download, recorded in" in shown


def on_a_terminal(columns: int, *words: str) -> list[str]:
    """The lines that a command prints on a terminal of a width, without colours."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, columns))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    command = [sys.executable, "-m", "lagllama_jax.cli.main", "--no-cache", *words]
    options = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    done = subprocess.Popen(command, **options, env=environment | {"TERM": "xterm"})
    os.close(theirs)
    output = b""
    while chunk := _read(ours):
        output += chunk
    os.close(ours)
    assert done.wait() == 0, output
    return re.sub(r"\x1b\[[\d;]*m", "", output.decode()).splitlines()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # Linux reports the end of a terminal so
        return b""


def test_the_list_fits_a_terminal_of_80_columns_with_one_line_per_data_set(tmp_path):
    lines = on_a_terminal(80, "data", "list", "--data-dir", str(tmp_path))
    assert max(map(len, lines)) <= 80
    named = [line.split()[0] for line in lines[1 : len(CATALOGUE) + 1]]
    assert named == list(CATALOGUE)


def test_the_list_names_what_nobody_can_download(capsys):
    assert main(["data", "list"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    nobody = [name for name, one in CATALOGUE.items() if one.url is None]
    assert (
        f"nobody can download it, because its file is not published: {', '.join(nobody)}" in shown
    )
    assert main(["data", "list", "requests_minute"]) == 0
    assert "nobody can download it" in " ".join(capsys.readouterr().out.split())


def test_the_list_tells_all_of_one_data_set(capsys):
    assert main(["data", "list", "saugeenday"]) == 0
    shown = capsys.readouterr().out
    assert "zenodo.org/record/4656058" in shown and "not verified by anyone" in shown
    assert main(["data", "list", "saugeen"]) == 2
    assert "There is no data set 'saugeen'" in capsys.readouterr().err


def test_files_of_several_formats_are_joined_into_one_corpus(files, capsys):
    words = ["data", "corpus", str(files / "taxi.csv"), str(files / "money.txt")]
    more = ["--freq", "B", "--start", "1990-01-01", "-o", str(files / "c")]
    assert main([*words, *more]) == 0
    assert "2 data sets, 3 series, 7 points" in capsys.readouterr().out
    corpus = Corpus.load(files / "c")
    assert corpus.dataset_names == ("taxi", "money")
    assert [corpus.frequency_names[i] for i in corpus.frequency] == ["D", "B", "B"]


def test_data_sets_can_be_left_out_and_periods_masked(files, capsys):
    words = ["data", "corpus", str(files / "taxi.csv"), str(files / "money.txt")]
    more = ["-o", str(files / "c"), "--exclude", "money"]
    assert main([*words, *more, "--mask", "taxi", "2020-01-02", "2020-01-02"]) == 0
    corpus = Corpus.load(files / "c")
    assert corpus.dataset_names == ("taxi",)
    assert corpus.observed.tolist() == [True, False, True]


def test_what_is_wrong_is_one_line_and_an_earlier_corpus_stays(files, capsys):
    assert main(["data", "corpus", str(files / "taxi.csv"), "-o", str(files / "c")]) == 0
    (files / "taxi.csv").write_text("timestamp,value\n2020-01-01,one\n")
    assert main(["data", "corpus", str(files / "taxi.csv"), "-o", str(files / "c")]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "taxi.csv: 'one' is not a number" in message
    assert Corpus.load(files / "c").points == 3
    assert main(["data", "corpus", "-o", str(files / "c")]) == 2


def test_a_data_set_is_built_from_the_files_in_a_folder(files, capsys):
    pytest.importorskip("tensorflow_datasets", reason="needs the extra tfds")
    values = ",".join(map(str, range(90)))
    text = f"@attribute series_name string\n@frequency daily\n@data\nT1:{values}\n"
    (files / "saugeenday_dataset.tsf").write_text(text)
    where = ["--manual-dir", str(files), "--data-dir", str(files / "tfds")]
    assert main(["data", "build", "saugeenday", *where]) == 0
    assert "train 1 series, validation 1 series, test 1 series" in capsys.readouterr().out
    assert Corpus.from_tfds("saugeenday", files / "tfds").lengths.tolist() == [90 - 30 - 14]
    assert main(["data", "build", "weather", *where]) == 2
    assert "fetch https://zenodo.org/record/4654822" in capsys.readouterr().err


@pytest.mark.filterwarnings("default:weather is a test set of the paper")
def test_a_downloaded_data_set_is_joined_into_a_corpus(files, site, published_here, capsys):
    values = ",".join(map(str, range(90)))
    text = f"@attribute series_name string\n@frequency daily\n@data\nT1:{values}\n"
    (site.folder / "weather_dataset.tsf").write_text(text)
    published_here("weather", "weather_dataset.tsf")
    where = ["--data-dir", str(files / "tfds")]
    corpus = ["data", "corpus", "--tfds", "weather", "-o", str(files / "c"), *where]
    assert main(corpus) == 2
    command = f"lagllama data build weather --download --data-dir {files / 'tfds'}"
    assert command in capsys.readouterr().err
    assert main(command.split()[1:]) == 0
    checksums = files / "tfds/lagllama_series/checksums.csv"
    assert f"weather_dataset.tsf is recorded in {checksums}" in capsys.readouterr().err
    assert main([*corpus, str(files / "taxi.csv")]) == 0
    assert "weather is a test set of the paper" in capsys.readouterr().err
    loaded = Corpus.load(files / "c")
    assert loaded.dataset_names == ("taxi", "weather")
    assert loaded.series(1).tolist() == list(range(90 - 30 - 14))


def test_a_data_set_that_is_not_published_cannot_be_downloaded(files, capsys):
    pytest.importorskip("tensorflow_datasets", reason="needs the extra tfds")
    build = ["data", "build", "cpu_usage_minute", "--data-dir", str(files / "tfds")]
    assert main([*build, "--download"]) == 2
    assert "'cpu_usage_minute': nobody can download it" in capsys.readouterr().err
