import zipfile

import numpy as np
import pytest

from lagllama_jax.corpus.tfds.store import build
from lagllama_jax.evaluation.baselines import baseline
from lagllama_jax.evaluation.run import evaluate_tasks
from lagllama_jax.evaluation.scores import CRPS
from lagllama_jax.evaluation.suites import paper_tasks

TSF = "# Monash\n@relation {}\n{}@frequency {}\n@missing false\n@equallength false\n@data\n"
TYPES = "@attribute series_name string\n@attribute {} {}\n"
WEATHER = TSF.format("Weather", TYPES.format("series_type", "string"), "daily") + "".join(
    f"T{n}:rain:{','.join(str(n * day % 7) for day in range(80))}\n" for n in (1, 2, 3)
)
PEDESTRIANS = TSF.format("Pedestrian", TYPES.format("start_timestamp", "date"), "hourly") + (
    f"T1:2009-05-01 00-00-00:{','.join(str(hour % 24) for hour in range(200))}\n"
)


def test_the_paper_s_weather_and_pedestrians_are_scored_as_soon_as_they_are_built(
    site, published_here, tmp_path
):
    for name, text in (("weather", WEATHER), ("pedestrian_counts", PEDESTRIANS)):
        with zipfile.ZipFile(site.folder / f"{name}_dataset.zip", "w") as archive:
            archive.writestr(f"{name}_dataset.tsf", text)
        published_here(name, f"{name}_dataset.zip")
        with pytest.warns(UserWarning) as told:
            before = paper_tasks(tmp_path)
        assert not [task for task in before if task.dataset == name]
        (told,) = [str(one.message) for one in told if f"without {name}" in str(one.message)]
        command = f"lagllama data build {name} --download --data-dir {tmp_path}"
        assert told.endswith(command)
        build(name, data_dir=tmp_path, download=True)
    weather, pedestrians = paper_tasks(tmp_path)[-2:]
    assert (weather.prediction_length, pedestrians.prediction_length) == (30, 48)
    np.testing.assert_array_equal(weather.windows().target[2], np.arange(50, 80) * 3 % 7)
    rows = evaluate_tasks(baseline("seasonal_naive"), [weather, pedestrians])
    assert [row["windows"] for row in rows] == [3, 1]
    assert rows[1][CRPS] == 0  # the same every day
