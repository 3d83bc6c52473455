import io

import numpy as np
import pandas as pd
import pytest

from lagllama_jax import LagLlama

OPTIONS = ("--num-samples", 5, "--prediction-length", 3)


@pytest.fixture(scope="module")
def frame():
    stamps = pd.date_range("2024-01-01", periods=30, freq="h")
    parts = [
        pd.DataFrame(
            {"unique_id": name, "ds": stamps[: 30 - 10 * n], "y": np.arange(30.0 - 10 * n)}
        )
        for n, name in enumerate(["007", "b"])
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def table(frame, tmp_path):
    frame.to_csv(tmp_path / "data.csv", index=False)
    frame.to_parquet(tmp_path / "data.parquet")
    return tmp_path


def test_a_file_is_forecast_as_the_frame_is_and_a_picture_drawn(
    lagllama, table, model_folder, frame
):
    output, plot = table / "out.csv", table / "out.png"
    code, shown, complaint = lagllama(
        *("forecast", table / "data.csv", "--output", output, "--plot", plot),
        *("--model", model_folder, "--quantile-levels", 0.1, 0.9, *OPTIONS),
    )
    assert (code, shown, complaint) == (0, "", "")
    model = LagLlama.from_pretrained(model_folder)
    wanted = model.predict_df(frame, 3, num_samples=5, quantile_levels=[0.1, 0.9])
    written = pd.read_csv(output, dtype={"unique_id": str}, parse_dates=["ds"])
    pd.testing.assert_frame_equal(written, wanted, check_dtype=False, rtol=1e-5)
    assert plot.read_bytes().startswith(b"\x89PNG")
    names = {"data.csv", "data.parquet", "out.csv", "out.png"}
    assert {file.name for file in table.iterdir()} == names


def test_parquet_goes_in_and_out(lagllama, table, model_folder):
    output = table / "out.parquet"
    arguments = ("--output", output, "--model", model_folder, *OPTIONS)
    assert lagllama("forecast", table / "data.parquet", *arguments)[0] == 0
    assert pd.read_parquet(output).ds[0] == pd.Timestamp("2024-01-02 06:00")


def test_without_an_output_the_table_is_printed(lagllama, table, model_folder):
    code, shown, _ = lagllama("forecast", table / "data.csv", "--model", model_folder, *OPTIONS)
    assert code == 0
    lines = shown.splitlines()
    assert lines[0].startswith("unique_id,ds,predictions,0.1,0.2")
    assert lines[1].startswith("007,2024-01-02 06:00:00,")
    assert len(lines) == 1 + 2 * 3


def test_the_context_may_be_another(lagllama, table, model_folder, frame):
    words = "--context-length", 4, "--model", model_folder, *OPTIONS
    code, shown, _ = lagllama("forecast", table / "data.csv", *words)
    assert code == 0
    model = LagLlama.from_pretrained(model_folder)
    wanted = model.predict_df(frame, 3, num_samples=5, context_length=4)
    assert np.allclose(pd.read_csv(io.StringIO(shown))["0.5"], wanted["0.5"], rtol=1e-5)


@pytest.mark.filterwarnings("always:The covariates a")
def test_a_wide_file_and_columns_of_other_names_are_forecast(lagllama, tmp_path, model_folder):
    wide = tmp_path / "wide.csv"
    wide.write_text("date;a;b\n" + "".join(f"2024-01-{d:02};{d};{-d}\n" for d in range(1, 29)))
    code, shown, _ = lagllama("forecast", wide, "--model", model_folder, *OPTIONS)
    head, first, *_ = shown.splitlines()
    assert (code, head[:25], first[:13]) == (0, "item_id,date,predictions,", "a,2024-01-29,")
    named = ("--timestamp-column", "date", "--target", "b")
    code, shown, told = lagllama("forecast", wide, *named, "--model", model_folder, *OPTIONS)
    assert (code, shown.count("b,2024")) == (0, 3)
    assert told.startswith("lagllama: The covariates a are not used: their future is not given")


def test_a_second_file_tells_the_known_covariates_and_several_targets_are_forecast(
    lagllama, tmp_path, model_folder
):
    days = pd.date_range("2024-01-01", periods=83)
    rows = {"day": days, "a": np.sin(days.day), "b": np.cos(days.day), "price": days.day % 5}
    frame = pd.DataFrame(rows)
    frame[:80].to_csv(tmp_path / "past.csv", index=False)
    frame[80:][["day", "price"]].to_csv(tmp_path / "future.csv", index=False)
    words = ("--future", tmp_path / "future.csv", "--target", "a", "b", "--model", model_folder)
    code, shown, told = lagllama("forecast", tmp_path / "past.csv", *words, *OPTIONS)
    assert code == 0
    assert told == "lagllama: Known covariates: price.\n"
    assert shown.splitlines()[0].startswith("item_id,target_name,day,predictions,")
    assert [shown.count(f"series,{name},2024") for name in "ab"] == [3, 3]


def test_json_lines_are_forecast(lagllama, tmp_path, model_folder):
    path = tmp_path / "data.jsonl"
    line = '{"item_id": "a", "start": "2024-01-01", "freq": "D", "target": [1, 2, 3, null, 5]}'
    path.write_text(line + "\n")
    code, shown, _ = lagllama("forecast", path, "--model", model_folder, *OPTIONS)
    assert (code, shown.count("a,2024-01-0")) == (0, 3)


@pytest.mark.parametrize(
    ("line", "words", "message"),
    [
        (
            '"start": "2024-01-01", "freq": "D"',
            ("--freq", "h"),
            "steps of D, and --freq 'h' is",
        ),
        ('"start": "2024-01-01"', (), "'0' has a start and no step: give --freq, as in --freq 'D'"),
    ],
)
def test_json_lines_with_another_step_or_none_are_refused(
    lagllama, tmp_path, model_folder, line, words, message
):
    path = tmp_path / "data.jsonl"
    path.write_text(f'{{{line}, "target": [1, 2, 3, 4]}}\n')
    code, _, complaint = lagllama("forecast", path, "--model", model_folder, *OPTIONS, *words)
    assert code == 2 and message in complaint


@pytest.mark.filterwarnings("always:export.csv")
def test_options_tell_how_a_file_is_read_and_guesses_are_one_line(lagllama, tmp_path, model_folder):
    path = tmp_path / "export.csv"
    rows = "".join(f"{day:02}/02/2024;{day},5;Z\u00fcrich\n" for day in range(1, 13))
    path.write_bytes(f"datum;target;item_id\n{rows}".encode("cp1252"))
    usual = ("forecast", path, "--model", model_folder, *OPTIONS)
    code, _, complaint = lagllama(*usual)
    assert code == 2 and "several ways" in complaint and "--dayfirst True" in complaint
    code, shown, told = lagllama(*usual, "--dayfirst", "True")
    assert (code, told.count("\n")) == (0, 1)
    assert told.startswith("lagllama: export.csv is not UTF-8 and was read as cp1252")
    assert "Z\u00fcrich,2024-02-13," in shown
    told = ("--date-format", "%d/%m/%Y", "--encoding", "cp1252", "--decimal", ",", "--freq", "D")
    assert lagllama(*usual, *told) == (0, shown, "")


BAD = [
    (("--prediction-length", 0), "--prediction-length 0"),
    (("--num-samples", 0), "--num-samples 0"),
    (("--quantile-levels", 1.5), "Quantile level 1.5"),
    (("--freq", "D"), "Frequency 'D' does not fit: series '007', line 3 of data.csv"),
    (("--freq", "often"), "'often' is not a frequency"),
    (("--target", "sales"), "No target column 'sales' in data.csv"),
    (("--model", "nowhere"), "nowhere"),
    (("--context-length", 2**20, "--batch-size", 64), "GiB"),
    (("--context-length", 10**8), "--context-length 100000000 must be"),
    (("--sampling", "stratified", "--rope-factor", 0.5), "--rope-factor 0.5 must be"),
    (("--output", "out.xlsx"), "out.xlsx: the name should end in .csv or .parquet"),
    (("--plot", "out.doc"), "out.doc: a picture's name ends in .png"),
    (("--output", "data.csv"), "The output data.csv is the same as the input data.csv"),
    (("--output", "./data.csv"), "The output data.csv is the same as the input data.csv"),
    (("--output", "link.csv"), "The output link.csv is the same as the input data.csv"),
    (("--output", "a.svg.csv", "--plot", "link.svg"), "The output link.svg is the same as"),
    (("--output", "absent/out.csv"), "Cannot write absent/out.csv"),
    (("--plot", "absent/out.png"), "Cannot write absent/out.png"),
]


@pytest.mark.parametrize(("words", "message"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_is_one_line_and_leaves_nothing(
    lagllama, table, model_folder, monkeypatch, words, message
):
    monkeypatch.chdir(table)
    history = (table / "data.csv").read_bytes()
    (table / "link.csv").symlink_to("data.csv")
    (table / "link.svg").symlink_to("a.svg.csv")
    usual = ("--model", model_folder, "--output", "out.csv", *OPTIONS)
    code, shown, complaint = lagllama("forecast", "data.csv", *usual, *words)
    assert (code, shown) == (2, "")
    assert complaint.startswith("lagllama: ") and message in complaint
    assert complaint.count("\n") == 1
    names = {"data.csv", "data.parquet", "link.csv", "link.svg"}
    assert {file.name for file in table.iterdir()} == names
    assert (table / "data.csv").read_bytes() == history


def test_an_existing_result_stays_when_a_forecast_fails(lagllama, table, model_folder):
    output = table / "out.csv"
    output.write_text("precious\n")
    wrong = ("--freq", "D", "--output", output, "--model", model_folder, *OPTIONS)
    assert lagllama("forecast", table / "data.csv", *wrong)[0] == 2
    assert output.read_text() == "precious\n"


def test_a_folder_is_no_output(lagllama, table, model_folder):
    (table / "out.csv").mkdir()
    words = ("--output", table / "out.csv", "--model", model_folder, *OPTIONS)
    code, _, complaint = lagllama("forecast", table / "data.csv", *words)
    assert (code, "Cannot write" in complaint) == (2, True)


def test_a_missing_horizon_is_wrong_usage(lagllama, table):
    code, _, complaint = lagllama("forecast", table / "data.csv")
    assert code == 2
    assert "--prediction-length" in complaint


def test_options_of_tables_are_refused_for_other_files(lagllama, tmp_path, model_folder):
    path = tmp_path / "data.jsonl"
    path.write_text('{"start": "2024-01-01", "freq": "D", "target": [1, 2, 3, 4]}\n')
    words = ("--model", model_folder, *OPTIONS)
    code, _, complaint = lagllama("forecast", path, "--dayfirst", True, *words)
    assert (code, complaint.count("\n")) == (2, 1)
    assert "data.jsonl is no table: leave out dayfirst" in complaint


@pytest.mark.filterwarnings("default")
def test_office_hours_are_forecast_at_office_hours(lagllama, tmp_path, model_folder):
    hours = pd.date_range("2024-01-01", periods=24 * 30, freq="h")
    hours = hours[(hours.hour >= 8) & (hours.hour < 18)]
    frame = pd.DataFrame({"date": hours.strftime("%d.%m.%Y %H:%M"), "load": np.arange(300.0)})
    frame[:-2].to_csv(tmp_path / "data.csv", index=False)
    code, shown, complaint = lagllama(
        "forecast", tmp_path / "data.csv", "--model", model_folder, *OPTIONS
    )
    assert code == 0 and "repeat (10 per day)" in complaint
    stamps = pd.read_csv(io.StringIO(shown))["date"]
    assert list(stamps) == ["2024-01-30 16:00:00", "2024-01-30 17:00:00", "2024-01-31 08:00:00"]


@pytest.fixture
def folder(frame, tmp_path):
    (tmp_path / "in").mkdir()
    for name, part in frame.groupby("unique_id"):
        part.to_parquet(tmp_path / "in" / f"{name}.parquet", index=False)
    return tmp_path


def test_a_folder_is_forecast_into_a_folder_and_continued(lagllama, folder, model_folder, frame):
    words = ("forecast", folder / "in", "-o", folder / "out", "--model", model_folder, *OPTIONS)
    code, shown, complaint = lagllama(*words)
    assert (code, complaint) == (0, "")
    assert shown == f"2 of 2 files are forecast (2 now): {folder / 'out'}\n"
    wanted = LagLlama.from_pretrained(model_folder).predict_df(frame, 3, num_samples=5)
    written = pd.read_parquet(folder / "out" / "forecasts")
    pd.testing.assert_frame_equal(written, wanted, rtol=1e-5)
    assert lagllama(*words)[1] == f"2 of 2 files are forecast (0 now): {folder / 'out'}\n"
    code, _, complaint = lagllama(*words, "--seed", 1)
    assert code == 2 and "another job: seed is 0 there and 1 here" in complaint


def test_series_without_a_forecast_are_told(lagllama, folder, model_folder, frame):
    bad = frame[frame.unique_id == "b"].assign(unique_id="c", y=np.nan)
    pd.concat([frame[frame.unique_id == "b"], bad]).to_parquet(
        folder / "in" / "b.parquet", index=False
    )
    words = ("forecast", folder / "in", "-o", folder / "out", "--model", model_folder, *OPTIONS)
    code, shown, _ = lagllama(*words, "--freq", "h")
    assert code == 0
    assert "1 errors, such as: Series 'c' has no value at all" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "A folder of series needs --output"),
        (("-o", "out", "--plot", "a.png"), "--plot draws the series of a file"),
        (("-o", "out", "--workers", 2), "choose the engine ray or spark"),
    ],
)
def test_bad_options_of_a_folder_are_one_line(
    lagllama, folder, model_folder, monkeypatch, words, message
):
    monkeypatch.chdir(folder)
    code, _, complaint = lagllama("forecast", "in", "--model", model_folder, *OPTIONS, *words)
    assert (code, complaint.count("\n")) == (2, 1)
    assert message in complaint
    assert not (folder / "out").exists()


def test_an_engine_is_for_folders(lagllama, table, model_folder):
    words = ("--engine", "ray", "--model", model_folder, *OPTIONS)
    code, _, complaint = lagllama("forecast", table / "data.csv", *words)
    assert (code, "are for a folder of series" in complaint) == (2, True)
