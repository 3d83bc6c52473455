import os

import pandas as pd
import pytest

from lagllama_jax.distributed import forecast_folder
from lagllama_jax.errors import ConfigError, DataError
from tests.distributed.conftest import FAST, OPTIONS, STEPS, assert_same, driver, entries, written
from tests.distributed.processes import Killer, kill_driver, marked, with_mark

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore"),  # of Ray and what it brings; ours are tested elsewhere
]


@pytest.fixture(scope="module")
def mark(repository):
    """A cluster of two CPUs on this machine, whose processes have this mark."""
    import logging

    import ray

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    os.environ |= {"PYTHONPATH": str(repository)} | FAST
    with marked() as mark:
        ray.init(
            num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
        )
        yield mark
        ray.shutdown()


def test_a_worker_that_is_killed_loses_nothing_and_does_nothing_twice(
    mark, tmp_path, frames, model, plain
):
    shards = [part for frame in frames for _, part in frame.groupby("unique_id")]
    source, output = written(tmp_path / "in", shards), tmp_path / "out"
    killer = Killer(output / "forecasts", lambda: with_mark(mark, "ray::MapWorker"))
    killer.start()
    options = {"model": model, "engine": "ray", "workers": 2} | OPTIONS
    summary = forecast_folder(source, output, STEPS, **options)
    assert killer.killed is not None
    assert (summary.finished, summary.forecast, len(summary.errors)) == (21, 21, 0)
    assert_same(summary.read(), plain)
    assert len(list((output / "forecasts").iterdir())) == 21
    assert forecast_folder(source, output, STEPS, **options).forecast == 0


def test_a_long_data_set_is_forecast_whatever_its_blocks(mark, frames, model, plain):
    import ray

    from lagllama_jax.distributed.ray import forecast_dataset

    frame = pd.concat(frames).sample(frac=1, random_state=0)  # a series is in several blocks
    frame.loc[frame.unique_id == "series 1-3", "y"] = None
    data = ray.data.from_pandas(frame).repartition(4)
    result = forecast_dataset(data, STEPS, freq="h", model=model, **OPTIONS).to_pandas()
    error = result.error.notna()
    assert result[error].unique_id.tolist() == ["series 1-3"]
    assert "no value at all" in result[error].error.item()
    plain_types = {name: "float64" for name in plain.columns[2:]} | {"unique_id": "object"}
    forecasts = result[~error].drop(columns="error").astype(plain_types)
    assert_same(forecasts, plain[plain.unique_id != "series 1-3"])


def test_a_data_set_of_one_row_per_series_is_forecast(mark, frames, model, plain):
    import ray

    from lagllama_jax.distributed.ray import forecast_dataset

    data = ray.data.from_pandas(pd.concat(map(entries, frames)))
    result = forecast_dataset(data, STEPS, model=model, **OPTIONS).to_pandas()
    assert result.error.isna().all()
    named = plain.rename(columns={"unique_id": "item_id", "ds": "timestamp"})
    types = {name: "float64" for name in named.columns[2:]} | {"item_id": "object"}
    assert_same(result.drop(columns="error").astype(types), named)


def test_columns_and_the_step_of_a_long_data_set_are_asked_for(mark, frames, model):
    import ray

    from lagllama_jax.distributed.ray import forecast_dataset

    data = ray.data.from_pandas(frames[0])
    with pytest.raises(ConfigError, match="needs freq"):
        forecast_dataset(data, STEPS, model=model)
    with pytest.raises(DataError, match="Tell target"):
        forecast_dataset(data, STEPS, freq="h", target="sales", model=model)


def test_a_driver_that_is_killed_is_continued_by_another_engine(
    repository, tmp_path, frames, model, plain
):
    shards = [part for frame in frames for _, part in frame.groupby("unique_id")]
    source, output = written(tmp_path / "in", shards), tmp_path / "out"
    script = driver(tmp_path, model)
    killed = kill_driver(output, *script, source, output, "ray", 1, PYTHONPATH=str(repository))
    assert 0 < len(killed) < len(shards)
    summary = forecast_folder(source, output, STEPS, model=model, **OPTIONS)
    assert (summary.finished, len(summary.errors)) == (21, 0)
    assert_same(summary.read(), plain)
