import io

import numpy as np
import pandas as pd
import pytest

from lagllama_jax import LagLlama

pytestmark = pytest.mark.usefixtures("hurry")


@pytest.fixture(scope="module")
def frame():
    stamps = pd.date_range("2024-01-01", periods=60, freq="h")
    waves = [np.sin(np.arange(60.0) / 3), np.cos(np.arange(60.0) / 5)]
    waves[1][50] = 40
    parts = [
        pd.DataFrame({"unique_id": name, "ds": stamps, "y": wave})
        for name, wave in zip(["007", "b"], waves, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def data(frame, tmp_path):
    frame.to_csv(tmp_path / "data.csv", index=False)
    return tmp_path / "data.csv"


def test_vectors_of_a_file_are_those_of_the_frame(lagllama, data, model_folder, frame):
    code, shown, complaint = lagllama("embed", data, "--model", model_folder)
    assert (code, complaint) == (0, "")
    table = pd.read_csv(io.StringIO(shown), dtype={"unique_id": str})
    assert table["unique_id"].tolist() == ["007", "b"]
    wanted = LagLlama.from_pretrained(model_folder).embed(frame)
    np.testing.assert_allclose(table.drop(columns="unique_id"), wanted, rtol=1e-4, atol=1e-5)
    output = data.with_name("vectors.parquet")
    words = ("--output", output, "--model", model_folder, "--context-length", 8)
    assert lagllama("embed", data, *words)[:2] == (0, "")
    assert pd.read_parquet(output).shape == table.shape


def test_anomalies_of_a_file_are_listed_and_drawn(lagllama, data, model_folder):
    plot = data.with_name("anomalies.png")
    usual = ("anomalies", data, "--model", model_folder)
    code, shown, complaint = lagllama(*usual, "--threshold", 0.5, "--plot", plot)
    assert (code, complaint) == (0, "")
    table = pd.read_csv(io.StringIO(shown), dtype={"unique_id": str})
    assert table[["unique_id", "ds"]].values.tolist()[0] == ["b", "2024-01-03 02:00:00"]
    assert table["tail_probability"].is_monotonic_increasing and table["anomaly"].all()
    assert plot.read_bytes().startswith(b"\x89PNG")
    output = data.with_name("steps.csv")
    assert lagllama(*usual, "--every-step", "--output", output)[:2] == (0, "")
    assert len(pd.read_csv(output)) == 120


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("embed", "--context-length", 0), "--context-length 0"),
        (("embed", "--output", "out.xlsx"), "out.xlsx: the name should end in .csv"),
        (("embed", "--output", "data.csv"), "The output data.csv is the same as the input"),
        (("anomalies", "--threshold", 2), "--threshold 2.0 must be between 0 and 1"),
        (("anomalies", "--plot", "out.doc"), "out.doc: a picture's name ends in .png"),
        (("anomalies", "--target", "sales"), "No target column 'sales' in data.csv"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    lagllama, data, model_folder, monkeypatch, words, message
):
    monkeypatch.chdir(data.parent)
    name, *options = words
    code, shown, complaint = lagllama(name, "data.csv", *options, "--model", model_folder)
    assert (code, shown, complaint.count("\n")) == (2, "", 1)
    assert complaint.startswith("lagllama: ") and message in complaint
    assert [file.name for file in data.parent.iterdir()] == ["data.csv"]
