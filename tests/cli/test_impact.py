import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    control = rng.normal(size=60).cumsum() + 30
    sales = control + rng.normal(size=60) * 0.3 + 5 * (np.arange(60) >= 50)
    days = pd.date_range("2026-01-01", periods=60)
    frame = pd.DataFrame({"day": days, "sales": sales, "other": control, "third": control[::-1]})
    frame.to_csv(tmp_path / "data.csv", index=False)
    return tmp_path


USUAL = ("--intervention", "2026-02-20", "--target", "sales", "--controls", "other", "third")


def test_the_table_the_words_and_the_picture_are_made(lagllama, table):
    output, plot = table / "out.csv", table / "out.png"
    files = ("--plot", plot, "--output", output)
    words = ("--method", "ridge", "--placebos", 5, "--leave-one-out")
    code, shown, complaint = lagllama("impact", table / "data.csv", *USUAL, *files, *words)
    assert (code, complaint) == (0, "")
    for part in ("Average", "Cumulative", "There is an increase", "is no proof", "left_out"):
        assert part in shown
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert len(pd.read_csv(output)) == 10


def test_each_target_may_have_its_own_intervention(lagllama, table):
    when = ("--intervention", "sales=2026-02-20", "third=2026-02-15")
    words = ("--target", "sales", "third", "--controls", "other", "--method", "ridge")
    code, shown, complaint = lagllama("impact", table / "data.csv", *when, *words)
    assert code == 0 and "interventions at different times" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--intervention", "2026-02-20", "2026-02-15"), "give UNIT=TIME for each target"),
        (("--intervention", "sales=2026-02-20", "sales=2026-02-15"), "names sales twice"),
        (("--intervention", "2030-01-01"), "is after the last value of sales"),
        (("--controls", "nobody"), "No column 'nobody'"),
        (("--plot", "out.doc"), "a picture's name ends in .png"),
    ],
)
def test_bad_input_is_one_line(lagllama, table, words, message):
    usual = (*USUAL, "--method", "ridge")
    code, shown, complaint = lagllama("impact", table / "data.csv", *usual, *words)
    assert (code, shown) == (2, "") and message in complaint and complaint.count("\n") == 1


def test_a_target_is_needed(lagllama, table):
    code, _, complaint = lagllama("impact", table / "data.csv", "--intervention", "2026-02-20")
    assert code == 2 and "--target" in complaint
