import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagllama_jax.config import check_levels
from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.inference.forecast import Forecast
from lagllama_jax.series.arrays import read_arrays
from lagllama_jax.series.dataset import SeriesDataset

levels = st.floats(0.001, 0.999)


@pytest.fixture(scope="module")
def samples():
    return np.random.default_rng(0).normal(size=(3, 50, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def dated(samples):
    past = [np.arange(5.0), np.arange(9.0), np.arange(2.0)]
    series = read_arrays(past, "2024-01-31", ["ME", "D", "h"], ["a", "b", "c"])
    return Forecast(series, samples)


def undated_series(names, past=(0.0,)):
    return SeriesDataset(names, [np.array([past])] * len(names))


@pytest.fixture
def undated(samples):
    return Forecast(undated_series(["0"], np.arange(7.0)), samples[:1])


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


@given(st.lists(levels, min_size=1, max_size=5))
def test_quantiles_are_those_of_the_samples_and_rise_with_the_level(wanted):
    samples = np.random.default_rng(1).normal(size=(2, 30, 3)).astype(np.float32)
    quantiles = Forecast(undated_series(["a", "b"]), samples).quantiles(wanted)
    assert quantiles.shape == (2, len(wanted), 3)
    for number, level in enumerate(wanted):
        one = np.quantile(samples[1, :, 2].astype(float), level)
        np.testing.assert_allclose(quantiles[1, number, 2], one)
    assert (np.diff(quantiles[:, np.argsort(wanted)], axis=1) >= 0).all()


def test_mean_and_median_lose_nothing_of_large_samples():
    samples = np.full((1, 100, 2), 1e12, np.float32)
    forecast = Forecast(undated_series(["a"]), samples)
    assert (forecast.mean == samples[0, 0]).all()
    assert (forecast.median == samples[0, 0]).all()


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_level_outside_0_and_1_is_refused(dated, level):
    for ask in (dated.quantile, lambda q: dated.quantiles([0.5, q]), lambda q: dated.to_frame([q])):
        with pytest.raises(ConfigError, match="between 0 and 1"):
            ask(level)


@pytest.mark.parametrize("name", ["predictions", "0.1"])
@pytest.mark.parametrize("key", ["id_column", "timestamp_column"])
def test_no_column_of_the_result_replaces_names_or_times(dated, key, name):
    series = dataclasses.replace(dated.dataset, **{key: name})
    with pytest.raises(DataError, match=f"column '{name}' of the input is named like one of the"):
        dataclasses.replace(dated, dataset=series).to_frame([0.1, 0.9])


@pytest.mark.parametrize("level", [0, 1, "0.5", None, True, [0.5]])
def test_what_is_no_level_is_refused(level):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        check_levels([0.5, level])


def test_a_level_alone_is_refused_with_a_list_as_the_remedy():
    with pytest.raises(ConfigError, match=r"0.9 must be a list, such as \[0.1, 0.9\]"):
        check_levels(0.9)


def test_no_levels_at_all_are_refused(dated):
    with pytest.raises(ConfigError, match="at least one"):
        dated.to_frame([])


def test_the_frame_has_a_row_a_point_with_the_dates_to_come(dated):
    frame = dated.to_frame([0.1, 0.975])
    assert list(frame.columns) == ["item_id", "timestamp", "predictions", "0.1", "0.975"]
    assert frame.item_id.tolist() == ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    stamps = [str(stamp) for stamp in frame.timestamp[[0, 3, 4, 8]]]
    assert stamps == [
        "2024-06-30 00:00:00",
        "2024-09-30 00:00:00",
        "2024-02-09 00:00:00",
        "2024-01-31 02:00:00",
    ]
    np.testing.assert_allclose(frame.predictions, dated.median.ravel(), rtol=1e-6)
    np.testing.assert_allclose(frame["0.1"], dated.quantile(0.1).ravel(), rtol=1e-6)


def test_the_frame_keeps_the_names_and_labels_of_the_input(samples):
    series = read_arrays([np.arange(3.0)] * 3, "2024", "h", [7, 8, 9])
    series = dataclasses.replace(series, id_column="unique_id", timestamp_column="ds")
    forecast = Forecast(series, samples, (0.5,))
    frame = forecast.to_frame()
    assert list(frame.columns) == ["unique_id", "ds", "predictions", "0.5"]
    assert frame.unique_id.unique().tolist() == [7, 8, 9]


def test_without_dates_the_points_are_counted_on(undated):
    assert undated.to_frame([0.5]).timestamp.tolist() == [7, 8, 9, 10]
    assert undated.index[0].tolist() == [7, 8, 9, 10]


def test_the_index_of_every_series_follows_its_last_value(dated):
    assert [index[0] for index in dated.index] == [
        pd.Timestamp("2024-06-30"),
        pd.Timestamp("2024-02-09"),
        pd.Timestamp("2024-01-31 02:00"),
    ]


def test_it_says_what_it_holds(dated):
    assert (len(dated), dated.prediction_length) == (3, 4)
    assert repr(dated) == "Forecast(3 series, 50 samples, 4 points)"


def test_the_picture_of_a_single_series_without_a_name_has_no_title():
    titles = []
    for names in (None, ["0"]):
        series = read_arrays([1.0, 2.0], item_ids=names)
        figure = Forecast(series, np.ones((1, 5, 3))).plot()
        titles.append(figure.axes[0].get_title(loc="left"))
    assert titles == ["", "0"]


def test_a_picture_shows_past_median_and_intervals_of_each_series(dated):
    figure = dated.plot(truth=dated.median)
    titles = [axis.get_title(loc="left") for axis in figure.axes if axis.get_visible()]
    assert titles == ["a", "b", "c"]
    lines = figure.axes[1].lines
    assert [line.get_label() for line in lines] == ["past", "median", "actual"]
    np.testing.assert_array_equal(lines[0].get_ydata(), np.arange(9.0))
    np.testing.assert_allclose(lines[1].get_ydata(), dated.median[1], rtol=1e-6)
    bands = [band.get_label() for band in figure.axes[1].collections]
    assert bands == ["95 % interval", "80 % interval", "50 % interval"]


def test_values_alone_between_gaps_are_drawn_as_dots(samples):
    past = np.array([1.0, np.nan, 2.0, np.nan, 3.0, 4.0])
    [line, dots, _] = Forecast(undated_series(["a"], past), samples[:1]).plot().axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), past)
    assert dots.get_ydata().tolist() == [1.0, 2.0]


def test_intervals_hold_their_share_of_the_samples(undated):
    figure = undated.plot(levels=[0.8])
    [band] = figure.axes[0].collections
    heights = band.get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose(heights.min(), undated.quantile(0.1).min(), rtol=1e-6)
    np.testing.assert_allclose(heights.max(), undated.quantile(0.9).max(), rtol=1e-6)


def test_a_picture_may_show_chosen_series_and_a_shorter_past(dated):
    figure = dated.plot(["c", "b"], history=2)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["c", "b"]
    assert len(figure.axes[1].lines[0].get_ydata()) == 2
    assert len(dated.plot("a").axes) == 1


def test_pictures_of_one_point_and_of_one_known_point_can_be_drawn(samples, tmp_path):
    series = undated_series(list("abc"))
    for number, forecast in enumerate(
        [Forecast(series, samples[:, :, :1]), Forecast(series, samples)]
    ):
        file = tmp_path / f"{number}.png"
        forecast.plot().savefig(file)
        assert file.stat().st_size > 0


def test_a_thousand_series_are_not_all_drawn(samples):
    series = undated_series([str(i) for i in range(120)])
    many = Forecast(series, np.tile(samples, (40, 1, 1)))
    assert len(many.plot().axes) == 8


def test_a_picture_of_unknown_series_or_wrong_truth_is_refused(dated):
    with pytest.raises(ConfigError, match="No series.*'x'.*a, b, c"):
        dated.plot("x")
    with pytest.raises(ConfigError, match="between 0 and 1"):
        dated.plot(levels=[95.0])
    with pytest.raises(DataError, match="Truth of 1 series for a forecast of 3"):
        dated.plot(truth=[1.0, 2.0])


@pytest.fixture
def quantiles_alone():
    values = np.arange(12.0).reshape(2, 2, 3)
    return Forecast(undated_series(["a", "b"]), None, (0.5, 0.9), values, values[:, 0])


def test_a_forecast_without_samples_has_the_levels_that_were_asked_for(quantiles_alone):
    assert quantiles_alone.quantile(0.9).tolist() == [[3, 4, 5], [9, 10, 11]]
    assert quantiles_alone.mean.tolist() == quantiles_alone.median.tolist()
    assert list(quantiles_alone.to_frame().columns)[2:] == ["predictions", "0.5", "0.9"]
    with pytest.raises(ConfigError, match="level 0.1 is not among them"):
        quantiles_alone.quantile(0.1)
    with pytest.raises(ConfigError, match="samples, or quantiles"):
        Forecast(undated_series(["a"]))


@given(st.integers(1, 49))
def test_the_ends_of_an_interval_are_found_whatever_they_are_rounded_to(percent):
    ends = (percent / 100, 0.5, 1 - percent / 100)
    values = np.arange(9.0).reshape(1, 3, 3)
    forecast = Forecast(undated_series(["a"]), None, ends, values, values[:, 1])
    share = 1 - 2 * percent / 100
    found = forecast.quantiles([(1 - share) / 2, (1 + share) / 2])
    np.testing.assert_array_equal(found, values[:, [0, 2]])


def test_several_targets_have_a_row_each(samples):
    series = SeriesDataset(["a", "b"], [np.zeros((2, 5))] * 2, target_names=("load", "price"))
    forecast = Forecast(series, np.concatenate([samples, samples[:1]]), (0.5,))
    frame = forecast.to_frame()
    assert forecast.item_ids == ["a/load", "a/price", "b/load", "b/price"]
    assert frame.item_id.tolist() == ["a"] * 8 + ["b"] * 8
    assert frame.target_name.tolist() == (["load"] * 4 + ["price"] * 4) * 2
    np.testing.assert_allclose(frame.predictions, forecast.median.ravel())
