"""A folder of shards, and its forecasts by one plain call."""

import pathlib

import numpy as np
import pandas as pd
import pytest

from lagllama_jax import LagLlama

SHARDS = 3
STEPS = 4
OPTIONS = {"num_samples": 5, "seed": 3}
FAST = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
"""Environment of workers, which run for a moment: compiling is what takes their time."""
DRIVER = """
import sys
from lagllama_jax.distributed import forecast_folder
model, source, output, engine, workers = sys.argv[1:]
if __name__ == "__main__":
    forecast_folder(source, output, {steps}, model=model, engine=engine,
                    workers=int(workers) or None, **{options})
"""
"""A script that runs a job, to be killed."""


def driver(folder: pathlib.Path, model: LagLlama) -> list[pathlib.Path]:
    """The script in a file, and the folder of the model as its first argument."""
    model.save_pretrained(folder / "model")
    script = folder / "driver.py"
    script.write_text(DRIVER.format(steps=STEPS, options=OPTIONS))
    return [script, folder / "model"]


@pytest.fixture(scope="session")
def model(tiny_parameters, tiny_config) -> LagLlama:
    return LagLlama(tiny_parameters, tiny_config)


@pytest.fixture(scope="session")
def frames() -> list[pd.DataFrame]:
    """The series of each shard: walks of several lengths, with missing values and rows."""
    random = np.random.default_rng(0)
    frames = []
    for shard in range(SHARDS):
        parts = []
        for number in range(7):
            length = int(random.integers(30, 60))
            stamps = pd.date_range("2024-03-01", periods=length, freq="h")
            values = random.normal(size=length).cumsum() + 10
            values[:-1][random.random(length - 1) < 0.05] = np.nan
            name = f"series {shard}-{number}"
            part = pd.DataFrame({"unique_id": name, "ds": stamps, "y": values})
            parts.append(part.drop(index=[5, 9]))
        frames.append(pd.concat(parts, ignore_index=True))
    return frames


@pytest.fixture(scope="session")
def plain(model, frames) -> pd.DataFrame:
    """The forecasts of all series by one call."""
    return model.predict_df(pd.concat(frames), STEPS, **OPTIONS)


@pytest.fixture
def source(tmp_path, frames):
    """A folder of Parquet files of the frames."""
    return written(tmp_path / "in", frames)


def written(folder, frames, suffix="parquet"):
    folder.mkdir()
    for number, frame in enumerate(frames):
        path = folder / f"part-{number}.{suffix}"
        if suffix == "csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path, index=False)
    (folder / "_SUCCESS").touch()
    return folder


def assert_same(forecasts: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """The same rows once each, and the same numbers but for the rounding of another batch size."""
    keys = list(wanted.columns[:2])
    forecasts = forecasts.assign(**{keys[1]: forecasts[keys[1]].astype("datetime64[ns]")})
    pd.testing.assert_frame_equal(
        forecasts.sort_values(keys, ignore_index=True),
        wanted.sort_values(keys, ignore_index=True),
        rtol=1e-5,
        atol=1e-5,
    )


def entries(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per series."""
    rows = []
    for name, part in frame.groupby("unique_id"):
        values = part.set_index("ds").y.asfreq("h")
        start = str(values.index[0])
        rows.append({"item_id": name, "start": start, "freq": "h", "target": values.to_numpy()})
    return pd.DataFrame(rows)
