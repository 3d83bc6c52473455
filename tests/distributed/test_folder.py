import os
import shutil
import sys

import numpy as np
import pandas as pd
import pytest

from lagllama_jax.distributed import forecast_folder
from lagllama_jax.distributed.local import cause_of
from lagllama_jax.errors import ConfigError, DataError, MissingExtraError
from tests.distributed.conftest import OPTIONS, STEPS, assert_same, driver, entries, written
from tests.distributed.processes import kill_driver


def forecast(source, output, model, **options):
    return forecast_folder(source, output, STEPS, model=model, **(OPTIONS | options))


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_folder_is_forecast_as_one_call_with_all_series(tmp_path, frames, model, plain, suffix):
    source = written(tmp_path / "in", frames, suffix)
    summary = forecast(source, tmp_path / "out", model)
    assert (summary.shards, summary.finished, summary.forecast) == (3, 3, 3)
    assert summary.errors.empty
    assert_same(summary.read(), plain)


def test_one_row_per_series_is_forecast_as_a_long_table(tmp_path, frames, model, plain):
    source = written(tmp_path / "in", [entries(frame) for frame in frames])
    result = forecast(source, tmp_path / "out", model).read()
    named = plain.rename(columns={"unique_id": "item_id", "ds": "timestamp"})
    assert_same(result, named)


def test_the_cut_into_shards_changes_nothing(tmp_path, frames, model, plain):
    whole = written(tmp_path / "in", [pd.concat(frames)])
    assert_same(forecast(whole, tmp_path / "out", model).read(), plain)
    single = [part for _, part in pd.concat(frames[:1]).groupby("unique_id")]
    source = written(tmp_path / "single", single)
    few = plain[plain.unique_id.str.startswith("series 0")]
    assert_same(forecast(source, tmp_path / "out2", model).read(), few)


def test_a_finished_job_is_not_done_again_and_a_deleted_shard_is(source, tmp_path, model):
    output = tmp_path / "out"
    first = forecast(source, output, model)
    before = first.read()
    assert forecast(source, output, model).forecast == 0
    (output / "forecasts" / "part-1.parquet.parquet").unlink()
    again = forecast(source, output, model)
    assert (again.finished, again.forecast) == (3, 1)
    pd.testing.assert_frame_equal(again.read(), before)


def test_a_series_without_a_forecast_is_a_row_of_errors_and_stops_nothing(
    tmp_path, frames, model, plain
):
    frames = [frame.copy() for frame in frames]
    lost = {
        "series 0-2": "no value at all",
        "series 1-0": "Duplicate",
        "series 2-6": "off the grid",
    }
    frames[0].loc[frames[0].unique_id == "series 0-2", "y"] = np.nan
    first = frames[1][frames[1].unique_id == "series 1-0"]
    frames[1] = pd.concat([frames[1], first.head(1)])
    rows = frames[2].index[frames[2].unique_id == "series 2-6"]
    frames[2].loc[rows[3], "ds"] += pd.Timedelta("17min")
    source = written(tmp_path / "in", frames)
    summary = forecast(source, tmp_path / "out", model, reading={"freq": "h"})
    assert dict(zip(summary.errors.series, summary.errors.error.str.len() > 9, strict=True)) == (
        dict.fromkeys(lost, True)
    )
    for name, words in lost.items():
        (message,) = summary.errors.error[summary.errors.series == name]
        assert words in message and name in message
    assert summary.finished == 3
    assert_same(summary.read(), plain[~plain.unique_id.isin(lost)])


def test_a_file_that_cannot_be_read_is_told_and_tried_again(tmp_path, frames, model, plain):
    source = written(tmp_path / "in", frames)
    damaged = source / "part-1.parquet"
    kept = damaged.read_bytes()
    status = damaged.stat()
    data = bytearray(kept)
    footer = 8 + int.from_bytes(kept[-8:-4], "little")
    data[4:-footer] = bytes(len(kept) - footer - 4)  # the pages; the footer is sound
    damaged.write_bytes(data)
    os.utime(damaged, ns=(status.st_atime_ns, status.st_mtime_ns))
    output = tmp_path / "out"
    with pytest.raises(DataError, match=r"part-1\.parquet"):
        forecast(source, output, model)
    damaged.write_bytes(kept)
    os.utime(damaged, ns=(status.st_atime_ns, status.st_mtime_ns))
    forecast(source, output, model)
    (output / "forecasts" / "part-1.parquet.parquet").unlink()
    damaged.write_bytes(data)
    os.utime(damaged, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.warns(UserWarning, match=r"Cannot read .*part-1\.parquet"):
        summary = forecast(source, output, model)
    assert (summary.finished, summary.errors.shard.tolist()) == (2, ["part-1.parquet"])
    assert summary.errors.series.isna().all()
    damaged.write_bytes(kept)
    os.utime(damaged, ns=(status.st_atime_ns, status.st_mtime_ns))
    summary = forecast(source, output, model)
    assert (summary.finished, len(summary.errors)) == (3, 0)
    assert_same(summary.read(), plain)


def test_short_series_take_the_step_of_the_first_shard(tmp_path, frames, model):
    short = pd.concat([part.head(1) for _, part in frames[1].groupby("unique_id")])
    source = written(tmp_path / "in", [frames[0], short])
    result = forecast(source, tmp_path / "out", model).read()
    of_short = result[result.unique_id.isin(short.unique_id)]
    assert (of_short.groupby("unique_id").ds.diff().dropna() == pd.Timedelta("1h")).all()


def test_series_of_another_step_are_errors(tmp_path, frames, model):
    daily = pd.DataFrame(
        {"unique_id": "daily", "ds": pd.date_range("2024-01-01", periods=40), "y": 1.0}
    )
    source = written(tmp_path / "in", [frames[0], daily])
    errors = forecast(source, tmp_path / "out", model).errors
    assert errors.series.tolist() == ["daily"]
    assert "every 24th step only" in errors.error[0]


def changed(frames, what):
    frames = [frame.copy() for frame in frames]
    if what == "names":
        frames[1] = frames[1].rename(columns={"y": "sales"})
    if what == "types":
        frames[1]["y"] = frames[1]["y"].astype("float32")
    if what == "twice":
        frames[2] = pd.concat([frames[2], frames[0].head(3)])
    return frames


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("names", r"part-1.parquet has other columns than part-0.parquet: sales .*, y "),
        ("types", r"part-1.parquet has other columns than .*y \(double\), y \(float\)"),
        ("twice", r"Series 'series 0-0' is in part-0.parquet and in part-2.parquet"),
    ],
)
def test_shards_that_do_not_fit_each_other_are_refused_before_the_work(
    tmp_path, frames, model, what, message
):
    source = written(tmp_path / "in", changed(frames, what))
    with pytest.raises(DataError, match=message):
        forecast(source, tmp_path / "out", model)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_refused(tmp_path, model):
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match="has no Parquet or CSV file"):
        forecast(tmp_path / "in", tmp_path / "out", model)
    (tmp_path / "in" / "notes.pdf").touch()
    with pytest.raises(DataError, match=r"notes.pdf is neither"):
        forecast(tmp_path / "in", tmp_path / "out", model)
    with pytest.raises(DataError, match="absent is not a folder"):
        forecast(tmp_path / "absent", tmp_path / "out", model)


def test_the_output_folder_of_another_job_is_refused_and_kept(source, tmp_path, model):
    output = tmp_path / "out"
    before = forecast(source, output, model).read()
    for options, words in (
        ({"seed": 4}, "seed is 3 there and 4 here"),
        ({"quantile_levels": [0.5]}, "quantile_levels is"),
        ({"reading": {"freq": "2h"}}, "freq"),
    ):
        with pytest.raises(DataError, match=words):
            forecast(source, output, model, **options)
    with pytest.raises(DataError, match="prediction_length is 4 there and 5 here"):
        forecast_folder(source, output, 5, model=model, **OPTIONS)
    with pytest.raises(DataError, match="model is"):
        forecast_folder(source, output, STEPS, **OPTIONS)
    shutil.copy(source / "part-0.parquet", source / "part-9.parquet")
    with pytest.raises(DataError, match=r"part-9.parquet is None there"):
        forecast(source, output, model)
    (source / "part-9.parquet").unlink()
    pd.testing.assert_frame_equal(forecast(source, output, model).read(), before)
    os.utime(source / "part-0.parquet")
    with pytest.raises(DataError, match=r"part-0.parquet is \["):
        forecast(source, output, model)


def test_a_folder_with_other_files_is_no_output(source, tmp_path, model):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("precious")
    with pytest.raises(DataError, match="thesis.txt"):
        forecast(source, tmp_path / "out", model)
    with pytest.raises(DataError, match="same as the input"):
        forecast(source, source, model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "dask"}, "engine='dask' must be one of local, ray, spark"),
        ({"workers": 0}, "workers=0"),
        ({"workers": 2}, "choose the engine ray or spark"),
        ({"num_samples": 0}, "num_samples=0"),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(source, tmp_path, model, options, message):
    with pytest.raises(ConfigError, match=message):
        forecast(source, tmp_path / "out", model, **options)


@pytest.mark.parametrize(("engine", "package"), [("ray", "ray"), ("spark", "pyspark")])
def test_an_engine_that_is_not_installed_is_named(
    source, tmp_path, model, monkeypatch, engine, package
):
    monkeypatch.setitem(sys.modules, package, None)
    for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtraError, match=rf"'{package}'.*\[{engine}\]"):
        forecast(source, tmp_path / "out", model, engine=engine)


def test_progress_is_told_in_series(source, tmp_path, model):
    told = []
    forecast(source, tmp_path / "out", model, progress=lambda *numbers: told.append(numbers))
    assert (told[0], told[-1]) == ((0, 21), (21, 21))


def test_a_driver_that_is_killed_loses_nothing_and_does_nothing_twice(
    repository, tmp_path, frames, model, plain
):
    shards = [part for frame in frames for _, part in frame.groupby("unique_id")]
    source, output = written(tmp_path / "in", shards), tmp_path / "out"
    script = driver(tmp_path, model)
    killed = kill_driver(output, *script, source, output, "local", 0, PYTHONPATH=str(repository))
    before = {path: path.stat().st_mtime_ns for path in killed}
    assert 0 < len(before) < len(shards)
    done = output / "forecasts"
    (done / ".part-99.0000.parquet").write_text("half")
    summary = forecast(source, output, model)
    assert summary.forecast == len(shards) - len(before)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert_same(summary.read(), plain)
    assert not list(done.glob(".*"))


def test_the_error_within_the_message_of_an_engine_is_told():
    engine = (
        "task 3 failed:\nTraceback\n  lagllama_jax.errors.ConfigError: Too long: lower it.\nat x"
    )
    assert cause_of(RuntimeError(engine)) == "Too long: lower it."
    assert cause_of(RuntimeError("lost\nat x")) == "lost"
    assert cause_of(RuntimeError()) == "RuntimeError"
