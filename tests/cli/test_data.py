import pytest

from lagllama_jax.cli.main import main
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
    assert main(["data", "list", "--data-dir", str(tmp_path)]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert rows["weather"].split()[-1] == "yes" and rows["traffic"].split()[-1] == "no"
    assert rows["weather"].split()[-2] == "no" and rows["ett_h1"].split()[-2] == "yes"


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
