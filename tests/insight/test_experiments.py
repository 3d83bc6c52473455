"""The commands of `experiments/insight` on tiny data, with a small model."""

import importlib.util
import pathlib
import types

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.usefixtures("hurry")
FOLDER = pathlib.Path(__file__).resolve().parents[2] / "experiments/insight"
CORPUS = ("azure_vm_traces", "gefcom2012", "kdd_cup_2018", "nn_competitions", "pbs")


def command(name: str) -> types.ModuleType:
    """A command as a module, which does not run it."""
    spec = importlib.util.spec_from_file_location(f"insight_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_series(path: pathlib.Path, names: list[str], length: int, freq: str) -> None:
    rng = np.random.default_rng(len(path.stem))
    waves = [np.sin(np.arange(length) / (2 + n)) + rng.normal(size=length) for n in range(9)]
    rows = {"target": waves[: len(names)], "item_id": names, "start": "2014-07-01", "freq": freq}
    pd.DataFrame(rows).to_parquet(path)


def write_etth(path: pathlib.Path, hours: int) -> None:
    """Hours, up to the time that the experiment explains if there are 17420 of them."""
    times = pd.date_range("2016-07-01", periods=hours, freq="h", name="date")
    noise = np.random.default_rng(0).integers(0, 9, hours)
    table = pd.DataFrame({"a": (times.hour > 11) * 9 + noise}, index=times)
    table.to_csv(path, compression={"method": "gzip", "compresslevel": 1})


@pytest.fixture(scope="module")
def places(one_pass, tmp_path_factory):
    """Folders of a model, of data and of results."""
    root = tmp_path_factory.mktemp("insight")
    for name in ("corpus", "evaluation", "results"):
        (root / name).mkdir()
    one_pass.save_pretrained(root / "model")
    for number, name in enumerate(CORPUS):
        names = [f"{name}/{row}" for row in range(6)]
        write_series(root / "corpus" / f"{name}.parquet", names, 90, ("h", "D")[number % 2])
    write_series(root / "evaluation/m4_hourly.parquet", ["H1", "H2"], 300, "h")
    for number, hours in ((1, 17420), (2, 48)):
        write_etth(root / f"evaluation/ETTh{number}.csv.gz", hours)
    return root


def common(places: pathlib.Path) -> dict[str, object]:
    return {"model": str(places / "model"), "output": places / "results"}


def is_png(path: pathlib.Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5_000


def test_embeddings_are_classified_and_retrieved(places):
    embedding = command("embedding")
    sizes = {"data_dir": places, "series": 6, "lengths": (60,), "catch22": False}
    embedding.main(embedding.Arguments(**common(places), **sizes))
    found = pd.read_csv(places / "results/classification.csv")
    ways = found["way"] + ", " + found["rule"]
    assert ways[:2].tolist() == ["embedding, standardised", "embedding, half whitened"]
    assert found[["dataset", "frequency", "domain"]].stack().between(0, 1).all()
    found = pd.read_csv(places / "results/retrieval.csv")
    assert len(found) == 2 * 2 * 6 and (found["top 1"] <= found["top 5"]).all()


def test_catch22_describes_series_with_gaps():
    pytest.importorskip("pycatch22")
    rows = command("embedding").catch22([np.r_[np.nan, np.arange(40.0) % 7, np.nan, 3.0]])
    assert rows.shape == (1, 22) and np.isfinite(rows).all()


def test_attributions_are_checked_and_drawn(places):
    attribution = command("attribution")
    sizes = {"data_dir": places / "evaluation", "series": 2, "removed": 3}
    attribution.main(attribution.Arguments(**common(places), **sizes))
    found = pd.read_csv(places / "results/completeness.csv")
    assert len(found) == 4 and (found["max"] < 1e-2).all()
    found = pd.read_csv(places / "results/deletion.csv").set_index("removed")
    assert {"random", "latest", "furthest from the median"} < {*found.index}
    assert (found >= 0).all(axis=None)
    assert is_png(places / "results/attribution.png") and is_png(places / "results/attention.png")


def test_tail_probabilities_are_counted(places):
    calibration = command("calibration")
    sizes = {"data_dir": places / "evaluation", "sets": ("m4_hourly",), "series": 2, "steps": 100}
    calibration.main(calibration.Arguments(**common(places), **sizes))
    row = pd.read_csv(places / "results/calibration.csv").iloc[0]
    assert row["series"] == 2 and row["steps"] == 2 * (100 - 16)
    assert row["below 0.1"] >= row["below 0.01"] >= 0
    assert is_png(places / "results/calibration.png")


def test_anomalies_of_groups_are_counted_and_drawn(places):
    nab = command("nab")
    names = ["realKnownCause/nyc_taxi", "realKnownCause/ambient", "realTweets/a"]
    write_series(places / "nab.parquet", names, 120, "h")
    options = {"data": places / "nab.parquet", "drawn": ("nyc_taxi", "realTweets")}
    nab.main(nab.Arguments(**common(places), **options, threshold=0.5))
    found = pd.read_csv(places / "results/nab.csv").set_index("group")
    assert found["steps"].tolist() == [2 * 104, 104]
    np.testing.assert_allclose(found["share"], found["anomalies"] / found["steps"], atol=1e-5)
    assert is_png(places / "results/nab.png")
