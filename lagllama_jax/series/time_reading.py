"""`Reading`: one way to read a column of times, which also writes results like it."""

import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.tseries.api import guess_datetime_format

from lagllama_jax.series.aliases import NANOSECONDS

EXCEL = "Excel's day numbers"
EXCEL_ORIGIN = pd.Timestamp("1899-12-30")
DAY_FIRST, MONTH_FIRST, YEAR_FIRST = "day-first", "month-first", "year-first"
CHECKED = 50  # number of cells by which the format for results is checked
_DATES = (
    "%Y-%m-%d|%Y/%m/%d|%Y.%m.%d|%d/%m/%Y|%m/%d/%Y|%d.%m.%Y|%d-%m-%Y|%Y%m%d|%d/%m/%y|%m/%d/%y|"
    "%d.%m.%y|%d-%m-%y|%y-%m-%d|%d-%b-%Y|%d-%b-%y|%d%b%Y|%d %b %Y|%d %B %Y|%b %d, %Y|"
    "%B %d, %Y|%b %d %Y|%d. %B %Y|%Y-%j|%m-%d-%Y"
)
_CLOCKS = (
    "| %H:%M| %H:%M:%S|T%H:%M|T%H:%M:%S|T%H:%MZ|T%H:%M:%SZ|T%H:%M:%S.000Z| %I:%M %p|"
    " %I:%M:%S %p|, %H:%M|, %I:%M %p| %H.%M| %H|_%H%M%S| %H:%M:%S.%f"
)
_PERIODS = (
    "%Y-%m|%Y/%m|%m/%Y|%m-%Y|%b-%y|%b %y|%b %Y|%B %Y|%b-%Y|%Y %b|%YM%m|%Y-M%m|%YQ%q|%Y-Q%q|"
    "%Y Q%q|Q%q %Y|Q%q-%Y|Q%q/%Y|%qQ%Y|%G-W%V|%GW%V|%G-W%V-%u|%Y|FY%Y"
)
WRITINGS = (
    *(date + clock for date in _DATES.split("|") for clock in _CLOCKS.split("|")),
    *_PERIODS.split("|"),
)
"""Formats in which results are written if all time stamps of the user have them."""


class Reading(NamedTuple):
    """One way to read time stamps.

    Attributes:
      name: The reading in words, such as `day-first`.
      stamps: The time stamps, NaT where a cell is none.
      option: The option that asks for this reading, such as `dayfirst=True`.
      layout: How the time stamps are written: a format as in `datetime.strftime` and `%q` for
        the quarter, a unit of the time since 1970, or Excel's day numbers. Empty: in another way.
    """

    name: str
    stamps: pd.DatetimeIndex
    option: str = "date_format"
    layout: str = ""

    def write(self, stamps: pd.DatetimeIndex) -> Any:
        """Time stamps as numbers or text, as in the user's table."""
        if self.layout == EXCEL:
            return (stamps - EXCEL_ORIGIN) / pd.Timedelta(1, "D")
        if self.layout in NANOSECONDS:
            return stamps.as_unit("ns").asi8 // NANOSECONDS[self.layout]
        if "%q" in self.layout:
            return stamps.tz_localize(None).to_period("Q").strftime(self.layout)
        return stamps.strftime(self.layout) if self.layout else stamps


def written(reading: Reading, texts: pd.Series) -> Reading:
    """The reading with the format of the text, if the time stamps can be written like it."""
    shown = np.unique(np.linspace(0, len(texts) - 1, CHECKED).astype(np.int64))
    sample = reading.stamps[shown]
    if sample.hasnans:
        return reading
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        guess = guess_datetime_format(texts.iloc[0], dayfirst=reading.name == DAY_FIRST)
    for layout in (guess or "", *WRITINGS):
        one = reading._replace(layout=layout)
        first = list(one.write(sample[:1])) == [texts.iloc[0]]
        if first and list(one.write(sample)) == list(texts.iloc[shown]):
            return one
    return reading
