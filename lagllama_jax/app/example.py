"""A made-up table to try the page with."""

import numpy as np
import pandas as pd

from lagllama_jax.app.choice import Choice

DAYS, FUTURE, CAMPAIGN = 420, 28, 378
NAME = "example.csv"
CHOICE = Choice("long", None, "date", ("sales",), ("price",))
FIELDS = {"horizon": ["28"], "intervention": ["2026-01-14"], "controls": ["2", "3"]}
"""Fields of the form that fit the table, beside those of the choice."""


def example_csv() -> bytes:
    """Daily sales of a shop that was made up, with a price that is known for four weeks to come.

    From day 378 on, which is 2026-01-14, sales are higher by 12 because of a campaign. Another
    market has no campaign.
    """
    rng = np.random.default_rng(7)
    day = np.arange(DAYS + FUTURE)
    dates = pd.date_range("2025-01-01", periods=len(day))
    price = np.where((day // 14 + 1) % 3 == 2, 8.0, 10.0)
    week = np.array([0.0, -4, -2, 0, 6, 14, 8])[dates.day_of_week]
    year = 12 * np.sin(2 * np.pi * day / 365.25)
    level = np.convolve(rng.normal(0, 1.2, len(day) + 20), np.ones(21) / 4, "valid")
    market = 80 + year + 0.8 * week + level + rng.normal(0, 1.5, len(day))
    sales = 100 + 1.1 * year + week + level + 6 * (10 - price) + rng.normal(0, 2.5, len(day))
    sales += 12 * (day >= CAMPAIGN)
    frame = pd.DataFrame({"date": dates.strftime("%Y-%m-%d"), "sales": sales.round(1)})
    frame = frame.assign(price=price, other_market=market.round(1))
    frame.loc[day >= DAYS, ["sales", "other_market"]] = np.nan
    return frame.to_csv(index=False).encode()
