"""The published examples: tables, interventions, and what other tools report."""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd


class Example(NamedTuple):
    """A question with a published answer.

    Attributes:
      name: Its name.
      frame: The table.
      arguments: Intervention, target and controls, as `impact` takes them.
      published: Published average effect, and its 95 % interval, where there are any.
    """

    name: str
    frame: pd.DataFrame
    arguments: dict[str, Any]
    published: tuple[float | None, float | None, float | None]


def examples(folder: Path) -> list[Example]:
    """The published examples in the folder of the tables."""
    arma = pd.read_csv(folder / "arma.csv")
    added = arma.assign(y=arma.y + 5.0 * (arma.index >= 70))
    numbered = {"intervention": 70, "target": "y", "controls": ["X"]}
    google = pd.read_csv(folder / "google.csv", parse_dates=["date"])
    volks = pd.read_csv(folder / "volks.csv", sep=" ", parse_dates=["Date"])
    basque = pd.read_csv(folder / "basque.csv", parse_dates=["date"])
    null = pd.read_csv(folder / "comparison.csv", parse_dates=["DATE"])
    null = null[null.DATE <= "2019-08-01"]
    smoking = pd.read_csv(folder / "california_prop99.csv")
    states = [name for name in smoking if name not in ("Year", "California")]
    lift = pd.read_csv(folder / "geolift.csv", parse_dates=["time"])
    countries = [name for name in lift if name not in ("time", "Denmark")]
    monthly = pd.read_csv(folder / "deaths_england_wales.csv", parse_dates=["date"])
    deaths = monthly[["date", "deaths", "temp"]]
    brexit = pd.read_csv(folder / "brexit_gdp.csv", parse_dates=["Time"])
    others = [name for name in brexit if name not in ("Time", "UK")]
    rows = [
        ("arma", arma, numbered, (0.89, 0.27, 1.5)),
        ("arma + 5", added, numbered, (4.89, 4.26, 5.47)),
        ("google", google, ("2020-03-02", "y", ["x1", "x2"]), (27, 18, 36)),
        ("volks", volks, ("2015-09-20", "VolksWagen", ["BMW", "Allianz"]), (-44, -55, -33)),
        ("basque", basque, ("1976-01-01", "Basque", ["another"]), (-0.76, -1.4, -0.2)),
        (
            "comparison",
            null,
            ("2019-07-15", "CHANGED", [f"NOT_CHANGED_{n}" for n in (1, 2, 3)]),
            (-657, -2076, 832),
        ),
        ("prop99", smoking, (1989, "California", states), (-19.5, None, None)),
        ("geolift", lift, ("2022-01-02", "Denmark", countries), (0.2, None, None)),
        ("brexit", brexit, ("2016-07-01", "UK", others), (None, None, None)),
        (
            "deaths",
            deaths[["date", "deaths", "temp"]],
            ("2020-01-01", "deaths", ["temp"]),
            (None,) * 3,
        ),
    ]
    names = ("intervention", "target", "controls")
    return [
        Example(
            name,
            frame.reset_index(drop=True),
            how if isinstance(how, dict) else dict(zip(names, how, strict=True)),
            answer,
        )
        for name, frame, how, answer in rows
    ]
