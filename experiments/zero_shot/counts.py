"""Forecasts and anomaly scores of independent Poisson counts, beside the exact distribution.

python experiments/zero_shot/counts.py
"""

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from scipy.stats import poisson

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from ledger import Ledger  # noqa: E402

from lagllama_jax import LagLlama  # noqa: E402
from lagllama_jax.evaluation.metrics import LEVELS  # noqa: E402

STEPS, PAST = 14, 400
THRESHOLD = 0.001


@dataclass(frozen=True)
class Arguments:
    """What is scored.

    Attributes:
      model: Folder of a model, or `box`.
      rates: Mean counts per day.
      point_mass: As in `ForecastConfig`.
      series: Number of series per rate.
      output: CSV file, in which rows of this model, these rates and this option are replaced.
    """

    model: str = "box"
    rates: tuple[float, ...] = (0.05, 0.1, 0.3, 0.5, 0.7, 1.0, 2.0, 5.0)
    point_mass: Literal["auto", "none"] = "auto"
    series: int = 200
    output: Path = HERE / "results" / "counts.csv"


def loss(quantiles: np.ndarray, truth: np.ndarray) -> float:
    """Mean quantile loss."""
    levels = np.array(LEVELS)[:, None]
    error = truth[:, None] - quantiles
    return float(np.maximum(levels * error, (levels - 1) * error).mean())


def main(arguments: Arguments) -> None:
    warnings.simplefilter("ignore")  # that rare values are left out
    ledger = Ledger(arguments.output, ("model", "rate", "point_mass"))
    model = LagLlama.from_pretrained(arguments.model)
    for number, rate in enumerate(arguments.rates):
        rng = np.random.default_rng(number)
        counts = rng.poisson(rate, (arguments.series, PAST + STEPS)).astype(float)
        past, truth = counts[:, :PAST], counts[:, PAST:]
        dated = {"start": "2024-01-01", "freq": "D"}
        forecast = model.predict(list(past), STEPS, point_mass=arguments.point_mass, **dated)
        found, high = forecast.quantiles(LEVELS), forecast.quantiles([0.9, 0.99]).mean(axis=(0, 2))
        exact = np.broadcast_to(poisson.ppf(LEVELS, rate)[:, None], found.shape)
        row = {"model": arguments.model, "rate": rate, "point_mass": arguments.point_mass}
        row["loss"] = f"{loss(found, truth) / loss(exact, truth):.2f}"
        row["mean"] = f"{forecast.mean.mean():.3f}"
        for level, quantile in zip((0.9, 0.99), high, strict=True):
            row[f"quantile_{level}"] = f"{quantile:.2f}"
            row[f"exact_{level}"] = int(poisson.ppf(level, rate))
        row["anomalies"] = ""
        if arguments.point_mass == "auto":
            tails = np.concatenate(model.score(list(past), **dated).tail_probability)
            row["anomalies"] = f"{(tails[np.isfinite(tails)] < THRESHOLD).mean():.4f}"
        ledger.put(row)
        print(row, flush=True)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
