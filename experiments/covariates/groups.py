"""Gain of known covariates on groups of the training corpus, by which the regression was chosen.

python experiments/covariates/groups.py

The bundled weights were trained on these series, so only the ratio of the losses tells something:
the mean quantile loss with the covariates, divided by that without. `noise` adds a covariate of
random numbers instead.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tyro

from lagllama_jax import ForecastConfig, LagLlama
from lagllama_jax.evaluation import metrics
from lagllama_jax.evaluation.datasets import parquet_series
from lagllama_jax.evaluation.windows import EvaluationWindows, cut
from lagllama_jax.files import write_rows
from lagllama_jax.series.dataset import SeriesDataset

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("LAGLLAMA_SHARED", HERE / "../../../shared"))


class Group(NamedTuple):
    """A target with covariates on one grid.

    Attributes:
      dataset: File of the corpus.
      target: Name of the target.
      covariates: Names of the covariates.
      days: Number of days from one window to the next.
    """

    dataset: str
    target: str
    covariates: tuple[str, ...]
    days: int


WEATHER = tuple(f"Aotizhongxin/{name}" for name in ("TEMP", "PRES", "DEWP", "RAIN", "WSPM"))
SUN = tuple(f"weather/{name}" for name in ("diffuse_solar_irradiance", "direct_solar_irradiance"))
PRICE = tuple(f"price/forecast_{name}_load" for name in ("total", "zonal"))
STATIONS = tuple(f"temp/station{number}" for number in (1, 5, 9))
GROUPS = {
    "price": Group("gefcom2014", "price/zonal_price", PRICE, 14),
    "load, 25 temperatures": Group(
        "gefcom2014", "load/L", tuple(f"load_weather/w{number}" for number in range(1, 26)), 22
    ),
    "load of a zone": Group("gefcom2012", "load/zone1", STATIONS, 13),
    "solar power": Group("citylearn_2022", "building_1/solar_generation", SUN, 9),
    "load of a building": Group(
        "citylearn_2022", "building_2/non_shiftable_load",
        ("weather/outdoor_dry_bulb_temperature", "weather/outdoor_relative_humidity"), 9,
    ),
    "PM2.5": Group("beijing_multisite", "Dongsi/PM2.5", WEATHER, 17),
    "CO": Group("airqualityuci", "CO(GT)", ("T", "RH", "AH"), 5),
}  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    """What is scored.

    Attributes:
      model: Folder of the model, or `box`.
      limit: Number of windows per group.
      steps: Number of hours per window.
      output: CSV file to write.
    """

    model: str = "box"
    limit: int = 30
    steps: int = 24
    output: Path = HERE / "groups.csv"


def windows_of(group: Group, arguments: Arguments) -> EvaluationWindows:
    """The windows at the end of the common period of target and covariates."""
    names = (group.target, *group.covariates)
    path = SHARED / "data/corpus" / f"{group.dataset}.parquet"
    series = parquet_series(path, "h", names)
    place = {name: row for row, name in enumerate(series.item_ids)}
    starts = [series.starts[place[name]] for name in names]
    first = max(starts)
    parts = []
    for name, start in zip(names, starts, strict=True):
        skipped = int((first - start).total_seconds()) // 3600
        parts.append(series.targets[place[name]][0, skipped:])
    length = min(map(len, parts))
    rows = np.stack([part[:length] for part in parts])
    dataset = SeriesDataset(
        [group.target], [rows[:1]], [first], series.frequencies[:1],
        known_covariates=[rows[1:]], known_names=group.covariates,
    )  # fmt: skip
    return cut(dataset, arguments.steps, arguments.limit, 24 * group.days)


def main(arguments: Arguments) -> None:
    predictor = LagLlama.from_pretrained(arguments.model).predictor()
    config = ForecastConfig(quantile_levels=tuple(metrics.LEVELS))
    rows = []
    for name, group in GROUPS.items():
        windows = windows_of(group, arguments)
        random = np.random.default_rng(0)
        noise = [
            random.normal(size=(1, part.shape[1]))
            for part in windows.dataset.known_covariates or ()
        ]
        data = {
            "none": (windows.dataset, config.replace(covariates="none")),
            "covariates": (windows.dataset, config),
            "noise": (
                replace(windows.dataset, known_covariates=noise, known_names=("noise",)), config,
            ),
        }  # fmt: skip
        losses = {}
        for way, (dataset, options) in data.items():
            quantiles = predictor.predict(dataset, arguments.steps, options).quantiles(
                metrics.LEVELS
            )
            losses[way] = float(
                metrics.mean_weighted_quantile_loss(windows.target, quantiles, metrics.LEVELS)
            )
        row = {"group": name, "windows": len(windows), "loss": f"{losses['none']:.4g}"}
        row |= {way: f"{losses[way] / losses['none']:.3f}" for way in ("covariates", "noise")}
        rows.append(row)
        print(row, flush=True)
        write_rows(arguments.output, rows, list(rows[0]))


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
