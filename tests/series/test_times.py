"""Columns of times, in every way in which people write them."""

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.errors import DataError
from lagllama_jax.series.dataframe import read_frame

TOLD = pytest.mark.filterwarnings("ignore:.*(as only that gives|Excel's day)")
HOURS = pd.date_range("2023-12-20", periods=60, freq="h")
DAYS = pd.date_range("2023-12-20", periods=60, freq="D")
MONTHS = pd.date_range("2020-01-01", periods=48, freq="MS")
WEEKS = pd.date_range("2023-01-02", periods=60, freq="W-MON")
QUARTERS = pd.date_range("2006-01-01", periods=40, freq="QS")


def frame_of(times, **columns):
    return pd.DataFrame(
        {"timestamp": times, "target": np.arange(len(times), dtype=float), **columns}
    )


def read(times, **options):
    return read_frame(frame_of(times), **options)


def is_read_as(cells, stamps, **options):
    series = read(cells, **options)
    np.testing.assert_array_equal(series.targets[0][0], np.arange(len(stamps)))
    found = series.frequencies[0].timestamps(series.starts[0], 0, len(stamps))
    assert list(found.tz_localize(None)) == list(stamps.tz_localize(None))
    return True


LAYOUTS = {
    "hour": (
        HOURS,
        ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y/%m/%d %H:%M:%S.%f"]
        + ["%d/%m/%Y %H:%M", "%m/%d/%Y %I:%M %p", "%d.%m.%Y, %H:%M", "%d.%m.%Y %H.%M"]
        + ["%B %d, %Y %H:%M", "%d %b %y %H:%M", "%Y%m%d %H:%M", "%Y%m%dT%H%M%S", "%Y-%m-%d %H"]
        + ["%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%d/%m/%Y %Hh", "%Y-%m-%d_%H:%M"]
        + ["%H:%M %d/%m/%Y", "%a %b %d %H:%M:%S %Y", "%d/%b/%Y:%H:%M:%S", "%Y%m%d_%H%M%S"]
        + ["%I:%M %p %d-%b-%Y", "%Y-%m-%d %H:%M - 23:59", "%d.%m.%Y %H:%M Uhr", "%Y-%j %H"],
    ),
    "day": (
        DAYS,
        ["%Y-%m-%d", "%Y%m%d", "%Y.%m.%d", "%d.%m.%y", "%m/%d/%y", "%y-%m-%d", "%d-%b-%Y"]
        + ["%d %B %Y", "%b %d, %Y", "%A, %d %B %Y", "%d%m%Y", "%Y-%j", "%Y%j", "%y%m%d"]
        + ["%A %d/%m/%Y", "%d.%m.%Y (%a)", "%Y %m %d", "%d_%m_%Y", "%Y. %m. %d.", "%j/%Y"]
        + ["%Y\u5e74%m\u6708%d\u65e5", "%d of %B %Y", "%Y-%d-%m", "%d%m%y", "%Y%m%d.0"],
    ),
    "week": (
        WEEKS,
        ["%G-W%V", "%GW%V", "%G-W%V-%u", "%Y-%m-%d/2099-01-01", "W%V %G", "KW %V/%G", "%G%V"]
        + ["%G-%V", "%G week %V"],
    ),
    "month": (
        MONTHS,
        ["%Y-%m", "%Y/%m", "%m/%Y", "%YM%m", "%b %Y", "%b-%y", "%Y%m", "%d.%m.%Y"]
        + ["M%m %Y", "%b'%y", "%b%y", "%Y_%m", "%Y\u5e74%m\u6708", "%m/1/%Y"],
    ),
}


@TOLD
@pytest.mark.parametrize(
    ("unit", "layout"), [(unit, one) for unit, (_, many) in LAYOUTS.items() for one in many]
)
def test_a_layout_of_any_country_is_read(unit, layout):
    stamps = LAYOUTS[unit][0]
    assert is_read_as(list(stamps.strftime(layout)), stamps)


@pytest.mark.parametrize(
    "layout",
    [
        "{y}-Q{q}",
        "{y}Q{q}",
        "Q{q} {y}",
        "{q}Q{y}",
        "{y}:Q{q}",
        "{y} T{q}",
        "{q}. Quartal {y}",
        "{y}Q0{q}",
    ],
)
def test_quarters_are_read(layout):
    cells = [layout.format(y=stamp.year, q=stamp.quarter) for stamp in QUARTERS]
    assert is_read_as(cells, QUARTERS)


YEARS = pd.date_range("1995-01-01", periods=20, freq="YS")


@pytest.mark.parametrize("layout", ["{y}", "FY{y}", "{y}/{z:02}", "{y}-{z:02}", "{y}-{n}", "{y}.0"])
def test_years_are_read(layout):
    years = YEARS.year
    cells = [layout.format(y=year, n=year + 1, z=(year + 1) % 100) for year in years]
    assert is_read_as(cells, YEARS)


LANGUAGES = [
    "januari februari maart april mei juni juli augustus september oktober november december",
    "Januar Februar M\u00e4rz April Mai Juni Juli August September Oktober November Dezember",
    "janv. f\u00e9vr. mars avr. mai juin juil. ao\u00fbt sept. oct. nov. d\u00e9c.",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "gen feb mar apr mag giu lug ago set ott nov dic",
    "jan fev mar abr mai jun jul ago set out nov dez",
]


@pytest.mark.parametrize("names", LANGUAGES)
@pytest.mark.parametrize("layout", ["{} {y}", "{d} {} {y}", "1 de {} de {y}", "{y}-{}"])
def test_months_are_read_in_several_languages(names, layout):
    cells = [layout.format(names.split()[t.month - 1], d=t.day, y=t.year) for t in MONTHS]
    assert is_read_as(cells, MONTHS)


@pytest.mark.parametrize("cells", [["1 marraskuu 2024", "2 marraskuu 2024"], ["I/2024", "II/2024"]])
def test_months_of_other_languages_are_refused(cells):
    with pytest.raises(DataError, match="is no time stamp"):
        read(cells)


@TOLD
@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns", "Excel"])
def test_times_as_numbers_are_read(unit, as_text):
    since = HOURS - pd.Timestamp("1899-12-30" if unit == "Excel" else 0)
    numbers = since / pd.Timedelta(1, "D") if unit == "Excel" else since // pd.Timedelta(1, unit)
    assert is_read_as(pd.Index(numbers).astype(str) if as_text else numbers, HOURS)


def test_the_hour_24_begins_the_next_day():
    befores = HOURS - pd.Timedelta("1h")
    for layout in ("%Y-%m-%d {}:00", "%d.%m.%Y {}:00", "%Y%m%d{}"):
        cells = [before.strftime(layout).format(f"{before.hour + 1:02}") for before in befores]
        assert is_read_as(cells, HOURS)


@pytest.mark.parametrize("layout", ["%d/%m/%Y", "%d.%m.%Y", "%d-%m-%y"])
def test_the_order_of_day_and_month_is_that_of_the_regular_grid(layout):
    with pytest.warns(UserWarning, match="read as day-first, as only that gives a regular grid"):
        assert is_read_as(MONTHS.strftime(layout), MONTHS)
    with pytest.warns(UserWarning, match="read as month-first"):
        assert is_read_as(
            MONTHS.strftime(layout.replace("d", "x").replace("m", "d").replace("x", "m")), MONTHS
        )


def test_an_order_that_only_some_rows_allow_is_that_of_all_rows():
    stamps = pd.date_range("2023-01-01", periods=100)
    assert is_read_as(stamps.strftime("%d/%m/%Y"), stamps)
    assert is_read_as(stamps.strftime("%m/%d/%Y"), stamps)


def test_two_orders_on_regular_grids_are_refused_with_both_readings():
    cells = pd.date_range("2023-01-01", periods=12).strftime("%d/%m/%Y")
    message = "day-first as 2023-01-01.*2023-01-02.*dayfirst=True.*month-first.*2023-02-01"
    with pytest.raises(DataError, match=message):
        read(cells)
    assert str(read(cells, dayfirst=True).frequency) == "D"
    assert str(read(cells, dayfirst=False).frequency) == "MS"
    assert str(read(cells, date_format="%d/%m/%Y").frequency) == "D"
    with pytest.warns(UserWarning, match="read as day-first"):
        assert str(read(cells, freq="D").frequency) == "D"


def test_a_format_that_is_told_is_the_only_one():
    assert is_read_as(DAYS.strftime("%Y.%d.%m"), DAYS, date_format="%Y.%d.%m")
    with pytest.raises(DataError, match="row 0.*'2023-12-20' is no time stamp"):
        read(DAYS.strftime("%Y-%m-%d"), date_format="%d.%m.%Y")
    with pytest.raises(DataError, match="format '%Q' is wrong"):
        read(DAYS.strftime("%Y-%m-%d"), date_format="%Q")


@pytest.mark.parametrize("word", ["UTC", "GMT", ""])
@pytest.mark.parametrize("start", ["2024-03-25", "2024-10-21", "2024-06-01"])
def test_offsets_have_their_true_sign_and_tell_the_doubled_hour_apart(word, start):
    local = pd.date_range(start, periods=240, freq="h", tz="Europe/Berlin")
    hours = [int(stamp.utcoffset().total_seconds() // 3600) for stamp in local]
    cells = [
        f"{stamp:%Y-%m-%d %H:%M} {word}+{hour}" for stamp, hour in zip(local, hours, strict=True)
    ]
    series = read(cells)
    assert series.lengths[0] == 240
    assert series.timestamps(0, -1, 1)[0] == local[-1]


@pytest.mark.parametrize(
    ("ending", "hours"),
    [(" UTC-3", -3), (" UTC\u22123", -3), (" UTC+5:30", 5.5), (" GMT+0530", 5.5), ("-03:00", -3)]
    + [(" EST", -5), (" EDT", -4), (" CET", 1), (" (CEST)", 2), (" UTC", 0), ("Z", 0)],
)
def test_names_and_offsets_of_zones_are_understood(ending, hours):
    series = read([f"{stamp:%Y-%m-%d %H:%M}{ending}" for stamp in HOURS])
    assert series.starts[0].utcoffset() == pd.Timedelta(hours=hours)
    assert series.starts[0].tz_localize(None) == HOURS[0]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([f"{stamp:%Y-%m-%d %H:%M} IST" for stamp in HOURS], "IST' is unknown or has several"),
        ([f"{stamp:%Y-%m-%d %H:%M} CST" for stamp in HOURS], "CST' is unknown or has several"),
        ([f"{t:%Y-%m-%d} {h:02}:00-{h + 1:02}:00" for t in DAYS for h in (8, 9)], "an interval"),
        ([f"{stamp:%b %d}" for stamp in pd.date_range("2024", periods=366)], "is no time stamp"),
        (list(DAYS.strftime("%Y-%m-%d")[:-1]) + ["2024-02-30"], "row 59.*'2024-02-30' is no time"),
        ([f"{stamp:%d.%m. %H:%M}" for stamp in HOURS], "is no time stamp"),
        ([f"{t:%Y-%m-%d %H:%M}{'+01:00' if t.hour else ''}" for t in HOURS], "has none. Give all"),
        (HOURS.strftime("%H:%M"), "a time of day without a date"),
        (HOURS.time, "a time of day without a date"),
        (["2023-W54", "2023-W55"], "'2023-W54' is no time stamp"),
        ([f"Jan-{day:02}" for day in range(1, 32)], "'Jan-01' is no time stamp"),
        ([20240228, 20240229, 20240230], "row 2 of the frame: '20240230' is no time"),
        ([True, False], "'True' is no time stamp"),
        ([200100 + month for month in range(1, 13)], "several ways.*%Y%m.*%y%m%d"),
    ],
)
def test_what_is_no_date_is_never_read_as_one(cells, message):
    with pytest.raises(DataError, match=message):
        read(cells)


SPLIT = {
    "date and time": {"Date": "%d/%m/%Y", "Time": "%H:%M"},
    "date and clock with points": {"Date": "%Y-%m-%d", "Time": "%H.%M.%S"},
    "date and hour": {"date": "%Y-%m-%d", "hour": "%H"},
    "year to hour": {"year": "%Y", "month": "%m", "day": "%d", "hour": "%H"},
    "abbreviated": {"YEAR": "%Y", "MO": "%m", "DY": "%d", "HR": "%H"},
}


@TOLD
@pytest.mark.parametrize("parts", SPLIT.values(), ids=SPLIT)
@pytest.mark.parametrize("whole_numbers", [False, True])
def test_times_in_several_columns_are_joined(parts, whole_numbers):
    columns = {name: HOURS.strftime(part) for name, part in parts.items()}
    frame = pd.DataFrame(columns | {"load": np.arange(60.0)})
    if whole_numbers:
        frame = frame.map(lambda cell: int(cell) if str(cell).isdigit() else cell)
    series = read_frame(frame)
    assert (series.item_ids, series.starts[0]) == (["load"], HOURS[0])
    assert series.timestamps(0, -1, 1)[0] == HOURS[-1]


@pytest.mark.parametrize("ending", ["", " 00:00:00", "T00:00"])
def test_dates_beside_times_may_have_the_midnight_of_spreadsheets(ending):
    frame = frame_of(HOURS)[["target"]].assign(
        date=HOURS.strftime("%Y-%m-%d") + ending, time=HOURS.strftime("%H:%M:%S")
    )
    series = read_frame(frame)
    assert (series.starts[0], str(series.frequency)) == (HOURS[0], "h")


def test_year_and_month_make_months():
    frame = pd.DataFrame({"year": MONTHS.year, "month": MONTHS.month, "sales": 1.0})
    series = read_frame(frame)
    assert (series.item_ids, str(series.frequency)) == (["sales"], "MS")


def test_an_hour_beside_whole_time_stamps_is_a_series_of_its_own():
    series = read_frame(pd.DataFrame({"date": HOURS, "hour": HOURS.hour, "load": 1.0}))
    assert series.item_ids == ["hour", "load"]


def test_objects_of_several_zones_become_universal_time():
    stamps = HOURS.tz_localize("UTC")
    cells = [t.tz_convert("Asia/Tokyo" if t.hour % 2 else "Europe/Berlin") for t in stamps]
    assert read(pd.Series(cells, dtype=object)).starts[0] == stamps[0]
    assert is_read_as(pd.Series(list(DAYS.date), dtype=object), DAYS)
    assert is_read_as(pd.Series(list(DAYS.to_period("D")), dtype=object), DAYS)


ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
WRITINGS = {
    "ISO": lambda stamps: [stamp.isoformat() for stamp in stamps],
    "words": lambda stamps: list(stamps.strftime("%d %b %Y %H:%M %z")),
    "objects": lambda stamps: pd.Series([_fixed(stamp) for stamp in stamps], dtype=object),
}


def _fixed(stamp):
    return stamp.to_pydatetime().replace(tzinfo=datetime.timezone(stamp.utcoffset()))


@settings(max_examples=40)
@given(
    zone=ZONES,
    alias=st.sampled_from(["D", "W-MON", "MS"]),
    hour=st.integers(6, 18),
    writing=st.sampled_from([*WRITINGS]),
)
def test_days_of_a_local_calendar_keep_their_dates_across_changes_of_clocks(
    zone, alias, hour, writing
):
    days = pd.date_range("2023-01-01", periods=400 if alias == "D" else 60, freq=alias)
    local = (days + pd.Timedelta(hour, "h")).tz_localize(zone)
    with pytest.warns(UserWarning, match=f"the time of day is always that of '.*{hour:02}:00"):
        assert is_read_as(WRITINGS[writing](local), local)


@pytest.mark.parametrize(("alias", "warns"), [("D", 1), ("h", 0)])
def test_formats_with_offsets_are_read_across_changes_of_clocks(alias, warns, recwarn):
    local = pd.date_range("2024-03-20", periods=300, freq=alias, tz="Europe/Berlin")
    layout = "%Y-%m-%d %H:%M %z"
    series = read(list(local.strftime(layout)), date_format=layout)
    expected = local[-1].tz_localize(None) if alias == "D" else local[-1]
    assert (series.timestamps(0, -1, 1)[0], series.lengths[0]) == (expected, 300)
    assert len(recwarn) == warns
    with pytest.raises(DataError, match="row 1.*'today' is no time stamp"):
        read([f"{local[0]:{layout}}", "today", f"{local[-1]:{layout}}"], date_format=layout)


def test_names_of_zones_with_several_meanings_are_told_by_those_beside_them():
    local = pd.date_range("2024-11-01", periods=90, freq="h", tz="America/Chicago")
    cells = [f"{stamp:%Y-%m-%d %H:%M %Z}" for stamp in local]
    assert {cell[-3:] for cell in cells} == {"CDT", "CST"}
    assert read(cells).timestamps(0, -1, 1)[0] == local[-1]


@pytest.mark.parametrize(
    "cells", [["{}[Europe/Berlin]", "%Y-%m-%dT%H:%M:%S%z"], ["{} UTC", "%Y-%m-%d %H:%M:%S %z"]]
)
def test_names_of_regions_beside_offsets_are_left_out(cells):
    local = pd.date_range("2024-10-26", periods=60, freq="h", tz="Europe/Berlin")
    series = read([cells[0].format(stamp.strftime(cells[1])) for stamp in local])
    assert (series.lengths[0], series.timestamps(0, -1, 1)[0]) == (60, local[-1])


@pytest.mark.parametrize("first", [19_723, 738_886, 1_000, 133_540_704_000_000_000])
def test_large_numbers_that_are_no_known_dates_are_told(first):
    with pytest.warns(UserWarning, match=f"{first} and the other numbers are no known dates"):
        assert not read(np.arange(first, first + 60)).dated
    assert not read(np.arange(first, first + 60), freq=1).dated


def test_years_in_a_column_that_does_not_say_so_are_told():
    frame = pd.DataFrame({"step": np.arange(1990, 2020), "load": 1.0})
    with pytest.warns(UserWarning, match="'step' .* was read as years. If they only"):
        assert str(read_frame(frame).frequency) == "YS-JAN"
    assert str(read_frame(frame.rename(columns={"step": "Year"})).frequency) == "YS-JAN"
    assert not read_frame(frame, freq=1).dated


MORE_PARTS = {
    "year and quarter": (QUARTERS, lambda t: {"year": t.year, "quarter": f"Q{t.quarter}"}),
    "year and week": (WEEKS, lambda t: dict(zip(("year", "week"), t.isocalendar(), strict=False))),
    "year and day of the year": (DAYS, lambda t: {"YEAR": t.year, "DOY": t.day_of_year}),
    "year and the name of the month": (MONTHS, lambda t: {"Year": t.year, "Month": f"{t:%B}"}),
    "year and period": (MONTHS, lambda t: {"year": t.year, "period": f"M{t.month:02}"}),
    "date and hour ending": (
        HOURS[1:],
        lambda t: {
            "Date": f"{t - pd.Timedelta('1h'):%Y-%m-%d}",
            "Hour Ending": (t - pd.Timedelta("1h")).hour + 1,
        },
    ),
    "date and clock in digits": (HOURS, lambda t: {"date": f"{t:%Y%m%d}", "time": t.hour * 100}),
    "date and half hour": (
        pd.date_range("2024-01-01", periods=96, freq="30min"),
        lambda t: {
            "SETTLEMENT_DATE": f"{t:%Y-%m-%d}",
            "SETTLEMENT_PERIOD": 2 * t.hour + t.minute // 30 + 1,
        },
    ),
}


@pytest.mark.parametrize("parts", MORE_PARTS.values(), ids=MORE_PARTS)
def test_parts_of_times_in_columns_are_joined(parts):
    stamps, parts_of = parts
    frame = pd.DataFrame([parts_of(stamp) for stamp in stamps]).assign(load=1.0)
    series = read_frame(frame)
    assert (series.item_ids, series.starts[0]) == (["load"], stamps[0])
    assert (series.lengths[0], series.timestamps(0, -1, 1)[0]) == (len(stamps), stamps[-1])


@TOLD
@settings(max_examples=40, deadline=None)
@given(
    # 28.02.00 and 01.03.00 are next to each other in 1900, and have a day between them in 2000.
    st.dates(datetime.date(1900, 3, 1), datetime.date(2090, 1, 1)),
    st.integers(20, 90),
    st.sampled_from(["D", "ME", "QE", "YE"]),
    st.sampled_from(["%d.%m.%y", "%m/%d/%y", "%d-%b-%y", "%y%m%d", "%d%m%y"]),
)
def test_years_of_two_digits_keep_the_distances_of_the_rows(start, count, unit, layout):
    stamps = pd.date_range(start, periods=count, freq=unit)
    try:
        series = read(stamps.strftime(layout).to_numpy())
    except DataError:  # day and month, or the year, have several readings
        return
    assert series.targets[0].shape == (1, count)
    centuries = (series.starts[0].year - stamps[0].year) / 100
    assert centuries.is_integer()


@pytest.mark.parametrize("layout", ["%G%V", "%G-%V", "%V/%G"])
def test_numbers_that_could_be_months_are_weeks_in_a_column_of_weeks(layout):
    weeks = pd.date_range("2024-01-01", periods=12, freq="W-MON")
    cells = weeks.strftime(layout)
    for column, last in (("week", weeks[-1]), ("month", pd.Timestamp("2024-12-01"))):
        series = read_frame(pd.DataFrame({column: cells, "y": range(12)}))
        assert series.timestamps(0, -1, 1)[0] == last


def test_times_with_and_without_a_zone_are_told():
    cells = [day.tz_localize("UTC") if n % 2 else day for n, day in enumerate(DAYS)]
    with pytest.raises(DataError, match="2023-12-21 .* has a time zone, and '2023-12-20 .* none"):
        read(cells)
