import os
import sys

import pandas as pd
import pytest

from lagllama_jax.distributed import forecast_folder
from lagllama_jax.errors import DataError, EngineError
from tests.distributed.conftest import FAST, OPTIONS, STEPS, assert_same, driver, written
from tests.distributed.processes import Killer, kill_driver, marked, parent_of, with_mark

pytestmark = [
    pytest.mark.spark,
    pytest.mark.filterwarnings("ignore"),  # of PySpark; ours are tested elsewhere
]


@pytest.fixture(scope="module")
def session(repository):
    """A session with two tasks at once, whose processes have a mark."""
    from pyspark.sql import SparkSession

    os.environ |= {"PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(repository)} | FAST
    with marked() as mark:
        builder = SparkSession.builder.master("local[2,4]").config("spark.ui.enabled", "false")
        session = builder.config("spark.sql.shuffle.partitions", "2").getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        session.mark = mark
        yield session
        session.stop()


def test_a_worker_that_is_killed_loses_nothing_and_does_nothing_twice(
    session, tmp_path, frames, model, plain
):
    shards = [part for frame in frames for _, part in frame.groupby("unique_id")]
    source, output = written(tmp_path / "in", shards), tmp_path / "out"

    def workers():
        processes = with_mark(session.mark, "pyspark")
        return [one for one in processes if parent_of(one) in processes]

    killer = Killer(output / "forecasts", workers)
    killer.start()
    options = {"model": model, "engine": "spark"} | OPTIONS
    summary = forecast_folder(source, output, STEPS, **options)
    assert killer.killed is not None
    assert (summary.finished, summary.forecast, len(summary.errors)) == (21, 21, 0)
    assert_same(summary.read(), plain)
    assert len(list((output / "forecasts").iterdir())) == 21
    assert forecast_folder(source, output, STEPS, **options).forecast == 0


def test_a_driver_that_is_killed_is_continued(repository, tmp_path, frames, model, plain):
    shards = [part for frame in frames for _, part in frame.groupby("unique_id")]
    source, output = written(tmp_path / "in", shards), tmp_path / "out"
    script = driver(tmp_path, model)
    killed = kill_driver(output, *script, source, output, "spark", 1, PYTHONPATH=str(repository))
    before = {path: path.stat().st_mtime_ns for path in killed}
    assert 0 < len(before) < len(shards)
    summary = forecast_folder(source, output, STEPS, model=model, **OPTIONS)
    assert summary.forecast == len(shards) - len(before)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert_same(summary.read(), plain)


def test_a_data_frame_is_forecast_whatever_its_partitions(session, frames, model, plain):
    from lagllama_jax.distributed.spark import forecast_df

    frame = pd.concat(frames).sample(frac=1, random_state=0)
    frame.loc[frame.unique_id == "series 1-3", "y"] = None
    df = session.createDataFrame(frame)
    result = forecast_df(df, STEPS, freq="h", model=model, **OPTIONS).toPandas()
    error = result.error.notna()
    assert result[error].unique_id.tolist() == ["series 1-3"]
    assert "no value at all" in result[error].error.item()
    wanted = plain[plain.unique_id != "series 1-3"]
    assert_same(result[~error].drop(columns="error"), wanted)


def test_columns_that_are_not_there_are_asked_for(session, frames, model):
    from lagllama_jax.distributed.spark import forecast_df

    df = session.createDataFrame(frames[0])
    with pytest.raises(DataError, match="Tell target"):
        forecast_df(df, STEPS, freq="h", target="sales", model=model)


def test_a_failing_cluster_is_one_error_that_tells_how_to_continue(
    session, source, tmp_path, model, monkeypatch
):
    from pyspark.sql import SparkSession

    session.stop()
    monkeypatch.setattr(SparkSession, "getActiveSession", lambda: session)
    with pytest.raises(EngineError, match=r"Spark failed.* 0 of 3 shards are finished"):
        forecast_folder(source, tmp_path / "out", STEPS, model=model, engine="spark", **OPTIONS)
