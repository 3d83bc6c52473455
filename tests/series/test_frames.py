"""Data frames of any library, with any index, and results in their kind and types."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lagllama_jax.config import ForecastConfig
from lagllama_jax.errors import DataError
from lagllama_jax.evaluation.baselines.naive import Naive
from lagllama_jax.series.dataframe import read_frame
from lagllama_jax.series.frames import like
from lagllama_jax.series.table_files import read_table

DAYS = pd.date_range("2024-01-01", periods=60)
VALUES = np.arange(60.0)
PANEL = pd.DataFrame(
    {"unique_id": np.repeat(["a", "b"], 60), "ds": [*DAYS, *DAYS], "y": [*VALUES] * 2}
)


def forecast(frame, **options):
    """The result of a forecast by a baseline, as `predict_df` returns it."""
    series = read_frame(frame, **options)
    return like(frame, Naive(1).predict(series, 3, ForecastConfig()).to_frame(), series)


def test_an_index_may_repeat_a_column():
    single = PANEL.iloc[:60].drop(columns="unique_id")
    for frame in (
        single.set_index("ds", drop=False),
        single.set_index(pd.DatetimeIndex(DAYS)),
        PANEL.set_index(["unique_id", "ds"], drop=False),
        single.rename(columns={"ds": "timestamp"}).set_index(pd.DatetimeIndex(DAYS)),
    ):
        series = read_frame(frame)
        np.testing.assert_array_equal(series.targets[0][0], VALUES)
        assert series.starts[0] == DAYS[0]


@pytest.mark.parametrize("name", ["ds", "timestamp"])
def test_an_index_that_contradicts_a_column_is_refused(name):
    later = pd.DatetimeIndex(DAYS + pd.Timedelta("1D"), name=name)
    frame = pd.DataFrame({name: DAYS, "y": VALUES}).set_index(later)
    with pytest.raises(DataError, match=f"index and the column '{name}' have the same name"):
        read_frame(frame)


def test_several_levels_of_an_index_or_of_names_are_joined():
    names = pd.MultiIndex.from_product([["Close", "Open"], ["AAA", "BBB"]])
    wide = pd.DataFrame(np.stack([VALUES] * 4, 1), pd.Index(DAYS, name="Date"), names)
    assert read_frame(wide).item_ids == ["Close/AAA", "Close/BBB", "Open/AAA", "Open/BBB"]
    assert read_frame(wide[("Close", "AAA")]).item_ids == ["Close/AAA"]
    levels = pd.MultiIndex.from_product([["north", "south"], ["s1", "s2"], DAYS])
    for named in (["region", "store", "date"], [None, None, None]):
        panel = pd.DataFrame({"sales": np.tile(VALUES, 4)}, levels.set_names(named))
        assert read_frame(panel).item_ids == ["north/s1", "north/s2", "south/s1", "south/s2"]
    two = panel.xs("north")
    assert read_frame(two).item_ids == ["s1", "s2"]


def test_dates_as_text_in_the_index_are_dates():
    frame = pd.DataFrame({"load": VALUES}, index=DAYS.strftime("%Y-%m-%d"))
    series = read_frame(frame)
    assert (series.item_ids, series.timestamp_column, series.starts[0]) == (
        ["load"],
        "timestamp",
        DAYS[0],
    )


NESTED = {"id": ["a", "b"], "timestamp": [list(DAYS)] * 2, "target": [list(VALUES)] * 2}


def test_lists_in_cells_are_series(tmp_path):
    pq.write_table(pa.table(NESTED), tmp_path / "a.parquet")
    start = {"item_id": ["a", "b"], "start": ["2024-01-01"] * 2, "freq": ["D"] * 2}
    own = pd.DataFrame(start | {"target": NESTED["target"]})
    for data in (
        pd.DataFrame(NESTED),
        pl.DataFrame(NESTED),
        pa.table(NESTED),
        own,
        read_table(tmp_path / "a.parquet"),
    ):
        series = read_frame(data)
        assert (series.item_ids, series.starts[0]) == (["a", "b"], DAYS[0])
        np.testing.assert_array_equal(series.targets[1][0], VALUES)
    with pytest.raises(DataError, match="Row 1: the lists in timestamp, target differ"):
        read_frame(pd.DataFrame(NESTED | {"target": [list(VALUES), [1.0]]}))


def test_columns_of_equal_meaning_are_refused_with_the_candidates():
    for name in ("target", "item_id", "timestamp"):
        frame = PANEL.assign(**{name: PANEL["y"] if name == "target" else PANEL["ds"]})
        with pytest.raises(DataError, match=f"{name}.*could all be meant.*(_column|with target)"):
            read_frame(frame)


def test_a_column_may_have_the_name_0():
    frame = PANEL.set_axis([0, 1, 2], axis=1)
    series = read_frame(frame, id_column=0, timestamp_column=1, target=2)
    assert (series.item_ids, series.id_column) == (["a", "b"], 0)


def test_the_only_other_column_is_the_target():
    assert len(read_frame(PANEL.rename(columns={"y": "sales"}))) == 2


LAYOUTS = {
    "day": PANEL.ds.astype("datetime64[s]"),
    "nanoseconds": PANEL.ds.astype("datetime64[ns]"),
    "zone": PANEL.ds.dt.tz_localize("Europe/Berlin"),
    "date": PANEL.ds.dt.date,
    "period": PANEL.ds.dt.to_period("D"),
    "arrow": PANEL.ds.astype("timestamp[us][pyarrow]"),
    "arrow date": PANEL.ds.dt.date.astype(pd.ArrowDtype(pa.date32())),
    "text": PANEL.ds.dt.strftime("%Y-%m-%d"),
    "day-first text": PANEL.ds.dt.strftime("%d/%m/%Y"),
    "digits": PANEL.ds.dt.strftime("%Y%m%d").astype(np.int32),
    "seconds": PANEL.ds.astype("datetime64[s]").astype(np.int64),
    "numbers": pd.Series([*range(60)] * 2),
    "durations": pd.Series([*pd.to_timedelta(range(60), unit="s")] * 2),
}


@pytest.mark.parametrize("times", LAYOUTS.values(), ids=LAYOUTS)
def test_a_result_joins_the_input_by_name_and_time(times):
    """The future of the first 57 rows has the times of the last 3."""
    whole = PANEL.assign(ds=times)
    past = whole.groupby("unique_id").head(57)
    result = forecast(past)
    assert result["ds"].dtype == whole["ds"].dtype
    joined = whole.merge(result, on=["unique_id", "ds"])
    assert len(joined) == 6
    assert joined["y"].tolist() == [57.0, 58, 59] * 2


def test_text_whose_format_cannot_be_told_gives_time_stamps():
    weeks = pd.date_range("2023-01-02", periods=60, freq="W-MON")
    frame = pd.DataFrame({"timestamp": weeks.strftime("%G-W%V"), "target": VALUES})
    for data in (frame, pl.from_pandas(frame), pa.Table.from_pandas(frame)):
        stamps = pd.Series(forecast(data)["timestamp"].to_numpy())
        assert pd.Timestamp(stamps[0]) == weeks[-1] + pd.Timedelta(days=7)


@pytest.mark.parametrize("kind", ["category", "string", "string[pyarrow]", "int8", "object"])
def test_names_keep_their_type(kind):
    names = PANEL.unique_id.map({"a": 1, "b": 2}) if kind == "int8" else PANEL.unique_id
    result = forecast(PANEL.assign(unique_id=names.astype(kind)))
    assert result["unique_id"].dtype == names.astype(kind).dtype


@pytest.mark.parametrize("kind", [pl.Date, pl.Datetime("ms"), pl.Datetime("us", "Europe/Berlin")])
def test_a_polars_result_joins_its_input(kind):
    dates = pl.from_pandas(PANEL).with_columns(pl.col("unique_id").cast(pl.Categorical))
    zone = getattr(kind, "time_zone", None)
    cast = pl.col("ds").dt.replace_time_zone(zone) if zone else pl.col("ds").cast(kind)
    frame = dates.with_columns(cast)
    result = forecast(frame)
    assert isinstance(result, pl.DataFrame)
    assert [result.schema[n] for n in ("unique_id", "ds")] == [
        frame.schema[n] for n in ("unique_id", "ds")
    ]
    assert isinstance(forecast(frame.lazy()), pl.LazyFrame)


def test_an_arrow_table_gives_an_arrow_table():
    frame = pa.Table.from_pandas(PANEL.assign(ds=PANEL.ds.dt.date))
    result = forecast(frame)
    assert isinstance(result, pa.Table)
    for name in ("unique_id", "ds"):
        assert result.schema.field(name).type == frame.schema.field(name).type
