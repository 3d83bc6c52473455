import subprocess
import sys

import jax
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax import Forecast, LagLlama
from lagllama_jax.errors import ConfigError, DataError, LagLlamaError

QUICK = {"num_samples": 5, "progress": False}


@pytest.fixture(scope="module")
def model(tiny_parameters, tiny_config):
    return LagLlama(tiny_parameters, tiny_config)


def frame_of(**lengths: int) -> pd.DataFrame:
    """Hourly sales; of each series the values depend on its name."""
    parts = []
    for name, length in lengths.items():
        stamps = pd.date_range("2024-01-01", periods=length, freq="h")
        values = 10 + np.sin(np.arange(length) / 4 + len(name) + ord(name[0]))
        parts.append(pd.DataFrame({"item_id": name, "timestamp": stamps, "target": values}))
    return pd.concat(parts, ignore_index=True)


magnitudes = st.sampled_from([1e-8, 1.0, 1e4, 1e12])
kinds = st.one_of(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=40),
    st.lists(st.integers(0, 9), min_size=1, max_size=40),
    st.builds(lambda value, n: [value] * n, st.floats(-1, 1), st.integers(1, 30)),
    st.builds(lambda n: [0.0] * n, st.integers(1, 30)),
    st.builds(lambda n: [0.0] * n + [1.0], st.integers(1, 30)),
    st.builds(lambda n: np.sin(np.arange(n) / 7).tolist(), st.integers(1000, 1300)),
)
gaps = st.integers(0, 2**32 - 1)


@settings(max_examples=60)
@given(kinds, magnitudes, st.none() | gaps)
def test_every_series_of_finite_numbers_gets_a_finite_forecast(model, values, magnitude, seed):
    series = np.array(values, np.float64) * magnitude
    if seed is not None:
        series[np.random.default_rng(seed).random(len(series)) < 0.5] = np.nan
        series[0] = magnitude
    forecast = model.predict(series, 3, **QUICK)
    assert forecast.samples.shape == (1, 5, 3)
    assert np.isfinite(forecast.samples).all()
    assert np.isfinite(forecast.to_frame().drop(columns="item_id").to_numpy()).all()


def test_one_array_a_list_and_a_matrix_of_series_are_forecast_alike(model):
    matrix = np.random.default_rng(0).normal(size=(2, 50))
    of_matrix = model.predict(matrix, 4, **QUICK).samples
    of_list = model.predict([list(row) for row in matrix], 4, **QUICK).samples
    of_one = model.predict(matrix[0], 4, **QUICK).samples
    assert np.array_equal(of_matrix, of_list)
    np.testing.assert_allclose(of_one[0], of_matrix[0], rtol=1e-5, atol=1e-5)


def test_a_call_repeated_gives_the_same_bits_and_another_seed_others(model):
    series = np.sin(np.arange(60.0))
    first, again = (model.predict(series, 4, seed=3, **QUICK).samples for _ in range(2))
    other = model.predict(series, 4, seed=4, **QUICK).samples
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_dates_matter_and_without_them_the_calendar_is_neutral(model):
    series = np.sin(np.arange(60.0))
    without = model.predict(series, 4, **QUICK)
    monday = model.predict(series, 4, start="2024-01-01", freq="h", **QUICK)
    summer = model.predict(series, 4, start="2024-07-13", freq="h", **QUICK)
    assert not np.allclose(without.samples, monday.samples)
    assert not np.allclose(summer.samples, monday.samples)
    assert without.index[0].tolist() == [60, 61, 62, 63]
    assert monday.index[0][0] == pd.Timestamp("2024-01-03 12:00")


def test_start_and_freq_may_differ_by_series(model):
    series = [np.sin(np.arange(30.0)), np.cos(np.arange(20.0))]
    each = model.predict(series, 2, start=["2024-01-01", "2000-02-29"], freq=["h", "D"], **QUICK)
    assert [index[0] for index in each.index] == [
        pd.Timestamp("2024-01-02 06:00"),
        pd.Timestamp("2000-03-20"),
    ]
    hourly = model.predict(series, 2, start="2024-01-01", freq="h", **QUICK)
    assert np.array_equal(each.samples[0], hourly.samples[0])
    assert not np.allclose(each.samples[1], hourly.samples[1])


def test_a_frame_is_forecast_like_its_arrays(model):
    frame = frame_of(a=40, b=25)
    arrays = [group.target.to_numpy() for _, group in frame.groupby("item_id")]
    of_arrays = model.predict(arrays, 3, start="2024-01-01", freq="h", item_ids=["a", "b"], **QUICK)
    of_frame = model.predict_df(frame, 3, quantile_levels=[0.1, 0.5], **QUICK)
    np.testing.assert_array_equal(of_frame["0.1"], of_arrays.quantile(0.1).ravel())
    assert list(of_frame.columns) == ["item_id", "timestamp", "predictions", "0.1", "0.5"]
    np.testing.assert_array_equal(of_frame.predictions, of_frame["0.5"])


def test_the_true_future_of_every_series_is_forecast(model):
    frame = frame_of(a=40, b=25)
    result = model.predict_df(frame, 3, **QUICK)
    for name, group in result.groupby("item_id"):
        last = frame[frame.item_id == name].timestamp.max()
        hours = [last + pd.Timedelta(hours=step) for step in (1, 2, 3)]
        assert group.timestamp.tolist() == hours


def test_order_of_rows_and_company_do_not_change_a_forecast(model):
    frame = frame_of(a=40, b=25)
    result = model.predict_df(frame, 3, **QUICK).set_index("item_id")
    other = frame[::-1].assign(item_id=lambda f: f.item_id.replace("a", "z"))
    again = model.predict_df(other, 3, **QUICK).set_index("item_id")
    np.testing.assert_allclose(result.loc["b", "0.9"], again.loc["b", "0.9"], rtol=1e-5)


def test_nixtla_names_come_out_as_they_went_in(model):
    frame = frame_of(a=30).rename(
        columns={"item_id": "unique_id", "timestamp": "ds", "target": "y"}
    )
    result = model.predict_df(frame.assign(unique_id=7), 2, **QUICK)
    assert list(result.columns)[:3] == ["unique_id", "ds", "predictions"]
    assert result.unique_id.tolist() == [7, 7]


def test_polars_in_polars_out(model):
    frame = frame_of(a=30, b=20)
    result = model.predict_df(pl.from_pandas(frame), 2, **QUICK)
    assert isinstance(result, pl.DataFrame)
    wanted = model.predict_df(frame, 2, **QUICK)
    assert result["predictions"].to_list() == wanted.predictions.tolist()


def test_wide_frames_and_dated_series_are_forecast(model):
    dates = pd.date_range("2024-01-31", periods=30, freq="ME", tz="Asia/Tokyo")
    wide = pd.DataFrame({"north": np.arange(30.0), "south": np.ones(30)}, index=dates)
    result = model.predict_df(wide, 2, **QUICK)
    assert result.item_id.tolist() == ["north", "north", "south", "south"]
    assert result.timestamp[0] == pd.Timestamp("2026-07-31", tz="Asia/Tokyo")
    one = model.predict(wide["north"], 2, **QUICK)
    assert isinstance(one, Forecast)
    assert one.index[0][0] == result.timestamp[0]


def test_a_forecast_is_bounded_where_nothing_negative_is_asked_for(model):
    forecast = model.predict(np.array([0.0, 1.0, 0.0, 2.0]), 3, nonnegative=True, **QUICK)
    assert (forecast.samples >= 0).all()
    assert (model.predict(np.array([0.0, 1.0, 0.0, 2.0]), 3, **QUICK).samples < 0).any()


def test_a_longer_context_is_another_forecast(model):
    series = np.sin(np.arange(90.0))
    longer = model.predict(series, 3, context_length=48, start="2024", freq="h", **QUICK)
    usual = model.predict(series, 3, start="2024", freq="h", **QUICK)
    assert not np.allclose(longer.samples, usual.samples)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"prediction_length": 0}, ConfigError, "prediction_length=0 must be"),
        ({"num_samples": 0}, ConfigError, "num_samples=0 must be"),
        ({"quantile_levels": [0.1, 1]}, ConfigError, "level 1 must be between 0 and 1"),
        ({"quantile_levels": []}, ConfigError, "at least one"),
        ({"seed": -1}, ConfigError, "seed=-1"),
        ({"context_length": 0}, ConfigError, "context_length=0"),
        ({"context_length": 2**20, "batch_size": 64}, ConfigError, "GiB"),
        ({"context_length": 10**8}, ConfigError, "context_length=100000000 must be"),
        ({"colour": 3}, ConfigError, r"Unknown field\(s\) colour.*known: method"),
        ({"sampling": "even"}, ConfigError, "sampling='even' must be one of"),
        ({"batch_size": 0}, ConfigError, "batch_size=0"),
        ({"freq": "h"}, DataError, "needs start too"),
        ({"item_ids": ["a", "b"]}, DataError, "2 item_ids for 1 series"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(model, options, error, message):
    arguments = {"series": np.arange(9.0), "prediction_length": 2, **QUICK, **options}
    with pytest.raises(error, match=message):
        model.predict(**arguments)


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ([[1.0, 2.0], [np.nan]], "Series '1' has no value"),
        ([[1.0, 2.0], []], "Series '1' is empty"),
        ([[1.0, 2.0], [1.0, np.inf]], "Series '1', position 1 is infinite"),
        ([[1.0, 2.0], ["a", "b"]], "Series '1', position 0"),
        ([[1.0, 1e308]], "Series '0'.*1e\\+308"),
    ],
)
def test_bad_series_are_refused_by_name(model, series, message):
    with pytest.raises(DataError, match=message):
        model.predict(series, 2, **QUICK)


def test_every_error_is_a_value_error():
    assert issubclass(LagLlamaError, ValueError)


def test_a_saved_model_forecasts_the_same(model, tmp_path):
    model.save_pretrained(tmp_path / "saved")
    loaded = LagLlama.from_pretrained(tmp_path / "saved")
    series = np.sin(np.arange(40.0))
    before, after = (m.predict(series, 3, **QUICK).samples for m in (model, loaded))
    assert np.array_equal(before, after)
    assert loaded.config == model.config
    assert "saved" in repr(loaded)


def test_progress_is_reported_and_the_forecast_unchanged(model):
    reports = []
    series = [np.arange(5.0 + n) for n in range(3)]
    watched = model.predict(
        series, 2, num_samples=5, batch_size=1, progress=lambda *r: reports.append(r)
    )
    assert reports == [(1, 3), (2, 3), (3, 3)]
    silent = model.predict(series, 2, batch_size=1, **QUICK)
    assert np.array_equal(watched.samples, silent.samples)


def test_no_setting_of_jax_is_changed(model):
    before = dict(jax.config.values)
    model.predict(np.arange(9.0), 2, **QUICK)
    assert dict(jax.config.values) == before


def modules_after(code: str) -> set[str]:
    """What a fresh Python has imported after some code."""
    command = [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"]
    return set(subprocess.check_output(command, text=True).split())


def test_importing_the_package_imports_nothing_heavy():
    heavy = {"jax", "flax", "pandas", "pyarrow", "matplotlib", "distrax", "orbax"}
    assert not heavy & modules_after("import lagllama_jax")


def test_importing_the_forecaster_leaves_optional_packages_alone():
    optional = {"matplotlib", "tensorflow_datasets", "grain", "huggingface_hub", "orbax", "polars"}
    assert not optional & modules_after("from lagllama_jax import LagLlama")
