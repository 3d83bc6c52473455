import pandas as pd
from statsmodels.datasets import elnino


def test_the_demo_shows_what_came_beside_the_forecast(lagllama, tmp_path, model_folder):
    folder = tmp_path / "new" / "demo"
    words = ("--output-dir", folder, "--model", model_folder, "--num-samples", 5)
    code, shown, complaint = lagllama("demo", *words)
    assert (code, complaint) == (0, "")
    assert "Sea surface" in shown and "2010-12" in shown
    table = pd.read_csv(folder / "forecast.csv")
    real = elnino.load_pandas().data.set_index("YEAR")
    assert table.timestamp.str[:4].astype(int).tolist() == [2009] * 12 + [2010] * 12
    assert table.actual.tolist() == real.loc[[2009, 2010]].to_numpy().ravel().tolist()
    assert (folder / "forecast.png").read_bytes().startswith(b"\x89PNG")
    assert {file.name for file in folder.iterdir()} == {"forecast.csv", "forecast.png"}


def test_a_place_that_cannot_be_written_is_named(lagllama, tmp_path, model_folder):
    (tmp_path / "demo").write_text("a file")
    code, _, complaint = lagllama(
        "demo", "--output-dir", tmp_path / "demo", "--model", model_folder
    )
    assert (code, "Cannot create the folder" in complaint) == (2, True)
