"""Random tables, written in every dialect, are read back equal or refused."""

import csv
import io
import warnings

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.errors import DataError
from lagllama_jax.series.archives import decode
from lagllama_jax.series.dataframe import read_frame
from lagllama_jax.series.delimited import read_delimited

DATES = ["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y", "%Y%m%d", "%d %b %Y", "%B %d, %Y"]
DATES += ["%A, %d.%m.%Y", "%Y/%m/%d", "%d%m%Y", "%y%m%d", "%d-%b-%y", "%Y-%j"]
DIGITS = ["%Y%m%d", "%d%m%Y", "%y%m%d"]  # which no time of day follows
CLOCKS = [" %H:%M", " %H:%M:%S", "T%H:%M", " %I:%M %p", ", %H.%M"]
LAYOUTS = {
    "MS": [*DATES, "%Y-%m", "%b %Y", "%m/%Y", "%Y%m", "%b-%y", "%YM%m"],
    "W-MON": [*DATES, "%G-W%V", "KW %V/%G"],
    "D": DATES,
    "B": DATES,
    "h": [date + clock for date in DATES if date not in DIGITS for clock in CLOCKS],
    "5min": [date + clock for date in DATES[:4] for clock in CLOCKS],
}
WORDS = st.text(st.characters(codec="utf-8", categories=("L", "Nd")), min_size=1, max_size=8)
NAMES = st.builds(
    "".join, st.tuples(WORDS, st.sampled_from(["", " ", ", ", "; ", "'", '"', ".", "-"]), WORDS)
)


@st.composite
def tables(draw):
    """Series of one frequency, with the layout in which their times are written."""
    alias = draw(st.sampled_from(sorted(LAYOUTS)))
    start = draw(st.datetimes(pd.Timestamp("1990-01-01"), pd.Timestamp("2060-01-01")))
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique_by=str.strip))
    lengths = draw(st.lists(st.integers(6, 40), min_size=len(names), max_size=len(names)))
    numbers = st.integers(-(10**7), 10**7)
    parts = []
    for name, length in zip(names, lengths, strict=True):
        times = pd.date_range(pd.Timestamp(start).floor("D"), periods=length, freq=alias)
        values = draw(st.lists(numbers, min_size=length, max_size=length))
        parts.append(pd.DataFrame({"item_id": name, "timestamp": times, "target": values}))
    frame = pd.concat(parts, ignore_index=True)
    frame["target"] /= 10.0 ** draw(st.integers(0, 3))
    return frame, alias, draw(st.sampled_from(LAYOUTS[alias]))


@st.composite
def dialects(draw):
    return {
        "separator": draw(st.sampled_from([",", ";", "\t", "|"])),
        "decimal": draw(st.sampled_from([".", ","])),
        "thousands": draw(st.sampled_from(["", "", "'", "other"])),
        "end": draw(st.sampled_from(["\n", "\r\n", "\r"])),
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])),
        "trailing": draw(st.booleans()),
        "title": draw(st.booleans()),
        "shuffled": draw(st.booleans()),
        "sign": draw(st.sampled_from(["", "", "%", " \u20ac", " kWh", "-"])),
    }


def number(value, dialect):
    mark = "." if dialect["decimal"] == "," else ","
    mark = mark if dialect["thousands"] == "other" else dialect["thousands"]
    minus = value < 0 and dialect["sign"] == "-"  # which some programs write last
    text = f"{abs(value) if minus else value:,.10f}".rstrip("0").rstrip(".")
    swapped = {",": mark, ".": dialect["decimal"]}
    ending = "-" * minus if dialect["sign"] == "-" else dialect["sign"]
    return "".join(swapped.get(letter, letter) for letter in text) + ending


def written(frame, layout, dialect):
    """The bytes of the table as a program of some country exports it."""
    if dialect["shuffled"]:
        frame = frame.sample(frac=1, random_state=0)
    buffer = io.StringIO()
    table = csv.writer(buffer, delimiter=dialect["separator"], lineterminator=dialect["end"])
    ending = [""] * dialect["trailing"]
    if dialect["title"]:
        buffer.write("Report of all values" + 2 * dialect["end"])
    table.writerow([*frame.columns, *ending])
    for row in frame.itertuples(index=False):
        cells = row.item_id, row.timestamp.strftime(layout), number(row.target, dialect)
        table.writerow([*cells, *ending])
    return buffer.getvalue().encode(dialect["encoding"])


@settings(max_examples=150, deadline=None)
@given(tables(), dialects())
def test_any_table_in_any_dialect_is_read_back_equal_or_refused(table, dialect):
    frame, alias, layout = table
    content = written(frame, layout, dialect)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            series = read_frame(read_delimited(decode(content, "data.csv"), "data.csv"))
        except DataError as error:
            assert "data.csv" in str(error)
            return
    read = {name: item for item, name in enumerate(series.item_ids)}
    assert sorted(read) == sorted(name.strip() for name in frame.item_id.unique())
    guessed = any("give decimal=" in str(one.message) for one in told)
    for name, part in frame.groupby("item_id", sort=False):
        item = series[read[name.strip()]]
        found = item.frequency.timestamps(item.start, 0, item.target.shape[1])
        assert list(found[[0, -1]]) == list(part.timestamp.iloc[[0, -1]])
        if not guessed:
            values = item.target[0][~np.isnan(item.target[0])]
            np.testing.assert_allclose(values, part.target, rtol=1e-12)
